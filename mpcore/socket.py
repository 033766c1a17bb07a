"""The `socket` module of MicroPython over a virtual network.

    from mpcore import socket
    s = socket.socket()
    s.connect(socket.getaddrinfo("10.144.0.2", 80)[0][-1])

A call that blocks drives the node meanwhile. A socket is a stream in MicroPython's sense, so
select.poll and asyncio's streams take it there (mpcore.aio reacts faster). Addresses are
(IP address as text, port); names are not looked up.
"""

from errno import EAGAIN, EBADF, EINPROGRESS, EINVAL, EOPNOTSUPP, ETIMEDOUT
import io

from micropython import const

from mpcore import limits
from mpcore.ip.errors import failure
from mpcore.ip.events import ERROR, HUP, READ, WRITE
from mpcore.ip.tcp import TcpSocket
from mpcore.ip.udp import UdpSocket
from mpcore.runtime import current
from mpcore.vl1.inet import ip_parse, ip_text

AF_INET = const(2)
AF_INET6 = const(10)
SOCK_STREAM = const(1)
SOCK_DGRAM = const(2)
IPPROTO_IP = const(0)
IPPROTO_TCP = const(6)
IPPROTO_UDP = const(17)
SOL_SOCKET = const(1)
SO_REUSEADDR = const(2)
SO_BROADCAST = const(6)
TCP_NODELAY = const(1)

# Requests of MicroPython's stream protocol
_FLUSH = const(1)
_POLL = const(3)
_CLOSE = const(4)
_POLLNVAL = const(0x20)

_UNKNOWN_NAME = const(-2)


