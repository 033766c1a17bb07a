"""Streams and datagrams on a virtual network for asyncio, on CPython and MicroPython alike.

A task that waits here is woken by the very datagram that it waits for, without a poll between.
Every function takes `runtime`; without one the runtime of the active NIC is used.
"""

import asyncio
from errno import EBADF

import micropython

from mpcore import limits
from mpcore.held import line_end, take
from mpcore.ip import errors
from mpcore.ip.tcp import TcpSocket
from mpcore.ip.udp import UdpSocket
from mpcore.port import Wake, turn
from mpcore.runtime import current
from mpcore.vl1.inet import ip_parse, ip_text

_ANY = (None, "", "0.0.0.0", "::")


async def open_connection(host, port, runtime=None):
    """Connect to host, an IP address as text or a name (see mpcore.dns).

    Returns (reader, writer), which are one Stream. Raises OSError when there is no connection:
    ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT, ..., or -2 or -3 when the name is not found.
    """
    runtime = _driven(runtime)
    ip = await _find(host, runtime)
    stream = Stream(TcpSocket(runtime.node.stack), runtime)
    try:
        await stream._connect(ip, port)
    except BaseException:
        stream.abort()
        raise
    return stream, stream


async def start_server(callback, host, port, backlog=limits.TCP_BACKLOG, runtime=None):
    """Accept connections to host (a name or an IP address as text; None, "", "0.0.0.0": any).

    Each runs callback(reader, writer) in a task of its own; when that raises, the connection is
    aborted. Returns a Server. Raises OSError, such as EADDRINUSE.
    """
    runtime = _driven(runtime)
    ip = None if host in _ANY else await _find(host, runtime)
    listener = TcpSocket(runtime.node.stack)
    listener.bind(ip, port)
    listener.listen(backlog)
    return Server(listener, callback, runtime)


