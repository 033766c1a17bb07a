"""Peers as processes of their hosts; each is stopped by its own process ID."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path

from host_tools import home, unix_port
from mpcore.port import Port, entropy
from mpcore.vl1 import inet
from mpcore.vl1.identity import Identity
from mpcore.vl1.world import PLANET, World

HERE = Path(__file__).parent
PORT = 9993
MICROPYTHON_HEAP = "16M"
_STOP_S = 3
_PROGRAM = "ZEROTIER_ONE"
_QUIET = {"settings": {"portMappingEnabled": False, "allowTcpFallbackRelay": False,
                       "allowSecondaryPort": False, "softwareUpdate": "disable"}}


class PeerFailure(Exception):
    """A peer says that something went wrong, or has died."""


def desktop_program():
    """Path of a stock zerotier-one, or None."""
    return os.environ.get(_PROGRAM) or shutil.which("zerotier-one")


def identities():
    """Identities for the nodes under test, from the vectors at first: making one takes a while."""
    known = json.loads((HERE.parent / "vectors" / "identity.json").read_text())["identities"]
    for each in known:
        if each["valid"]:
            yield Identity.from_text(each["secret_text"])
    while True:
        yield Identity.generate(entropy)


def lay_out(directory, identity, planet, moons=()):
    """A home directory that a node of any kind but libzt, which takes no moons, can start from."""
    store = Port(str(directory), [])
    home.save_identity(store, identity)
    store.store(home.PLANET_FILE, planet.to_bytes())
    for moon in moons:
        store.store(f"moons.d/{moon.id.hex()}.moon", moon.to_bytes())
    store.store("local.conf", json.dumps(_QUIET).encode())


def make_world(root, ip, secret=None, type=PLANET, id=None, later_ms=0, **options):
    """A planet or moon with one root, an Identity, at this IP.

    secret: 64 bytes, who is to sign it; at random like the id when not given. later_ms: than now.
    """
    return World.make(type, id or entropy(8), int(time.time() * 1000) + later_ms,
                      [(root, [inet.parse(f"{ip}:{PORT}")])], secret or entropy(64), **options)


class Process:
    """A process on a host; what it has to say goes to a log, beside what is read from it."""

    def __init__(self, host, command, log, env=None):
        self.log = Path(log)
        with open(log, "ab") as file:
            self._child = subprocess.Popen(
                host.command(*command), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=file, text=True, bufsize=1, env=env, cwd=HERE.parents[1])
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._child.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                with open(self.log, "a") as file:
                    file.write(line)
                continue
            self.on_line(said)
        self.on_end()

    def on_line(self, said):
        """One JSON line."""

    def on_end(self):
        """The process has closed its output."""

    @property
    def alive(self):
        return self._child.poll() is None

    def keep_to(self, core):
        """Run on this core alone from now on."""
        os.sched_setaffinity(self._child.pid, {core})

    def tell(self, request):
        self._child.stdin.write(json.dumps(request) + "\n")

    def stop(self):
        """Ask it to end, then make it."""
        if self.alive:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
        self._child.wait()

    def ended(self):
        """How it ended, with the end of its log."""
        tail = self.log.read_text(errors="replace")[-600:].strip()
        return f"ended with {self._child.wait()}: {tail}"


class Peer(Process):
    """A member of networks that does what exchange.py lists. `kind` and `version` describe it."""

    def __init__(self, kind, host, directory, identity, command, env=None):
        self.kind = kind
        self.host = host
        self.address = identity.address.hex()
        self.ip = None          # on the virtual network, once it has one
        self.version = None
        self._asked = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        super().__init__(host, command, f"{directory}.log", env)

    def __str__(self):
        return f"{self.kind} ({self.address})"

    def ask(self, verb, **arguments):
        """A Future of the answer."""
        number, answer = next(self._numbers), Future()
        with self._lock:
            self._asked[number] = verb, answer
            try:
                self.tell({"id": number, "do": verb, **arguments})
            except OSError:
                self._asked.pop(number)
                raise PeerFailure(f"{self}: {self.ended()}") from None
        return answer

    def call(self, verb, timeout_s=10, **arguments):
        """The answer. Raises PeerFailure, TimeoutError."""
        try:
            return self.ask(verb, **arguments).result(timeout_s)
        except TimeoutError:
            raise TimeoutError(f"{self}: no answer to {verb} within {timeout_s} s") from None

    def on_line(self, said):
        with self._lock:
            verb, answer = self._asked.pop(said.get("id"), (None, None))
        if answer is None:
            return
        if "error" in said:
            answer.set_exception(PeerFailure(f"{self}: {said['error']}"))
        else:
            answer.set_result(said["result"])

    def on_end(self):
        with self._lock:
            asked, self._asked = self._asked, {}
        for verb, answer in asked.values():
            answer.set_exception(PeerFailure(f"{self}, asked to {verb}: {self.ended()}"))


def libzt(host, directory, identity, library):
    """library: (extension module, shim), from libzt.py."""
    module, shim = library
    arguments = {"library": str(module), "shim": str(shim), "home": str(directory), "port": PORT}
    return Peer("libzt", host, directory, identity,
                [sys.executable, str(HERE / "libzt_peer.py"), json.dumps(arguments)])


def desktop(host, directory, identity):
    arguments = {"program": desktop_program(), "home": str(directory), "port": PORT}
    return Peer("zerotier-one", host, directory, identity,
                [sys.executable, str(HERE / "desktop_peer.py"), json.dumps(arguments)])


def filament(host, directory, identity, runtime):
    """runtime: "cpython" or "micropython"."""
    script = "tests/interop/filament_peer.py"
    arguments = json.dumps({"home": str(directory), "bind": f"0.0.0.0:{PORT}",
                            "aes": runtime == "cpython"})
    if runtime == "micropython":
        command = unix_port.command(MICROPYTHON_HEAP, script, arguments)
        env = unix_port.environment("tests/interop")
    else:
        command, env = [sys.executable, script, arguments], None
    return Peer(runtime, host, directory, identity, command, env)