class socket(io.IOBase):
    """A TCP or UDP socket. Errors are OSError with the number that MicroPython's sockets give.

    A call that may not wait raises EAGAIN (connect: EINPROGRESS), one that waited for too long
    ETIMEDOUT; the methods of a stream (read, readinto, readline, write) return None for either.
    """

    _open = False

    def __init__(self, family=AF_INET, type=SOCK_STREAM, proto=0, runtime=None):
        """family: kept for compatibility; an address tells its own. runtime: default current()."""
        if type not in (SOCK_STREAM, SOCK_DGRAM):
            raise failure(EINVAL)
        self._runtime = runtime or current()
        stack = self._runtime.node.stack
        self._ip = TcpSocket(stack) if type == SOCK_STREAM else UdpSocket(stack)
        self._tcp = type == SOCK_STREAM
        self._held = b""            # received and not yet read
        self._timeout_ms = None
        self._open = True

    # --- addresses and options ---

    def bind(self, address):
        """Set the local (host, port); host "" or "0.0.0.0" is any of ours, port 0 a free one."""
        host, port = address[:2]
        self._alive().bind(None if host in ("", "0.0.0.0", "::") else _ip(host), port)

    def listen(self, backlog=limits.TCP_BACKLOG):
        """Accept connections, of which `backlog` may wait."""
        self._stream().listen(backlog)

    def accept(self):
        """(socket, address) of the next connection."""
        listener = self._stream()
        tcp = listener.accept()
        while tcp is None:
            if not self._wait(READ):
                raise self._late()
            tcp = listener.accept()
        peer = socket(AF_INET, SOCK_STREAM, 0, self._runtime)
        peer._ip = tcp
        return peer, _address(*tcp.remote)

    def connect(self, address):
        """Connect to (host, port); a datagram socket only remembers its peer."""
        host, port = address[:2]
        ip = _ip(host)
        if not self._tcp:
            return self._alive().connect(ip, port)
        tcp = self._alive()
        tcp.connect(self._runtime.now(), ip, port)
        self._runtime.kick()
        if self._timeout_ms == 0:
            raise failure(EINPROGRESS)
        if not self._wait(WRITE):
            tcp.abort(self._runtime.now())
            raise failure(ETIMEDOUT)
        if tcp.error:
            raise failure(tcp.error)

    def setsockopt(self, level, option, value):
        """SO_BROADCAST is needed to send broadcasts. SO_REUSEADDR and TCP_NODELAY are always on,
        whatever is asked for. Others: EOPNOTSUPP."""
        ip = self._alive()
        if (level, option) == (SOL_SOCKET, SO_BROADCAST):
            ip.broadcast = bool(value)
        elif (level, option) not in ((SOL_SOCKET, SO_REUSEADDR), (IPPROTO_TCP, TCP_NODELAY)):
            raise failure(EOPNOTSUPP)

    def settimeout(self, seconds):
        """How long calls may wait: None for ever, 0 not at all."""
        self._timeout_ms = None if seconds is None else int(seconds * 1000)

    def setblocking(self, flag):
        """settimeout(None) or settimeout(0)."""
        self._timeout_ms = None if flag else 0

    def fileno(self):
        """-1: the system knows nothing of this socket."""
        return -1

    # --- a connection's data ---

    def send(self, data):
        """Send what there is room for, at least a byte; returns its length."""
        n = self._send(data)
        if n is None:
            raise self._late()
        return n

    def sendall(self, data):
        """Send all of data."""
        data = memoryview(data)
        while data:
            data = data[self.send(data):]

    def recv(self, n, flags=0):
        """At most n bytes as soon as there are any; b"" at the end of the stream."""
        if not self._tcp:
            return self.recvfrom(n)[0]
        data = self._receive(n)
        if data is None:
            raise self._late()
        return data

    def read(self, n=-1):
        """n bytes, less at the end of the stream; without n everything until the end."""
        if not self._tcp:
            return self._recvfrom_or_none(limits.REASSEMBLY_BYTES if n < 0 else n)
        parts = []
        while n:
            data = self._receive(limits.STREAM_CHUNK if n < 0 else n)
            if data is None and not parts:
                return None
            if not data:
                break
            parts.append(data)
            n -= len(data) if n > 0 else 0
        return b"".join(parts)

    def readinto(self, buf, n=-1):
        """Fill buf, or its first n bytes; returns the length, less at the end of the stream."""
        data = self.read(len(buf) if n < 0 else n)
        if data is None:
            return None
        buf[:len(data)] = data
        return len(data)

    def readline(self, n=-1):
        """A line with its "\\n", cut after n bytes if given; b"" at the end of the stream."""
        parts = []
        while n:
            data = self._receive(limits.STREAM_CHUNK if n < 0 else n)
            if data is None and not parts:
                return None
            if not data:
                break
            end = data.find(b"\n") + 1
            if end:
                self._held = data[end:] + self._held
                data = data[:end]
            parts.append(data)
            n -= len(data) if n > 0 else 0
            if end:
                break
        return b"".join(parts)

    def write(self, data):
        """Send all of data, or without waiting what there is room for; returns its length."""
        data = memoryview(data)
        sent = 0
        while sent < len(data):
            n = self._send(data[sent:])
            if n is None:
                return sent or None
            sent += n
        return sent

    def makefile(self, mode="rb", buffering=0):
        """The socket itself, which is a stream already."""
        return self

    # --- datagrams ---

    def sendto(self, data, address):
        """Send one datagram to (host, port); returns its length."""
        host, port = address[:2]
        n = self._datagram().sendto(self._runtime.now(), data, _ip(host), port)
        self._runtime.kick()
        return n

    def recvfrom(self, n):
        """(data, address) of the next datagram, cut to n bytes, or of the next data."""
        if self._tcp:
            return self.recv(n), _address(*self._ip.remote)
        udp = self._datagram()
        received = udp.recvfrom()
        while received is None:
            if not self._wait(READ):
                raise self._late()
            received = udp.recvfrom()
        data, ip, port = received
        return data[:n], _address(ip, port)

    # --- as a stream ---

    def close(self):
        """Be done with the socket; what was sent is still delivered."""
        if self._open:
            self._open = False
            self._held = b""
            self._ip.close(self._runtime.now())
            self._runtime.kick()

    def ioctl(self, request, argument):
        """MicroPython's stream protocol: poll, flush and close; -1 for what is not known."""
        if request == _POLL:
            if not self._open:
                return _POLLNVAL
            self._runtime.step(0)
            return self._events() & (argument | ERROR | HUP)
        if request == _CLOSE:
            self.close()
            return 0
        return 0 if request == _FLUSH else -1

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        self.close()

    # --- how calls wait ---

    def _alive(self):
        if not self._open:
            raise failure(EBADF)
        return self._ip

    def _stream(self):
        if not self._tcp:
            raise failure(EOPNOTSUPP)
        return self._alive()

    def _datagram(self):
        if self._tcp:
            raise failure(EOPNOTSUPP)
        return self._alive()

    def _events(self):
        return self._ip.events() | (READ if self._held else 0)

    def _wait(self, mask):
        """Drive the node until one of these events or an error; False when that takes too long."""
        runtime = self._runtime
        timeout_ms = self._timeout_ms
        end = None if timeout_ms is None else runtime.now() + timeout_ms
        while True:
            runtime.step(timeout_ms)
            if self._ip.events() & (mask | ERROR | HUP):
                return True
            if end is not None:
                timeout_ms = end - runtime.now()
                if timeout_ms <= 0:
                    return False

    def _late(self):
        return failure(ETIMEDOUT if self._timeout_ms else EAGAIN)

    def _send(self, data):
        """The bytes sent, at least one; None when that would take too long."""
        ip = self._alive()
        if not self._tcp:
            if ip.remote is None:
                raise failure(EINVAL)
            return self.sendto(data, _address(*ip.remote))
        n = ip.send(self._runtime.now(), data)
        while not n and data:
            if not self._wait(WRITE):
                return None
            n = ip.send(self._runtime.now(), data)
        self._runtime.kick()
        return n

    def _receive(self, n):
        """At most n bytes, b"" at the end; None when there are none in time."""
        tcp = self._stream()
        data = self._held
        if data or not n:
            self._held = data[n:]
            return data[:n]
        data = tcp.recv(self._runtime.now(), n)
        while data is None:
            if not self._wait(READ):
                return None
            data = tcp.recv(self._runtime.now(), n)
        return data

    def _recvfrom_or_none(self, n):
        try:
            return self.recvfrom(n)[0]
        except OSError as e:
            if e.errno in (EAGAIN, ETIMEDOUT):
                return None
            raise