class Stream:
    """Both ends of a TCP connection: asyncio's StreamReader and StreamWriter in one."""

    _take = take

    def __init__(self, tcp, runtime):
        self._tcp = tcp
        self._runtime = runtime
        self._held = b""
        self._at = 0
        self._backlog = []      # written, and the connection had no room for it
        self._backlog_bytes = 0
        self._finished = False  # close() or write_eof() was called: nothing more is to be written
        self._closing = False
        self._opening = False
        self._drained = 0       # calls of drain() that had not to wait
        self._readable = Wake()
        self._writable = Wake()
        tcp.on_event = self._on_event

    # --- reading ---

    async def read(self, n=-1):
        """At most n bytes as soon as there are any, b"" at the end; n = -1: all until the end.

        As every call here, raises OSError when the connection fails.
        """
        if n < 0:
            return await self._read_all()
        data = self._there(n)
        while data is None:
            await self._readable
            data = self._there(n)
        return data

    async def readinto(self, buf):
        """Fill buf from its beginning with what there is; returns the length, 0 at the end."""
        data = await self.read(len(buf))
        buf[:len(data)] = data
        return len(data)

    async def readexactly(self, n):
        """n bytes. Raises EOFError when the stream ends before."""
        parts = ()
        while True:
            data = self._there(n)
            while data is None:
                await self._readable
                data = self._there(n)
            n -= len(data)
            if not n and not parts:
                return data
            if not data:
                raise EOFError
            parts += (data,)
            if not n:
                return b"".join(parts)

    async def readline(self):
        """A line with its "\\n"; without one only at the end of the stream.

        Raises ValueError when a line is longer than limits.STREAM_LINE; what was read of it is
        lost.
        """
        parts = []
        length = 0
        while True:
            if not self._held:
                data = self._there(limits.STREAM_CHUNK)
                if data is None:
                    await self._readable
                    continue
                self._held = data
            size, end = line_end(self)
            part = self._take(size)
            length += len(part)
            if length > limits.STREAM_LINE:
                raise ValueError("line too long")
            if (end or not part) and not parts:
                return part
            parts.append(part)
            if end or not part:
                return b"".join(parts)

    async def _read_all(self):
        parts = []
        while True:
            data = await self.read(limits.STREAM_CHUNK)
            if not data:
                return b"".join(parts)
            parts.append(data)

    @micropython.native
    def _there(self, n):
        # At most n bytes without waiting, b"" at the end, None when there are none yet.
        if self._held:
            return self._take(n)
        if self._closing or not n:
            return b""
        return self._tcp.recv(self._runtime.now(), n)

    # --- writing ---

    @micropython.native
    def write(self, data):
        """Send data, or keep it until there is room. Follow it by `await drain()`.

        Raises OSError ENOBUFS when limits.STREAM_BACKLOG bytes are waiting already, EPIPE after
        close() or write_eof().
        """
        if self._finished or self._backlog:
            return self._write_behind(data)
        runtime = self._runtime
        n = self._tcp.send(runtime.now(), data)
        runtime.kick()
        if n < len(data):
            self._keep(data, n)

    def _write_behind(self, data):
        if self._finished:
            raise errors.failure(errors.EPIPE)
        if self._backlog_bytes >= limits.STREAM_BACKLOG:
            raise errors.failure(errors.ENOBUFS)
        if data:
            self._keep(data, 0)

    def _keep(self, data, n):
        # The caller may change anything but bytes before it is sent.
        rest = memoryview(data if isinstance(data, bytes) else bytes(data))[n:]
        self._backlog.append(rest)
        self._backlog_bytes += len(rest)

    async def drain(self):
        """Wait until everything written is on its way. Where that is so at once, other tasks run
        every eighth time."""
        self._drained = self._drained + 1 & 7
        if not self._drained:
            await turn
        while self._backlog:
            await self._writable
        if self._tcp.error:
            raise errors.failure(self._tcp.error)

    async def awrite(self, data):
        """write() and drain() in one."""
        while self._backlog_bytes >= limits.STREAM_BACKLOG:
            await self.drain()
        self.write(data)
        await self.drain()

    def write_eof(self):
        """Send no more once everything written is sent; reading goes on."""
        self._finished = True
        if not self._backlog:
            self._flush()

    # --- the connection ---

    def close(self):
        """Close the connection once everything written is sent. Does not wait for that."""
        if not self._closing:
            self._closing = self._finished = True
            self._held, self._at = b"", 0
            self._readable.set()
            if not self._backlog:
                self._flush()

    async def wait_closed(self):
        """close(), and wait until everything written is on its way."""
        self.close()
        while self._backlog:
            await self._writable

    aclose = wait_closed

    def abort(self):
        """Drop the connection and what was written; the peer sees a reset."""
        self._closing = self._finished = True
        self._held, self._at = b"", 0
        self._backlog = []
        self._backlog_bytes = 0
        self._tcp.abort(self._runtime.now())
        self._readable.set()
        self._writable.set()
        self._runtime.kick()

    def get_extra_info(self, name, default=None):
        """"peername" or "sockname": (IP address as text, port)."""
        address = {"peername": self._tcp.remote, "sockname": self._tcp.local}.get(name)
        return (ip_text(address[0]), address[1]) if address else default

    async def _connect(self, ip, port):
        self._tcp.connect(self._runtime.now(), ip, port)
        self._runtime.kick()
        self._opening = True
        while not self._tcp.events():
            await self._writable
        self._opening = False
        if self._tcp.error:
            raise errors.failure(self._tcp.error)

    @micropython.native
    def _on_event(self):
        # Whoever is woken looks for himself whether it is what he waits for.
        self._readable.set()
        if self._backlog:
            self._flush()
        elif self._opening:
            self._writable.set()

    def _flush(self):
        # Pass on what was kept, then what was to follow it.
        now = self._runtime.now()
        try:
            while self._backlog:
                data = self._backlog[0]
                n = self._tcp.send(now, data)
                self._backlog_bytes -= n
                if n < len(data):
                    self._backlog[0] = data[n:]
                    return
                self._backlog.pop(0)
            if self._closing:
                self._tcp.close(now)
            elif self._finished:
                self._tcp.shutdown_write(now)
        except OSError:         # the connection has failed: the next call tells
            self._backlog = []
            self._backlog_bytes = 0
        self._writable.set()
        self._runtime.kick()


