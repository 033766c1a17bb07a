"""The `socket` module of MicroPython over a virtual network.

    from mpcore import socket
    s = socket.socket()
    s.connect(socket.getaddrinfo("10.144.0.2", 80)[0][-1])

A call that blocks drives the node meanwhile. A socket is a stream in MicroPython's sense, so
select.poll, asyncio's streams and ssl take it there (mpcore.aio reacts faster). Names are those
of the virtual network (mpcore.dns). mpcore.interpose() puts this beside the platform's sockets.

A socket that is dropped without close() is closed on CPython. MicroPython's garbage collector
calls nothing of a class in Python: there a dropped socket stays open, so use `with`.
"""

from errno import EAGAIN, EBADF, EINPROGRESS, EINVAL, ENOTCONN, EOPNOTSUPP, ETIMEDOUT

from micropython import const

from mpcore import limits
from mpcore.ip.errors import EISCONN, EPIPE, failure
from mpcore.ip.events import ERROR, HUP, READ, WRITE
from mpcore.ip.states import CLOSING, FIN_WAIT_1, LAST_ACK
from mpcore.ip.tcp import TcpSocket
from mpcore.ip.udp import UdpSocket
from mpcore.runtime import current
from mpcore.runtimes import drive
from mpcore.socket import addresses
from mpcore.socket.addresses import inet_aton, inet_ntoa, inet_ntop, inet_pton
from mpcore.socket.constants import *
from mpcore.socket.options import Options
from mpcore.socket.stream import Stream

# Requests of MicroPython's stream protocol
_FLUSH = const(1)
_POLL = const(3)
_CLOSE = const(4)
_POLLNVAL = const(0x20)

_CALLBACK = const(20)       # MicroPython's own option of boards: call this when it is readable
_FIRST_NUMBER = const(1 << 20)

_number = _FIRST_NUMBER     # that fileno() gave last


