"""A virtual network on loopback with `filament` commands as its members, for the tests of
host_tools/desktop; and the record of which programs work."""

import datetime
import fcntl
import json
import socket
import sys
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from host_tools import loopback
from mpcore.vl1.identity import Identity
from mpcore.vl2 import addressing
from tests.core.support import vectors

ROOT = Path(__file__).parent.parent.parent.parent
APPS = Path(__file__).parent
RECORD = ROOT / "build" / "programs.json"
IDENTITIES = [Identity.from_text(case["secret_text"])
              for case in vectors("identity.json")["identities"]]


class Scene(loopback.Network):
    """names: of the members, each with a home and an address of IPv4 and IPv6."""

    def __init__(self, directory, names):
        self._identities = dict(zip(names, IDENTITIES[1:]))
        super().__init__(directory, IDENTITIES[:len(names) + 1], names)
        self.change("", {"v6AssignMode": {"rfc4193": True}})
        for number, identity in enumerate(self._identities.values(), 10):
            self.change(f"/member/{identity.address.hex()}",
                        {"ipAssignments": [f"10.73.1.{number}"]})

    def identity(self, name):
        return self._identities[name]

    def address(self, name):
        """Of IPv4."""
        return f"10.73.1.{list(self._identities).index(name) + 10}"

    def address6(self, name):
        ip = addressing.rfc4193(bytes.fromhex(self.id), self._identities[name].address)
        return socket.inet_ntop(socket.AF_INET6, ip[0] if isinstance(ip, tuple) else ip)

    def filament(self, name, command, *arguments):
        """`filament COMMAND` as this member, as arguments for a subprocess in ROOT."""
        return [sys.executable, "-m", "host_tools", command, "--home", str(self.home(name)),
                "--join", self.id, "--bind", self.binds[name], "--loopback", "--wait", "60",
                *map(str, arguments)]

    def start(self, name, command, *arguments):
        """The same, running: a loopback.Process."""
        return loopback.Process(self.filament(name, command, *arguments),
                                self.directory / f"{name}.log")


@contextmanager
def with_services(directory):
    """A Scene with the members "there", which runs services.py, "here" and "other"."""
    with Scene(directory, ["there", "here", "other"]) as scene:
        scene.certificate, scene.key = make_certificate(scene.directory)
        with scene.start("there", "run", "--", APPS / "services.py", scene.certificate, scene.key,
                         scene.address("there"), scene.address6("there")) as server:
            server.wait_for("ready")
            yield scene


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_certificate(directory):
    """(certificate, key), files of a self-signed certificate for filament.test."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "filament.test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
                   .public_key(key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(now - datetime.timedelta(days=1))
                   .not_valid_after(now + datetime.timedelta(days=1))
                   .add_extension(x509.SubjectAlternativeName([x509.DNSName("filament.test")]),
                                  critical=False)
                   .sign(key, hashes.SHA256()))
    paths = Path(directory, "certificate.pem"), Path(directory, "key.pem")
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()))
    return paths


@contextmanager
def program(name, version, way, what):
    """Records whether what is done inside works with a program: for the table of the README.

    way: of Filament, by which it is on the network. what: the program does, or is started with.
    """
    works = False
    try:
        yield
        works = True
    finally:
        RECORD.parent.mkdir(exist_ok=True)
        with open(RECORD, "a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            known = json.loads(file.read() or "{}")
            known[f"{name}, {way}"] = {"program": name, "version": version, "way": way,
                                       "what": what, "works": works}
            file.truncate(0)
            file.write(json.dumps(dict(sorted(known.items())), indent=1))
