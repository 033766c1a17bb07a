"""What this process knows of its descriptors that lead to a virtual network."""

import os
import socket
from types import SimpleNamespace

METHODS = ("accept", "bind", "connect", "connect_ex", "dup", "getpeername", "getsockname",
           "getsockopt", "listen", "recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg",
           "send", "sendall", "sendmsg", "sendto", "setsockopt")

platform = SimpleNamespace(**{name: getattr(socket.socket, name) for name in METHODS})

# By descriptor, so that an SSLSocket finds what the socket it replaces had. Who closes
# a descriptor need not tell: when its number is used again, the inode is another one.
_ends = {}


class End:
    """A socket's state; a subclass has the methods of METHODS that differ from the platform's,
    with the socket as their first argument.

    local, peer: addresses as the application sees them; peer None where there is none.
    """

    inode = None
    _SAID = {socket.SO_TYPE: "type", socket.SO_DOMAIN: "family", socket.SO_PROTOCOL: "proto"}

    def __init__(self, number, local, peer=None):
        self.number = number        # by which the node knows it
        self.local = local
        self.peer = peer
        self.options = {}

    def getsockname(self, sock):
        return self.local

    def getsockopt(self, sock, level, option, size=0):
        if level == socket.SOL_SOCKET and option in self._SAID:
            return getattr(sock, self._SAID[option])
        value = self.options.get((level, option))
        if value is None:
            value = bytes(size) if size else 0
        return value

    def setsockopt(self, sock, level, option, value, size=None):
        self.options[level, option] = value

    def dup(self, sock):
        other = platform.dup(sock)
        _ends[other.fileno()] = self
        return other


def of(sock):
    """The End of a socket, or None when it is the platform's."""
    descriptor = sock.fileno()
    end = _ends.get(descriptor)
    if end is None or os.fstat(descriptor).st_ino == end.inode:
        return end
    _ends.pop(descriptor, None)
    return None


def keep(sock, end):
    """Remember the end that a socket's descriptor is."""
    end.inode = os.fstat(sock.fileno()).st_ino
    _ends[sock.fileno()] = end


def adopt(sock, descriptor, end):
    """Put a descriptor into the place of a socket's own."""
    own = sock.fileno()
    os.set_blocking(descriptor, sock.gettimeout() is None)
    os.dup2(descriptor, own, os.get_inheritable(own))
    os.close(descriptor)
    keep(sock, end)
