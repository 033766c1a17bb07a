"""A socket of the platform's own in the shape of mpcore.ip's, so that either can be below ours.

It never blocks: whoever waits for it drives the nodes meanwhile.
"""

import socket
from errno import EAGAIN, EALREADY, EINPROGRESS, EOPNOTSUPP

from micropython import const

native_module = socket      # before anybody put another in its place

_WRITE = const(4)
_ERROR = const(8)
_ONE_DATAGRAM = const(65536)
_LATER = (EAGAIN, EALREADY, EINPROGRESS)
_CONNECTED = (56, 106, 127)     # EISCONN of macOS, Linux and newlib: no MicroPython names it
_PEEK = getattr(socket, "MSG_PEEK", 2)


def constant(name, otherwise):
    """What the platform calls `name` in its socket module, or `otherwise`."""
    return int(getattr(socket, name, otherwise))


def lookup(host, size):
    """The platform's sockaddrs of a host; size: 4, 16 or 0 (both). Blocks.

    Raises OSError with a negative number, as getaddrinfo has its own.
    """
    family = {4: socket.AF_INET, 16: socket.AF_INET6}.get(size, 0)
    try:
        found = socket.getaddrinfo(host, 1, family, socket.SOCK_STREAM)
    except OSError as e:
        code = e.args[0]
        if isinstance(code, str):       # the unix port says "[addrinfo error -2]"
            code = int(code[code.rfind(" ") + 1:-1])
        raise OSError(-abs(code), host)
    return [info[-1] for info in found if info[-1]]


class NativeSocket:
    """TCP or UDP. The calls are those of mpcore.ip.tcp.TcpSocket and mpcore.ip.udp.UdpSocket.

    A platform adds to_sockaddr(endpoint), to_endpoint(sockaddr) and _ready(), its poll's mask.
    """

    def __init__(self, family, kind, sock=None, remote=None):
        self.sock = sock or socket.socket(family, kind)
        self.sock.setblocking(False)
        self.family = family
        self.kind = kind
        self.local = (None, 0)
        self.remote = remote
        self.error = 0
        self.on_event = None
        self._connecting = None     # the sockaddr, until it is known how that ended

    def bind(self, ip, port):
        """Set the local address; ip None: any of this host's."""
        ip = ip or bytes(4 if self.family == socket.AF_INET else 16)
        self.sock.bind(self.to_sockaddr(ip + port.to_bytes(2, "big")))
        self.local = (ip, port)

    def listen(self, backlog):
        self.sock.listen(backlog)

    def accept(self):
        """The oldest connection that waits, or None."""
        found = self._now(self.sock.accept)
        if found is None:
            return None
        sock, sockaddr = found
        return type(self)(self.family, self.kind, sock, _address(self.to_endpoint(sockaddr)))

    def connect(self, now, ip, port):
        """Begin to connect; events() and then `error` tell how that ended."""
        self._connecting = self.to_sockaddr(ip + port.to_bytes(2, "big"))
        self._now(self.sock.connect, self._connecting)
        self.remote = (ip, port)

    def events(self):
        """Mask of READ, WRITE, ERROR, HUP: what would not have to wait."""
        mask = self._ready()
        if mask & _WRITE and self._connecting is not None:
            self._end_connecting()
        return mask | _ERROR if self.error else mask

    def send(self, now, data):
        """The bytes taken; 0: wait until it is writable."""
        if self._connecting is not None and not self.events() & _WRITE:
            return 0
        return self._now(self.sock.send, data) or 0

    def recv(self, now, n, peek=False):
        """At most n bytes, b"" at the end of the stream, None when there is nothing yet."""
        if self._connecting is not None and not self.events() & _WRITE:
            return None
        return self._now(self.sock.recv, n, _PEEK) if peek else self._now(self.sock.recv, n)

    def sendto(self, now, data, ip, port):
        """Send one datagram; returns its length."""
        return self.sock.sendto(data, self.to_sockaddr(ip + port.to_bytes(2, "big")))

    def recvfrom(self, peek=False):
        """(data, ip, port) of the oldest datagram, or None."""
        if peek:
            found = self._now(self.sock.recvfrom, _ONE_DATAGRAM, _PEEK)
        else:
            found = self._now(self.sock.recvfrom, _ONE_DATAGRAM)
        if found is None:
            return None
        data, sockaddr = found
        return (data,) + _address(self.to_endpoint(sockaddr))

    def setsockopt(self, level, option, value):
        self.sock.setsockopt(level, option, value)

    def shutdown_write(self, now):
        self._shutdown(1)

    def shutdown_read(self, now):
        self._shutdown(0)

    def close(self, now):
        self.sock.close()

    def abort(self, now):
        self.sock.close()

    def _shutdown(self, how):
        if not hasattr(self.sock, "shutdown"):      # no MicroPython has it
            raise OSError(EOPNOTSUPP, "not on this platform")
        self.sock.shutdown(how)

    def _end_connecting(self):
        try:
            self.sock.connect(self._connecting)     # again: not every platform has SO_ERROR
        except OSError as e:
            if e.errno in _LATER:
                return
            if e.errno not in _CONNECTED:
                self.error = e.errno
        self._connecting = None

    def _now(self, call, *arguments):
        """What a call returns, None when it would block."""
        if self.error:
            raise OSError(self.error, "not connected")
        try:
            return call(*arguments)
        except OSError as e:
            if e.errno in _LATER:
                return None
            if self.kind == socket.SOCK_STREAM:
                self.error = e.errno
            raise


def _address(endpoint):
    return endpoint[:-2], endpoint[-2] << 8 | endpoint[-1]