class Server:
    """What start_server() returns. Usable in `async with`, which closes it."""

    def __init__(self, listener, callback, runtime):
        self._listener = listener
        self._callback = callback
        self._runtime = runtime
        self._closed = asyncio.Event()
        self._tasks = []        # a task that nobody holds may vanish on CPython
        listener.on_event = self._accept
        self.port = listener.local[1]

    def close(self):
        """Accept no more; connections that were accepted go on."""
        self._listener.close(self._runtime.now())
        self._runtime.kick()
        self._closed.set()

    async def wait_closed(self):
        """Wait until close() is called."""
        await self._closed.wait()

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, error, traceback):
        self.close()

    def _accept(self):
        while True:
            tcp = self._listener.accept()
            if tcp is None:
                return
            self._tasks.append(asyncio.create_task(self._serve(Stream(tcp, self._runtime))))

    async def _serve(self, stream):
        try:
            await self._callback(stream, stream)
        except BaseException:
            stream.abort()
            raise
        finally:
            self._tasks.remove(asyncio.current_task())


class Datagrams:
    """A UDP endpoint, to be made inside a running loop."""

    def __init__(self, host=None, port=0, broadcast=False, runtime=None):
        """
        host: local IP address as text; None, "" or "0.0.0.0": any of ours.
        port: 0 chooses a free one.
        broadcast: allow sending to broadcast addresses.

        Raises OSError: EADDRINUSE, ENOBUFS.
        """
        self._runtime = _driven(runtime)
        self._readable = Wake()
        self._text = self._ip = None    # of the last datagram's other host: slow to convert
        self._udp = UdpSocket(self._runtime.node.stack)
        self._udp.bind(None if host in _ANY else ip_parse(host), port)
        self._udp.broadcast = broadcast
        self._udp.on_event = self._readable.set
        self.port = self._udp.local[1]

    async def recvfrom(self):
        """(data, (IP address as text, port)) of the oldest datagram. Raises OSError EBADF once
        the endpoint is closed."""
        while True:
            if not self._udp.local[1]:
                raise errors.failure(EBADF)
            received = self._udp.recvfrom()
            if received:
                data, ip, port = received
                if ip != self._ip:
                    self._text, self._ip = ip_text(ip), ip
                return data, (self._text, port)
            await self._readable

    def sendto(self, data, address):
        """Send one datagram to (IP address as text, port). Raises ValueError, OSError."""
        host = address[0]
        ip = self._ip if host == self._text else self._parsed(host)
        self._udp.sendto(self._runtime.now(), data, ip, address[1])
        self._runtime.kick()

    def _parsed(self, host):
        ip = ip_parse(host)
        if len(ip) == 4:        # the others have more than one text, of which we give only one
            self._text, self._ip = host, ip
        return ip

    def join(self, group):
        """Receive what is sent to a multicast address (text) too. Raises ValueError, OSError."""
        self._udp.join(self._runtime.now(), ip_parse(group))
        self._runtime.kick()

    def leave(self, group):
        """Undo join(). Raises ValueError, OSError EINVAL when not joined."""
        self._udp.leave(self._runtime.now(), ip_parse(group))
        self._runtime.kick()

    def close(self):
        """Give the port back; a task that waits in recvfrom() gets OSError."""
        self._udp.close(self._runtime.now())
        self._readable.set()


def _driven(runtime):
    runtime = runtime or current()
    runtime.start()
    return runtime


async def _find(host, runtime):
    try:
        return ip_parse(host)
    except ValueError:
        from mpcore import dns  # costs nothing until the first name comes
        return (await dns.resolve(runtime, host))[0]