def getaddrinfo(host, port, af=0, type=0, proto=0, flags=0):
    """[(family, type, protocol, "", address)] of a numeric host; None or "" is any of ours.

    Raises OSError -2 for a name.
    """
    host = host or "0.0.0.0"
    family = AF_INET6 if len(_ip(host)) == 16 else AF_INET
    if af not in (0, family):
        raise OSError(_UNKNOWN_NAME, host)
    return [(family, type or SOCK_STREAM, proto, "", (host, int(port)))]


def inet_pton(af, text):
    """The 4 or 16 bytes of an IP address. Raises OSError EINVAL for a malformed one."""
    try:
        ip = ip_parse(text)
    except ValueError:
        ip = b""
    if len(ip) != (4 if af == AF_INET else 16):
        raise failure(EINVAL)
    return ip


def inet_ntop(af, ip):
    """The text of an IP address of 4 or 16 bytes. Raises OSError EINVAL for another length."""
    if len(ip) != (4 if af == AF_INET else 16):
        raise failure(EINVAL)
    return ip_text(bytes(ip))


def inet_aton(text):
    """The 4 bytes of an IPv4 address. Raises OSError EINVAL for a malformed one."""
    return inet_pton(AF_INET, text)


def _ip(host):
    try:
        return ip_parse(host)
    except ValueError:
        raise OSError(_UNKNOWN_NAME, "not an IP address: " + host)


def _address(ip, port):
    return ip_text(ip), port
