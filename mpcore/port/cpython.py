"""CPython on a desktop or a server."""

import os
import select
import socket
import time

from mpcore import limits
from mpcore.port.base import START, BasePort, entropy
from mpcore.port.native import NativeSocket, constant, lookup, native_module
from mpcore.port.storage import Storage

POLLIN = 1      # as MicroPython has them; not every platform's select does
POLLOUT = 4

# Addresses of documentation, far from everybody.
_LATE_S = 0.005     # so long an alarm that is due waits for tasks that are always ready
_FAR = {4: (socket.AF_INET, ("192.0.2.1", 9)), 16: (socket.AF_INET6, ("2001:db8::1", 9))}


def now_ms():
    """Milliseconds since an arbitrary origin; never steps back, never wraps."""
    return time.monotonic_ns() // 1000000


def wall_ms():
    """Milliseconds since 1970."""
    return time.time_ns() // 1000000


def to_sockaddr(endpoint):
    """The platform's form of an endpoint."""
    family = socket.AF_INET if len(endpoint) == 6 else socket.AF_INET6
    return socket.inet_ntop(family, endpoint[:-2]), int.from_bytes(endpoint[-2:], "big")


def to_endpoint(sockaddr):
    """The endpoint of what the platform gives for an address."""
    address, port = sockaddr[:2]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_pton(family, address.partition("%")[0]) + port.to_bytes(2, "big")


def wait(sockets, timeout_ms, others=(), mask=POLLIN):
    """Sleep until one of `sockets` can be read or one of `others` is ready for `mask`."""
    reading, writing = list(sockets), []
    if mask & POLLIN:
        reading += others
    if mask & POLLOUT:
        writing += others
    select.select(reading, writing, (), None if timeout_ms is None else timeout_ms / 1000)


class Native(NativeSocket):
    """See NativeSocket."""

    to_sockaddr = staticmethod(to_sockaddr)
    to_endpoint = staticmethod(to_endpoint)

    def _ready(self):
        read, write, _ = select.select((self.sock,), (self.sock,), (), 0)
        return (POLLIN if read else 0) | (POLLOUT if write else 0)


class Files(Storage):
    """Storage with this platform's modes of files, which survives a power cut."""

    def _make_directory(self, path):
        os.mkdir(path, 0o700)

    def _create(self, path, secret):
        mode = 0o600 if secret else 0o644
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb")

    def _settle(self, file):
        os.fsync(file.fileno())

    def _replace(self, temporary, path):
        os.replace(temporary, path)
        if hasattr(os, "O_DIRECTORY"):
            directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)


class Port(BasePort):
    """See BasePort."""

    _sockaddr = staticmethod(to_sockaddr)
    _endpoint = staticmethod(to_endpoint)
    rings = limits.TCP_HOST_RING, limits.TCP_HOST_RING

    def __init__(self, home, bind):
        self._buf = bytearray(START + limits.MAX_PACKET)
        self._into = memoryview(self._buf)[START:]
        super().__init__(home, bind)

    def drain(self, receiver, now, ready=None):
        """Hand pending datagrams, at most a batch a socket, to receiver.receive(now(), endpoint,
        buf, off, n). Returns how many they were.

        The buffer is the same every time and may be overwritten by the receiver.
        """
        before = self.counters["received"]
        for sock in self.sockets:
            for _ in range(limits.DRAIN_BATCH):
                try:
                    n, sockaddr = sock.recvfrom_into(self._into)
                except BlockingIOError:
                    break
                except OSError:
                    self.counters["receive_failed"] += 1
                    break
                self.counters["received"] += 1
                receiver.receive(now(), self._source(sockaddr), self._buf, START, n)
        return self.counters["received"] - before

    def wait(self, timeout_ms):
        """Sleep until a datagram is there, for at most timeout_ms (None: for ever)."""
        wait(self.sockets, timeout_ms)

    def _open(self, address, port):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address, port))
        except BaseException:
            sock.close()
            raise
        return sock, self._endpoint(sock.getsockname())

    def _own_address(self, size):
        family, far = _FAR[size]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(far)      # sends nothing: it only asks which address would be used
            except OSError:
                return None
            return self._endpoint(probe.getsockname())[:-2]

    def _storage(self):
        return Files(self.home)


class Wake:
    """`await wake` lasts until the next set(), for each task that waits by then."""

    def __init__(self):
        import asyncio
        self._event = asyncio.Event()

    def set(self):
        """Let those who wait go on."""
        self._event.set()

    def __await__(self):
        self._event.clear()
        return self._event.wait().__await__()


class Turn:
    """`await turn` lets other tasks run, as asyncio.sleep(0) does."""

    def __await__(self):
        yield


turn = Turn()


class Loop:
    """Callbacks from asyncio: a socket is readable, or the alarm is due, first of all at once.

    What a callback raises goes to asyncio's exception handler.
    """

    def __init__(self, sockets, on_readable, on_alarm):
        import asyncio
        self._loop = asyncio.get_running_loop()
        self._sockets = sockets
        self._on_alarm = on_alarm
        self._timer = self._loop.call_soon(on_alarm)
        self._latest = None     # until when an alarm that is due moves behind what is ready
        for sock in sockets:
            self._loop.add_reader(sock, on_readable)

    def alive(self):
        """False once the asyncio loop that this was made for has ended."""
        return not self._loop.is_closed()

    def alarm(self, delay_ms):
        """Move the one alarm: call on_alarm in delay_ms; 0: when the tasks that are ready have
        run, None: never.

        It may also be called too early.
        """
        if delay_ms == 0:
            # A fast exchange, whose tasks are always ready, must not keep it from its turn.
            now = self._loop.time()
            if self._latest is None:
                self._latest = now + _LATE_S
            elif now >= self._latest:
                return
            self._timer.cancel()
            self._timer = self._loop.call_soon(self._due)
            return
        self._latest = None
        self._timer.cancel()
        if delay_ms is not None:
            self._timer = self._loop.call_later(delay_ms / 1000, self._on_alarm)

    def _due(self):
        self._latest = None
        self._on_alarm()

    def close(self):
        self._timer.cancel()
        if self.alive():
            for sock in self._sockets:
                self._loop.remove_reader(sock)