class socket(Stream):
    """A TCP or UDP socket. Errors are OSError with the number that MicroPython's sockets give.

    A call that may not wait raises EAGAIN (connect: EINPROGRESS), one that waited for too long
    ETIMEDOUT. An address is (host, port), or what getaddrinfo() gave.
    """

    _open = False

    def __init__(self, family=AF_INET, type=SOCK_STREAM, proto=0, runtime=None, ip=None):
        """
        family: kept for compatibility; an address tells its own.
        runtime: of the node to use; without one current().
        ip: a TcpSocket that exists already.

        Raises OSError EINVAL for another type than SOCK_STREAM and SOCK_DGRAM.
        """
        for argument in (family, type, proto):
            if not isinstance(argument, int):
                raise TypeError("int expected")
        if type not in (SOCK_STREAM, SOCK_DGRAM):
            raise failure(EINVAL)
        self._is_stream = type == SOCK_STREAM
        self._options = Options(self._is_stream)
        self._runtime = runtime or self._default_runtime()
        self._ip = ip or self._new(self._runtime)
        self._timeout_ms = None
        self._told = False          # the connection's error has been raised
        self._number = None
        self._callback = None       # option 20's
        self._waiter = None         # notify()'s
        self._open = True

    # --- addresses ---

    def bind(self, address):
        """Set the local address; host "" or "0.0.0.0" is any of ours, port 0 a free one."""
        host, port = addresses.split(address)
        self._alive()
        self._bind(addresses.local(host), port)

    def listen(self, backlog=limits.TCP_BACKLOG):
        """Accept connections, of which `backlog` may wait."""
        self._stream().listen(max(backlog, 0))
        self._watch()

    def accept(self):
        """(socket, address) of the next connection."""
        listener = self._stream()
        tcp = listener.accept()
        while tcp is None:
            if not self._wait(READ):
                raise self._late()
            tcp = listener.accept()
        peer = self._accepted(tcp)
        return peer, addresses.join(*tcp.remote)

    def connect(self, address):
        """Connect to an address; a datagram socket only remembers its peer."""
        host, port = addresses.split(address)
        self._alive()
        self._connect(self._lookup(host), port)

    def getsockname(self):
        """The local address."""
        ip, port = self._alive().local
        return addresses.join(ip or bytes(4), port)

    def getpeername(self):
        """The address of the other end. Raises OSError ENOTCONN."""
        if self._alive().remote is None:
            raise failure(ENOTCONN)
        return addresses.join(*self._ip.remote)

    def shutdown(self, how):
        """SHUT_WR: send no more, SHUT_RD: receive no more, SHUT_RDWR: neither."""
        tcp = self._stream()
        now = self._runtime.now()
        if how != SHUT_RD:
            tcp.shutdown_write(now)
        if how != SHUT_WR:
            tcp.shutdown_read(now)
        self._runtime.kick()

    # --- options ---

    def setsockopt(self, level, option, value):
        """Set an option; value is an int, or bytes as C has them.

        SOL_SOCKET: SO_BROADCAST (needed to send broadcasts), SO_KEEPALIVE, SO_LINGER,
        SO_BINDTODEVICE (the ID of a network), SO_SNDBUF and SO_RCVBUF (before the connection);
        SO_REUSEADDR (of TCP always on). IPPROTO_TCP: TCP_NODELAY (on by default), TCP_KEEPIDLE,
        TCP_KEEPINTVL, TCP_KEEPCNT. IPPROTO_IP: IP_TTL, IP_MULTICAST_TTL, IP_MULTICAST_LOOP,
        IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP. IPPROTO_IPV6: IPV6_JOIN_GROUP, IPV6_LEAVE_GROUP.
        Option 20 of SOL_SOCKET is MicroPython's: a function that is called with the socket when
        it becomes readable. Raises OSError: ENOPROTOOPT, EINVAL, ENODEV, ...
        """
        ip = self._alive()
        if (level, option) == (SOL_SOCKET, _CALLBACK) and (value is None or callable(value)):
            self._callback = value
            return self._watch()
        self._set_option(ip, level, option, value)
        self._runtime.kick()

    def getsockopt(self, level, option):
        """The value of an option as an int; also of SO_ERROR and SO_TYPE. Raises ENOPROTOOPT."""
        ip = self._alive()
        if (level, option) == (SOL_SOCKET, SO_TYPE):
            return SOCK_STREAM if self._is_stream else SOCK_DGRAM
        if (level, option) == (SOL_SOCKET, SO_ERROR):
            error = 0 if self._told else ip.error
            if self._is_stream:
                self._told = self._told or bool(error)
            else:
                ip.error = 0
            return error
        return self._options.get(ip, level, option)

    def settimeout(self, seconds):
        """How long calls may wait: None for ever, 0 not at all."""
        self._timeout_ms = None if seconds is None else int(seconds * 1000)

    def gettimeout(self):
        """What settimeout() set, in seconds."""
        return None if self._timeout_ms is None else self._timeout_ms / 1000

    def setblocking(self, flag):
        """settimeout(None) or settimeout(0)."""
        self._timeout_ms = None if flag else 0

    def fileno(self):
        """A number of this socket's own, by which the system knows nothing; -1 once closed."""
        global _number
        if not self._open:
            return -1
        if self._number is None:
            _number += 1
            self._number = _number
        return self._number

    # --- data ---

    def send(self, data, flags=0):
        """Send what there is room for, at least a byte; returns its length."""
        n = self._send(data, flags)
        if n is None:
            raise failure(EAGAIN)
        return n

    def sendall(self, data, flags=0):
        """Send all of data."""
        data = memoryview(data)
        while data:
            data = data[self.send(data, flags):]

    def sendto(self, data, *address):
        """Send one datagram to an address, which flags may precede; returns its length."""
        host, port = addresses.split(address[-1])
        ip = addresses.numeric(host) or self._lookup(host)
        return self._sendto(data, ip, port)

    def recv(self, n, flags=0):
        """At most n bytes as soon as there are any; b"" at the end of the stream.

        flags: MSG_PEEK leaves them to be read again, MSG_DONTWAIT does not wait.
        """
        if not self._is_stream:
            return self._recvfrom(n, flags)[0]
        self._top_up(n)
        data = self._peek(n, flags) if flags & MSG_PEEK else self._next(n, flags)
        if data is None:
            raise failure(EAGAIN)
        return data

    def recvfrom(self, n, flags=0):
        """(data, address) of the next datagram, cut to n bytes, or of the next data."""
        if self._is_stream:
            return self.recv(n, flags), addresses.join(*self._ip.remote)
        data, ip, port = self._recvfrom(n, flags)
        return data, addresses.join(ip, port)

    def recv_into(self, buf, n=0, flags=0):
        """As recv, into a buffer; returns the length."""
        data = self.recv(n or len(buf), flags)
        buf[:len(data)] = data
        return len(data)

    def recvfrom_into(self, buf, n=0, flags=0):
        """As recvfrom, into a buffer: (length, address)."""
        data, address = self.recvfrom(n or len(buf), flags)
        buf[:len(data)] = data
        return len(data), address

    def makefile(self, mode="rb", buffering=0):
        """The socket itself, which is a stream already."""
        return self

    # --- as a stream ---

    def close(self):
        """Be done with the socket; what was sent is still delivered, unless SO_LINGER is 0.

        With an SO_LINGER of some seconds a socket that may wait waits until the peer has it all,
        so long at most; then the connection is reset.
        """
        if self._open:
            self._open = False
            self._held = b""
            self._ip.on_event = None
            self._ip.close(self._runtime.now())
            self._runtime.kick()
            if self._waiter is not None:
                self._waiter()
            if self._timeout_ms != 0:
                self._linger()

    def ioctl(self, request, argument):
        """MicroPython's stream protocol: poll, flush and close; -EINVAL for what is not known."""
        if request == _POLL:
            if not self._open:
                return _POLLNVAL
            self._drive(0, 0)
            return self._events() & (argument | ERROR | HUP)
        if request == _CLOSE:
            self.close()
            return 0
        return 0 if request == _FLUSH else -EINVAL

    def notify(self, waiter):
        """Call waiter() whenever ready() may have changed; None: no more. Returns whether that
        can be told, which takes an asyncio loop that drives the node (port/event_queue.py)."""
        if waiter is not None and not self._runtime.driven():
            return False
        self._waiter = waiter
        self._watch()
        return True

    def ready(self):
        """Mask of select.POLL*, without looking for new datagrams."""
        return self._events() if self._open else _POLLNVAL

    def natives(self):
        """The platform's sockets that this one waits for too."""
        return ()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        self.close()

    # --- what mpcore.interposed does its own way ---

    def _default_runtime(self):
        return current()

    def _new(self, runtime):
        return (TcpSocket if self._is_stream else UdpSocket)(runtime.node.stack)

    def _lookup(self, host):
        return addresses.lookup(self._runtime, host)[0]

    def _bind(self, ip, port):
        self._ip.bind(ip or self._options.source, port)

    def _start(self, ip, port):
        # Begin to connect, or remember the peer.
        tcp = self._ip
        if self._options.source and not tcp.local[0]:
            tcp.bind(self._options.source, 0)
        if self._is_stream:
            tcp.connect(self._runtime.now(), ip, port)
        else:
            tcp.connect(ip, port)

    def _accepted(self, tcp):
        return socket(AF_INET, SOCK_STREAM, 0, self._runtime, tcp)

    def _set_option(self, ip, level, option, value):
        self._options.set(self._runtime.now(), self._runtime.node, ip, level, option, value)

    def _drive(self, timeout_ms, mask):
        drive(timeout_ms, self._runtime)

    # --- how calls wait ---

    def _alive(self):
        if not self._open:
            raise failure(EBADF)
        return self._ip

    def _stream(self):
        if not self._is_stream:
            raise failure(EOPNOTSUPP)
        return self._alive()

    def _events(self):
        mask = self._ip.events() | (READ if self._held else 0)
        if self._told:
            mask &= ~ERROR
        elif mask & HUP and self._ip.remote is None:
            mask &= ~READ           # a new one: Linux and lwIP have it so
        return mask

    def _wait(self, mask, flags=0):
        """Drive the node until one of these events or an error; False when that takes too long."""
        timeout_ms = 0 if flags & MSG_DONTWAIT else self._timeout_ms
        end = None if timeout_ms is None else self._runtime.now() + timeout_ms
        while True:
            self._drive(timeout_ms, mask)
            if self._ip.events() & (mask | ERROR | HUP):
                return True
            if end is not None:
                timeout_ms = end - self._runtime.now()
                if timeout_ms <= 0:
                    # What came leads to answers, which leave now: the next look may be far away.
                    self._drive(0, mask)
                    return bool(self._ip.events() & (mask | ERROR | HUP))

    def _late(self, flags=0):
        late = self._timeout_ms and not flags & MSG_DONTWAIT
        return failure(ETIMEDOUT if late else EAGAIN)

    def _in_time(self, mask, flags):
        """As _wait; raises ETIMEDOUT when there was time to wait and it has passed."""
        if self._wait(mask, flags):
            return True
        if self._timeout_ms and not flags & MSG_DONTWAIT:
            raise failure(ETIMEDOUT)
        return False

    def _connect(self, ip, port):
        self._start(ip, port)
        if not self._is_stream:
            return
        self._runtime.kick()
        if self._timeout_ms == 0:
            raise failure(EINPROGRESS)
        tcp = self._ip
        if not self._wait(WRITE):
            tcp.abort(self._runtime.now())
            raise failure(ETIMEDOUT)
        if tcp.error:
            self._told = True
            raise failure(tcp.error)

    def _send(self, data, flags=0):
        """The bytes sent, at least one; None when there is no room and no time to wait."""
        ip = self._alive()
        if not self._is_stream:
            if ip.remote is None:
                raise failure(EINVAL)
            return self._sendto(data, *ip.remote)
        if self._told:
            raise failure(EPIPE)
        n = self._try(ip.send, data)
        while not n and data:
            if not self._in_time(WRITE, flags):
                return None
            n = self._try(ip.send, data)
        self._runtime.kick()
        return n

    def _sendto(self, data, ip, port):
        if self._is_stream:
            raise failure(EISCONN if self._ip.remote else ENOTCONN)
        n = self._alive().sendto(self._runtime.now(), data, ip, port)
        self._runtime.kick()
        return n

    def _receive(self, n, flags=0):
        """At most n bytes, b"" at the end; None when there are none and no time to wait."""
        ip = self._alive()
        if not self._is_stream:
            try:
                return self._recvfrom(n, flags)[0]
            except OSError as e:
                if e.errno == EAGAIN:
                    return None
                raise
        if self._told or not n:
            return b""
        data = self._try(ip.recv, n)
        while data is None:
            if not self._in_time(READ, flags):
                return None
            data = self._try(ip.recv, n)
        return data

    def _peek(self, n, flags):
        if not self._held:
            data = self._receive(n, flags)
            if not data:
                return data
            self._held = data
        return self._held[self._at:self._at + n]

    def _top_up(self, n):
        """Have n bytes held, if as many are there already; nothing when none are held."""
        held = len(self._held) - self._at
        if 0 < held < n and not self._told:
            try:
                self._held += self._ip.recv(self._runtime.now(), n - held) or b""
            except OSError:
                pass        # told by the call that finds nothing before it

    def _recvfrom(self, n, flags):
        udp = self._alive()
        peek = (True,) if flags & MSG_PEEK else ()
        received = udp.recvfrom(*peek)
        while received is None:
            if not self._wait(READ, flags):
                raise self._late(flags)
            received = udp.recvfrom(*peek)
        data, ip, port = received
        return data[:n] if len(data) > n else data, ip, port

    def _try(self, call, argument):
        """Call a connection; its failure is told once, as Linux does it."""
        try:
            return call(self._runtime.now(), argument)
        except OSError:
            self._told = bool(self._ip.error)
            raise

    def _linger(self):
        # The connection itself ends the wait, see TcpSocket.linger_ms.
        ip = self._ip
        if self._is_stream and getattr(ip, "linger_ms", None):
            while ip.state in (FIN_WAIT_1, CLOSING, LAST_ACK):
                self._drive(None, 0)

    def _watch(self):
        self._ip.on_event = self._waiter if self._callback is None else self._call_back

    def _call_back(self):
        if self._waiter is not None:
            self._waiter()
        if self._events() & READ:
            self._callback(self)


def getaddrinfo(host, port, af=0, type=0, proto=0, flags=0):
    """[(family, type, protocol, "", address)] of a host; "" is any of ours.

    A name is looked up on the virtual network. Raises OSError: -2 for an unknown one, -3 when
    nobody answers.
    """
    return addresses.info(lambda host, size: addresses.lookup(None, host, size), host, port, af,
                          type, proto)
