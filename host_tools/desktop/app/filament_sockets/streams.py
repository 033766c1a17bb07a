"""TCP over a virtual network: listeners and connections of this process."""

import errno
import select
import socket

from . import addresses, line
from .ends import End, adopt, keep, platform


class Bound(End):
    """A TCP socket that is bound to an address of ours and is neither of the others yet."""

    def connect(self, sock, address):
        connect(sock, address, self.local)

    def connect_ex(self, sock, address):
        return code(self.connect, sock, address)

    def listen(self, sock, backlog=socket.SOMAXCONN):
        listen(sock, self.local, backlog)

    def getpeername(self, sock):
        raise line.failure(errno.ENOTCONN)


class Listener(End):
    """Each message that its descriptor brings is a connection, with the descriptor of that."""

    def accept(self, sock):
        answer, descriptor = line.receive(_Receiver(sock))
        peer = socket.socket(sock.family, sock.type, sock.proto, fileno=descriptor)
        if socket.getdefaulttimeout() is None and sock.gettimeout():
            peer.setblocking(True)
        if answer["number"] is None:        # the platform's
            return peer, platform.getpeername(peer)
        local, remote = (addresses.sockaddr(sock.family, addresses.parse(host), port)
                         for host, port in (answer["local"], answer["peer"]))
        keep(peer, Stream(answer["number"], local, remote))
        return peer, remote

    def listen(self, sock, backlog=socket.SOMAXCONN):
        pass

    def getpeername(self, sock, *arguments):
        raise line.failure(errno.ENOTCONN)

    # What its descriptor brings is not for the application.
    recv = recv_into = recvfrom = recvfrom_into = recvmsg = getpeername
    send = sendall = sendto = sendmsg = getpeername

    def getsockopt(self, sock, level, option, size=0):
        if (level, option) == (socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return 1
        return super().getsockopt(sock, level, option, size)


class _Receiver:
    """A socket's own recvmsg, with its timeout."""

    def __init__(self, sock):
        self._sock = sock

    def recvmsg(self, *arguments):
        return platform.recvmsg(self._sock, *arguments)


class Stream(End):
    """A connection. Until it is made its descriptor is not writable: the node has filled it."""

    connecting = False

    def connect(self, sock, address):
        if not self.connecting:
            raise line.failure(errno.EISCONN)
        if not _writable(sock, 0):
            raise line.failure(errno.EALREADY)
        self._conclude(sock)

    def connect_ex(self, sock, address):
        return code(self.connect, sock, address)

    def wait_connected(self, sock):
        """As connect() ends, by the socket's timeout."""
        timeout = sock.gettimeout()
        if timeout == 0:
            raise line.failure(errno.EINPROGRESS)
        if not _writable(sock, timeout):
            raise TimeoutError("timed out")
        self._conclude(sock)

    def _conclude(self, sock):
        error = self.getsockopt(sock, socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise line.failure(error)

    def getpeername(self, sock):
        if self.connecting and _writable(sock, 0):
            self.connecting = False
        if self.connecting:
            raise line.failure(errno.ENOTCONN)
        return self.peer

    def getsockopt(self, sock, level, option, size=0):
        if (level, option) == (socket.SOL_SOCKET, socket.SO_ERROR):
            error = platform.getsockopt(sock, level, option)
            if error or _writable(sock, 0):
                self.connecting = False
            return (self._error() or error) if error else 0
        return super().getsockopt(sock, level, option, size)

    # A pair of Unix sockets knows no other error than a reset; the node knows which it was.

    def recv(self, sock, size, flags=0):
        data = self._try(platform.recv, sock, size, flags)
        if size and not data:
            self._end()
        return data

    def recv_into(self, sock, buffer, nbytes=0, flags=0):
        n = self._try(platform.recv_into, sock, buffer, nbytes, flags)
        if not n and memoryview(buffer).nbytes:
            self._end()
        return n

    def recvfrom(self, sock, size, flags=0):
        return self.recv(sock, size, flags), None

    def recvfrom_into(self, sock, buffer, nbytes=0, flags=0):
        return self.recv_into(sock, buffer, nbytes, flags), None

    def send(self, sock, data, flags=0):
        return self._try(platform.send, sock, data, flags)

    def sendall(self, sock, data, flags=0):
        return self._try(platform.sendall, sock, data, flags)

    def sendto(self, sock, data, *rest):
        return self.send(sock, data, rest[0] if len(rest) > 1 else 0)

    def _try(self, call, *arguments):
        try:
            return call(*arguments)
        except ConnectionError as error:
            number = self._error()
            raise (line.failure(number) if number else error) from None

    def _end(self):
        number = self._error()
        if number:
            raise line.failure(number)

    def _error(self):
        return line.ask("error", number=self.number)[0]["errno"]


def connect(sock, address, local=None):
    """Connect over a virtual network. Returns False when the address is the platform's business.

    local: address of ours that the socket is bound to, or None.
    """
    ip, port = addresses.parse(address[0]), address[1]
    if ip is None or (local is None and (addresses.is_local(ip) or not any(ip))):
        return False
    answer, descriptor = line.ask("connect", ip=ip.hex(), port=port, local=local and local[:2])
    if descriptor is None:
        return False
    stream = Stream(answer["number"], addresses.sockaddr(
        sock.family, addresses.parse(answer["local"][0]), answer["local"][1]),
        addresses.sockaddr(sock.family, ip, port))
    stream.connecting = True
    adopt(sock, descriptor, stream)
    stream.wait_connected(sock)
    return True


def listen(sock, local, backlog, both=False):
    """Listen on a virtual network; `both`: on the platform's too, which listens already."""
    only6 = both and sock.family == socket.AF_INET6 and platform.getsockopt(
        sock, socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    sizes = [4] if sock.family == socket.AF_INET else [16] if only6 else [4, 16]
    answer, descriptor = line.ask("listen", sock.fileno() if both else None, sizes=sizes,
                                  local=local[:2], backlog=backlog)
    if descriptor is not None:
        adopt(sock, descriptor, Listener(answer["number"], local))


def code(call, *arguments):
    """What connect_ex() returns where connect() would raise."""
    try:
        call(*arguments)
    except TimeoutError:
        return errno.EAGAIN
    except OSError as error:
        if error.errno is None or isinstance(error, socket.gaierror):
            raise
        return error.errno
    return 0


def _writable(sock, timeout):
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLOUT)
    return bool(poll.poll(None if timeout is None else timeout * 1000))
