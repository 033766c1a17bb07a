"""Hosts in network namespaces on one switch, and what is measured on them: nodes of ours, libzt's,
and the platform's own sockets.

    python -m host_tools.bench.stage SECTION FILE       (inside; `performed` starts it)

Real nodes take no path to 127.0.0.1, hence the namespaces (tests/interop/lab.py). A section that
plays here has `perform(stage, options) -> figures`, which JSON must be able to hold.
"""

import importlib
import json
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

from host_tools import loopback, unix_port
from host_tools.bench.section import Options, Skipped

INTEROP = unix_port.ROOT / "tests" / "interop"
sys.path.insert(0, str(INTEROP))

import infrastructure
import lab
import libzt
import peers
from scene import POOL, READY_S, wait_for

ENDS = "host_tools/bench/ends/"
HEAP = "32M"
ECHO, PUSH, BULK = 7, 8, 9
_TIMEOUT_S = 1800
_ANSWER_S = 120
_LIBRARY = unix_port.ROOT / "build" / "libzt"


def performed(name, options):
    """The figures of a section's perform(), and why there is no libzt or None. Raises Skipped."""
    if obstacle := lab.obstacle():
        raise Skipped(obstacle.lower())
    missing = None
    try:
        libzt.provide(_LIBRARY)
    except libzt.Unavailable as reason:
        missing = str(reason).lower()
    file = options.directory / "stage.json"
    file.write_text(json.dumps({"directory": str(options.directory), "rounds": options.rounds,
                                "quick": options.quick, "libzt": missing is None}))
    done = subprocess.run(
        lab.unshared(sys.executable, "-m", "host_tools.bench.stage", name, str(file)),
        cwd=unix_port.ROOT, env=lab.inside_environment(), timeout=_TIMEOUT_S, text=True,
        stdout=subprocess.PIPE)
    if done.returncode:
        raise loopback.Failure(f"section {name} ended with {done.returncode}: {done.stdout}")
    return json.loads(file.read_text()), missing


class Stage:
    """A root with the controller of a public network, and ends by name.

    Each end is a tests/interop peer: `call(verb, ...)`; `ip` is where others reach it.
    """

    def __init__(self, directory, with_libzt, keep):
        self._directory = directory
        self._keep = keep
        self._identities = peers.identities()
        self._ips = 0
        self.lab = lab.Lab()
        self.libzt = libzt.provide(_LIBRARY) if with_libzt else None
        host, identity, home = self._place("root")
        self._planet = peers.make_world(identity, host.ip)
        peers.lay_out(home, identity, self._planet)
        self._service = infrastructure.Filament(host, home, identity, "both")
        keep.callback(self._service.stop)
        self._service.start(READY_S)
        self._network = self._service.open_network(POOL, private=False)

    def _place(self, name):
        self._ips += 1
        return (self.lab.add_host(name, f"10.209.0.{self._ips}"), next(self._identities),
                self._directory / name)

    def node(self, name, runtime):
        """A node of ours on a host of its own: runtime "cpython" or "micropython"."""
        def start(host, home, identity):
            arguments = json.dumps({"home": str(home), "bind": f"0.0.0.0:{peers.PORT}",
                                    "aes": runtime == "cpython"})
            return peers.Peer(runtime, host, home, identity,
                              *self._command(runtime, "node.py", arguments))

        return self._member(name, start)

    def sdk(self, name):
        """A node of libzt."""
        def start(host, home, identity):
            module, shim = self.libzt
            arguments = {"library": str(module), "shim": str(shim), "home": str(home),
                         "port": peers.PORT}
            return peers.Peer("libzt", host, home, identity,
                              *self._command("cpython", "libzt.py", json.dumps(arguments)))

        return self._member(name, start)

    def _member(self, name, start):
        host, identity, home = self._place(name)
        peers.lay_out(home, identity, self._planet)
        member = start(host, home, identity)
        self._keep.callback(member.stop)
        wait_for(f"{name} is online", lambda: member.call("status")["online"], READY_S)
        member.call("join", READY_S, nwid=self._network)
        network = wait_for(f"{name} has an address", lambda: self._joined(member), READY_S)
        member.ip = network["addresses"][0]
        member.call("serve", port=ECHO)
        member.call("serve_pushes", port=PUSH)
        member.call("serve_bulk", port=BULK)
        return member

    def _joined(self, member):
        network = member.call("network", nwid=self._network)
        return network if network["status"] == "OK" and network["addresses"] else None

    def plain(self, host, runtime, other):
        """The platform's sockets on `host`, and a server of theirs on `other` (Hosts): who asks;
        its `ip` is the server's, `server` its Process."""
        command, env = self._plainly(runtime, "serve", other.ip)
        server = peers.Process(other, command,
                               self._directory / f"{runtime}-serves-{other.name}.log", env)
        command, env = self._plainly(runtime, "ask")
        asking = peers.Peer(runtime, host, self._directory / f"{runtime}-asks-{host.name}",
                            next(self._identities), command, env)
        self._keep.callback(server.stop)
        self._keep.callback(asking.stop)
        asking.ip, asking.server = other.ip, server
        wait_for("the plain server", lambda: self._answers(asking), READY_S)
        return asking

    @staticmethod
    def _answers(asking):
        try:
            return asking.call("tcp_echo", ip=asking.ip, port=ECHO, count=1)
        except peers.PeerFailure:
            return False

    def _plainly(self, runtime, *arguments):
        return self._command(runtime, "plain.py", *arguments)

    @staticmethod
    def _command(runtime, script, *arguments):
        if runtime == "micropython":
            return (unix_port.command(HEAP, ENDS + script, *arguments),
                    unix_port.environment("tests/interop"))
        return [sys.executable, str(unix_port.ROOT / ENDS / script), *arguments], None


def warm(asking, ip):
    """Wait until the path between two ends is there, and direct."""
    wait_for("an echo", lambda: asking.call("tcp_echo", _ANSWER_S, ip=ip, port=ECHO, count=20),
             READY_S)


@contextmanager
def opened(directory, with_libzt):
    with ExitStack() as keep:
        yield Stage(Path(directory), with_libzt, keep)


def main(name, file):
    """Play a section's part; its figures take the place of what `file` says."""
    told = json.loads(Path(file).read_text())
    with_libzt = told.pop("libzt")
    options = Options(Path(told.pop("directory")), say=lambda text: _tell(name, text), **told)
    section = importlib.import_module(f"host_tools.bench.{name}")
    with opened(options.directory, with_libzt) as stage:
        figures = section.perform(stage, options)
    Path(file).write_text(json.dumps(figures))


def _tell(name, text):
    if sys.stderr.isatty():
        print(f"{name}: {text}", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
