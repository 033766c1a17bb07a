"""A TCP connection over a virtual network as asyncio's transports are, without a descriptor."""

import asyncio
import socket

from host_tools.desktop.turn import Turn
from mpcore.ip.errors import failure
from mpcore.ip.events import ERROR, HUP, READ, WRITE
from mpcore.ip.tcp import TcpSocket
from mpcore.vl1.inet import ip_text

_CHUNK = 65536
_HIGH = 65536           # bytes that are written and wait: the protocol is asked to pause


class Name:
    """What stands for the socket of a transport: its addresses, for those who ask."""

    type = socket.SOCK_STREAM
    proto = 0

    def __init__(self, local, remote=None):
        self._local = local
        self._remote = remote
        ip = local[0] or (remote and remote[0]) or bytes(4)
        self.family = socket.AF_INET if len(ip) == 4 else socket.AF_INET6

    def getsockname(self):
        return sockaddr(self._local, self.family)

    def getpeername(self):
        return sockaddr(self._remote, self.family)

    def fileno(self):
        """-1: the system knows nothing of it."""
        return -1

    def getsockopt(self, level, option, size=0):
        return bytes(size) if size else 0

    def setsockopt(self, level, option, value, size=None):
        """Nothing that the system's sockets can be set to means anything here."""


def sockaddr(address, family=None):
    """What asyncio calls an address (bytes or None for any, port)."""
    ip = address[0] or bytes(16 if family == socket.AF_INET6 else 4)
    return (ip_text(ip), address[1]) + ((0, 0) if len(ip) == 16 else ())


class Transport(asyncio.Transport):
    """Serves a protocol (also a BufferedProtocol) with an established TcpSocket."""

    _start_tls_compatible = True        # for loop.start_tls

    def __init__(self, loop, runtime, tcp, protocol, waiter=None):
        """waiter: a future to be told when the protocol knows its connection, or None."""
        name = Name(tcp.local, tcp.remote)
        super().__init__({"peername": name.getpeername(), "sockname": name.getsockname(),
                          "socket": name})
        self._loop = loop
        self._runtime = runtime
        self._tcp = tcp
        self._backlog = []          # written, and the connection had no room for it
        self._waiting = 0           # bytes in it
        self._high, self._low = _HIGH, _HIGH // 4
        self._paused = False        # the reading
        self._pausing = False       # the protocol was asked to pause writing
        self._eof = False           # nothing more will be written
        self._ended = False         # the peer has written all
        self._closing = False
        self.set_protocol(protocol)
        tcp.on_event = self._kick = Turn(loop, self._run)
        loop.call_soon(protocol.connection_made, self)
        self._kick()
        if waiter is not None:
            loop.call_soon(lambda: waiter.done() or waiter.set_result(None))

    # --- the protocol ---

    def set_protocol(self, protocol):
        self._protocol = protocol
        self._buffered = isinstance(protocol, asyncio.BufferedProtocol)

    def get_protocol(self):
        return self._protocol

    def _run(self):
        if self._tcp is None:
            return
        mask = self._tcp.events()
        try:
            if mask & (WRITE | ERROR | HUP):
                self._flush()
            if mask & (READ | ERROR | HUP) and not self._closing:
                self._read()
        except OSError as error:
            self._lose(error)
        self._runtime.kick()

    def _read(self):
        while not (self._paused or self._closing or self._ended):
            data = self._tcp.recv(self._runtime.now(), _CHUNK)
            if data is None:
                return
            if data:
                self._deliver(data)
            else:
                self._ended = True
                if not self._protocol.eof_received():
                    self.close()

    def _deliver(self, data):
        if not self._buffered:
            return self._protocol.data_received(data)
        data = memoryview(data)
        while data:
            buffer = self._protocol.get_buffer(len(data))
            n = min(len(buffer), len(data))
            buffer[:n] = data[:n]
            data = data[n:]
            self._protocol.buffer_updated(n)

    # --- reading ---

    def is_reading(self):
        return not self._paused and not self._closing

    def pause_reading(self):
        self._paused = True

    def resume_reading(self):
        if self._paused:
            self._paused = False
            self._kick()

    # --- writing ---

    def write(self, data):
        if self._eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing or not data:
            return
        n = 0
        if not self._backlog:
            try:
                n = self._tcp.send(self._runtime.now(), data)
            except OSError as error:
                return self._lose(error)
            self._runtime.kick()
        if n < len(data):
            # The caller may change anything but bytes before it is sent.
            self._backlog.append(memoryview(data if isinstance(data, bytes) else bytes(data))[n:])
            self._waiting += len(data) - n
            if self._waiting > self._high and not self._pausing:
                self._pausing = True
                self._protocol.pause_writing()

    def _flush(self):
        now = self._runtime.now()
        while self._backlog:
            data = self._backlog[0]
            n = self._tcp.send(now, data)
            self._waiting -= n
            if n < len(data):
                self._backlog[0] = data[n:]
                break
            self._backlog.pop(0)
        if self._pausing and self._waiting <= self._low:
            self._pausing = False
            self._protocol.resume_writing()
        if not self._backlog:
            if self._closing:
                self._lose(None)
            elif self._eof:
                self._tcp.shutdown_write(now)

    def get_write_buffer_size(self):
        return self._waiting

    def get_write_buffer_limits(self):
        return self._low, self._high

    def set_write_buffer_limits(self, high=None, low=None):
        if high is None:
            high = _HIGH if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high}) must be >= low ({low}) must be >= 0")
        self._high, self._low = high, low

    def can_write_eof(self):
        return True

    def write_eof(self):
        if not self._eof and not self._closing:
            self._eof = True
            self._kick()

    # --- the end ---

    def is_closing(self):
        return self._closing

    def close(self):
        """Close once everything written is sent; the protocol is told by then."""
        if not self._closing:
            self._closing = True
            self._kick()

    def abort(self):
        """Drop the connection and what was written."""
        if self._tcp is not None:
            self._tcp.abort(self._runtime.now())
            self._lose(None)

    def _lose(self, error):
        self._closing = True
        if self._tcp is None:
            return
        self._tcp.on_event = None
        self._tcp.close(self._runtime.now())
        self._tcp = None
        self._backlog, self._waiting = [], 0
        self._runtime.kick()
        self._loop.call_soon(self._protocol.connection_lost, error)


async def connected(loop, runtime, ip, port, local=None):
    """An established TcpSocket to ip (bytes) and port. local: (ip or None, port) to bind to, or
    None. Raises OSError."""
    tcp = TcpSocket(runtime.node.stack)
    if local is not None:
        tcp.bind(*local)
    ready = loop.create_future()
    tcp.on_event = lambda: ready.done() or ready.set_result(None)
    try:
        tcp.connect(runtime.now(), ip, port)
        runtime.kick()
        while not tcp.events():
            await ready
            ready = loop.create_future()
        if tcp.error:
            raise failure(tcp.error)
    except BaseException:
        tcp.abort(runtime.now())
        runtime.kick()
        raise
    return tcp
