"""The outside peer: this kernel, in a network namespace with a TAP device, and what it does there.

On the other side of the device is the station (station.py), passed through bridge.py.
"""

import contextlib
import hashlib
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from bridge import DEVICE, wait_under
from cable import ORDERS
from host_tools import unix_port
from lab import run

HERE = Path(__file__).parent
STATION = {4: "10.77.0.1", 6: "fd77::1"}
KERNEL = {4: "10.77.0.2", 6: "fd77::2"}
STATION_MAC = "02:00:00:00:77:01"
NETS = {4: "10.77.0.0/24", 6: "fd77::/64"}
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
HEAP = "6M"
_PATIENCE_S = 30
_LOOK_S = 0.01


class Unmet(AssertionError):
    """Something is not as it should be."""


def expect(actual, wanted, what):
    if actual != wanted:
        raise Unmet(f"{what}: {actual!r}, expected {wanted!r}")


def digest(data):
    return {"length": len(data), "sha256": hashlib.sha256(data).hexdigest(), "error": 0}


def wait_for(condition, what):
    """Wait until condition() is true; returns what it said."""
    late = time.monotonic() + _PATIENCE_S
    while time.monotonic() < late:
        value = condition()
        if value:
            return value
        time.sleep(_LOOK_S)
    raise Unmet(f"{what}: not within {_PATIENCE_S} s")


class Bench:
    """Both sides, and the kernel's doings."""

    def __init__(self, runtime, ring, log):
        """ring: size of the station's TCP rings, None: as they come. log: what the processes have
        to say."""
        self._log = open(log, "w")
        self._processes = []
        self._one_order = threading.Lock()
        run("ip", "link", "set", "lo", "up")
        self._bridge = self._start([sys.executable, str(HERE / "bridge.py")],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        expect(self._read(), {"device": DEVICE}, "the bridge")
        # A line without duplicate address detection is there at once.
        Path(f"/proc/sys/net/ipv6/conf/{DEVICE}/accept_dad").write_text("0")
        run("ip", "link", "set", DEVICE, "up")
        # The kernel waits a second before it sends anything again: the station may be kept from
        # running for a while, which is not what is tested.
        Path("/proc/sys/net/ipv4/tcp_early_retrans").write_text("0")
        for family, net in NETS.items():
            length = net.partition("/")[2]
            run("ip", "addr", "add", f"{KERNEL[family]}/{length}", "dev", DEVICE, "noprefixroute")
            run("ip", f"-{family}", "route", "add", net, "dev", DEVICE, "rto_min", "1s")
        with wait_under(ORDERS) as listener:
            self._start(_station_command(runtime, ring), env=_station_environment())
            listener.settimeout(_PATIENCE_S)
            self._orders = listener.accept()[0]
        self._orders.settimeout(_PATIENCE_S)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for process in self._processes:
            process.kill()
            process.wait()
        self._orders.close()
        self._log.close()

    def ended(self):
        """What there is to say about a process that should still run; empty when all do."""
        if all(process.poll() is None for process in self._processes):
            return ""
        return f"A process has ended: {Path(self._log.name).read_text()}"

    def _start(self, command, **options):
        process = subprocess.Popen(command, stderr=self._log, text=True, bufsize=1, **options)
        self._processes.append(process)
        return process

    # --- orders ---

    def bridge(self, **order):
        print(json.dumps(order), file=self._bridge.stdin, flush=True)
        expect(self._read(), order, "the bridge")

    def _read(self):
        return json.loads(self._bridge.stdout.readline())

    def station(self, do, **order):
        """The station's answer to an order, also to one of a listener's handler."""
        with self._one_order:
            self._orders.send(json.dumps({"do": do} | order).encode())
            return json.loads(self._orders.recv(1 << 16))

    def promised(self, do, **order):
        """The result of an order that takes a while."""
        number = self.station(do, **order)
        return wait_for(lambda: self.station("result", number=number), do)

    def has_connection(self, **facts):
        """Is one of the station's connections so? See Station.do_connections."""
        return any(facts.items() <= each.items() for each in self.station("connections"))

    def report(self):
        return self.station("report")

    def settled(self):
        """The station's report once it serves nobody any more."""
        wait_for(lambda: self.station("conversations") == 0, "the end of all conversations")
        return self.report()

    # --- the kernel as a peer ---

    def connect(self, port, family=4, **options):
        return socket.create_connection((STATION[family], port), timeout=_PATIENCE_S, **options)

    def converse(self, port, data, family=4, end=True):
        """Send `data`, half-close, and return all that comes back."""
        with self.connect(port, family) as sock:
            return talk(sock, data, end)

    @contextlib.contextmanager
    def listener(self, family=4, handler=None):
        """A listener of the kernel, one of whose connections handler(socket) takes; yields the
        port."""
        with socket.socket(FAMILIES[family]) as sock:
            sock.bind((KERNEL[family], 0))
            sock.listen()
            sock.settimeout(_PATIENCE_S)
            with serving(sock, handler):
                yield sock.getsockname()[1]

    def serves(self, family=4):
        """The station still serves."""
        expect(self.converse(7, b"still there?", family), b"still there?", "an echo")
        with socket.socket(FAMILIES[family], socket.SOCK_DGRAM) as sock:
            sock.settimeout(_PATIENCE_S)
            sock.connect((STATION[family], 7))
            sock.send(b"and here?")
            expect(sock.recv(100), b"and here?", "an echo by UDP")


def _station_command(runtime, ring):
    arguments = [str(ring)] if ring else []
    if runtime == "micropython":
        return unix_port.command(HEAP, "tests/outside/station.py", *arguments)
    return [sys.executable, str(HERE / "station.py"), *arguments]


def _station_environment():
    return unix_port.environment("tests/outside") | {"PYTHONPATH": f"{HERE.parents[1]}:{HERE}"}


@contextlib.contextmanager
def serving(listener, handler):
    """handler(socket) runs beside the body for one connection of the listener."""
    failures = []

    def serve():
        try:
            with listener.accept()[0] as sock:
                sock.settimeout(_PATIENCE_S)
                handler(sock)
        except (OSError, AssertionError) as error:
            failures.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    yield
    thread.join(_PATIENCE_S)
    if failures:
        raise failures[0]


def talk(sock, data, end=True):
    """Write and read at the same time; end: half-close after writing. Returns what came."""
    def write():
        with contextlib.suppress(OSError):
            sock.sendall(data)
            if end:
                sock.shutdown(socket.SHUT_WR)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        return read_all(sock)
    finally:
        writer.join()


def read_all(sock):
    parts = []
    while True:
        part = sock.recv(1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)


def packed(address):
    """A numeric address as the station wants it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_pton(family, address).hex()


