"""What the cases share: a network, its members, and how a program is run on one of them."""

import datetime
import json
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from host_tools import loopback, remote, unix_port
from mpcore.vl1.identity import Identity

ROOT = Path(__file__).parents[2]
APPS = "tests/programs/apps"
MEMBERS = ["web", "guest", "clock", "desk"]
HEAP = "16M"
NAME = "web.example"


class Stage:
    """A network whose members run programs. Use as a context manager.

    directory: for homes, logs and keys. library: the directory of the third-party modules.
    """

    def __init__(self, directory, library):
        self.directory = Path(directory)
        self._library = library
        published = json.loads((ROOT / "tests/vectors/identity.json").read_text())["identities"]
        identities = [Identity.from_text(case["secret_text"]) for case in published]
        self.network = loopback.Network(self.directory, identities[:len(MEMBERS) + 1], MEMBERS)
        self._staying = []
        self.addresses = {}         # of the members that stay, on the virtual network

    def start(self, member, app, *arguments):
        """Run one of `apps` on a member's node; returns the process, whose node is connected."""
        process = loopback.Process(
            unix_port.command(HEAP, "tests/programs/run.py",
                              self.network.arguments(member, self.network.node(member)),
                              f"{APPS}/{app}", *map(str, arguments)),
            self.directory / f"{member}.log",
            env=unix_port.environment(str(self._library)))
        try:
            self.addresses[member] = process.wait_for("address")["address"]
        except loopback.Failure:
            process.stop()
            raise
        return process

    def stay(self, member, app, *arguments):
        """Start an app that serves until the end; returns the member's address."""
        process = self.start(member, app, *arguments)
        self._staying.append(process)
        process.wait_for("serving")
        return self.addresses[member]

    def run(self, app, *arguments, member="guest", timeout_s=60):
        """Run an app to its end; returns its figures. Raises loopback.Failure."""
        with self.start(member, app, *arguments) as process:
            figures = process.wait_for("works", timeout_s)
            if not figures.pop("works"):
                raise loopback.Failure(f"{app} says {figures}")
            return figures

    def background(self, name, command, **options):
        """Start a program of this machine that stays until the end; returns the process."""
        process = loopback.Process(command, self.directory / f"{name}.log", **options)
        self._staying.append(process)
        return process

    def forward(self, there, back):
        """Run `filament forward` on a node of its own; returns the node's virtual address.

        there: LISTEN=TARGET from this machine to the network; back: the other way.
        """
        node = self.network.node("desk")
        process = self.background("desk", [
            sys.executable, "-m", "host_tools", "forward", "--json", "--loopback", "--home",
            node["home"], "--bind", node["bind"], "--join", node["network"],
            *(f"--reverse={each}" for each in back), *there])
        process.wait_for("forwarding")
        (joined,) = remote.Control(node["home"]).get("/status")["networks"]
        return joined["assignedAddresses"][0].partition("/")[0]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for process in [*reversed(self._staying), self.network.server]:
            process.stop()


def certificate(directory, name=NAME):
    """A new self-signed certificate and its key: files (cert.pem, key.pem, cert.der, key.der)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256()))
    files = []
    for encoding in serialization.Encoding.PEM, serialization.Encoding.DER:
        suffix = "pem" if encoding == serialization.Encoding.PEM else "der"
        for what, data in (
                ("cert", made.public_bytes(encoding)),
                ("key", key.private_bytes(encoding, serialization.PrivateFormat.PKCS8,
                                          serialization.NoEncryption()))):
            file = Path(directory) / f"{what}.{suffix}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            files.append(file)
    return files
