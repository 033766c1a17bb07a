"""MicroPython's unix port."""

import os
import select
import socket

from mpcore import limits
from mpcore.port.base import START
from mpcore.port.micropython_common import (
    Loop, MicroPythonPort, Wake, entropy, now_ms, turn, wait, wall_ms)
from mpcore.port.storage import Storage

_IPPROTO_IPV6 = 41
_IPV6_V6ONLY = 26
_FIRST_FREE_PORT = 49152
_ATTEMPTS = 32

# How a sockaddr of this system begins, found out rather than assumed: the address family (and on
# BSD a length before it). Keyed by the length of an endpoint.
_PREFIX = {
    6: bytes(socket.getaddrinfo("127.0.0.1", 1)[0][-1][:2]),
    18: bytes(socket.getaddrinfo("::1", 1)[0][-1][:2]),
}


def to_sockaddr(endpoint):
    """The platform's form of an endpoint."""
    at = len(endpoint) - 2
    if at == 4:
        return _PREFIX[6] + endpoint[4:] + endpoint[:4] + bytes(8)
    return _PREFIX[18] + endpoint[at:] + bytes(4) + endpoint[:at] + bytes(4)


def to_endpoint(sockaddr):
    """The endpoint of what the platform gives for an address."""
    at, n = (4, 4) if len(sockaddr) == 16 else (8, 16)
    return bytes(sockaddr[at:at + n] + sockaddr[2:4])


class Files(Storage):
    """Storage with this platform's modes of files."""

    def _make_directory(self, path):
        _shell("mkdir -m 700 ", path)

    def _create(self, path, secret):
        if secret:
            _shell("umask 077; : > ", path)     # there is no chmod here
        return open(path, "wb")


class Port(MicroPythonPort):
    """See BasePort.

    MicroPython here has no fsync: a store is atomic against a crash of the process, and against
    a power cut only as far as the file system orders a rename after the data.
    """

    _sockaddr = staticmethod(to_sockaddr)
    _endpoint = staticmethod(to_endpoint)
    rings = limits.TCP_UNIX_RING, limits.TCP_UNIX_RING

    def __init__(self, home, bind):
        super().__init__(home, bind, bytearray(START + limits.DATAGRAM), limits.DRAIN_BATCH)

    def _open(self, address, port):
        family = socket.getaddrinfo(address, _FIRST_FREE_PORT)[0][0]
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            if family == socket.AF_INET6:
                sock.setsockopt(_IPPROTO_IPV6, _IPV6_V6ONLY, 1)
            sockaddr = _bind(sock, address, port) if port else _bind_free(sock, address)
        except BaseException:
            sock.close()
            raise
        self._pending.register(sock, select.POLLIN)
        return sock, self._endpoint(sockaddr)

    def _storage(self):
        return Files(self.home)


def _bind(sock, address, port):
    sockaddr = socket.getaddrinfo(address, port)[0][-1]
    sock.bind(sockaddr)
    return sockaddr


def _bind_free(sock, address):
    # This platform cannot tell which port a bind to 0 has chosen, so the choice is made here.
    for attempt in range(_ATTEMPTS):
        port = _FIRST_FREE_PORT + int.from_bytes(entropy(2), "big") % (65536 - _FIRST_FREE_PORT)
        try:
            return _bind(sock, address, port)
        except OSError:
            if attempt == _ATTEMPTS - 1:
                raise


def _shell(command, path):
    if os.system(command + "'" + path.replace("'", "'\\''") + "'"):
        raise OSError("cannot do: " + command + path)
