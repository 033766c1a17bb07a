"""MicroPython on a board: run on an emulated Pico W with its firmware. IPv4 only."""

import select
import socket

from mpcore.port.base import START
from mpcore.port.micropython_common import (
    Loop, MicroPythonPort, Wake, entropy, now_ms, turn, wait, wall_ms)

# Boards reassemble no IP fragments, so nothing longer than this arrives.
_DATAGRAM = 1472
_buf = bytearray(START + _DATAGRAM)     # taken before code has cut the heap into pieces
# On one slow core the application's turn comes after every single datagram.
_BATCH = 1


def to_sockaddr(endpoint):
    """The platform's form of an endpoint. Raises OSError for IPv6."""
    if len(endpoint) != 6:
        raise OSError("IPv4 only")
    return ".".join(str(x) for x in endpoint[:4]), int.from_bytes(endpoint[4:], "big")


def to_endpoint(sockaddr):
    """The endpoint of what the platform gives for an address."""
    address, port = sockaddr
    return bytes(int(x) for x in address.split(".")) + port.to_bytes(2, "big")


class Port(MicroPythonPort):
    """See BasePort. There are no file modes here: whoever reads the flash has the secrets."""

    _sockaddr = staticmethod(to_sockaddr)
    _endpoint = staticmethod(to_endpoint)

    def __init__(self, home, bind):
        super().__init__(home, bind, _buf, _BATCH)

    def _open(self, address, port):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind((address, port))
        self._pending.register(sock, select.POLLIN)
        return sock, self._endpoint((address, port))

    def _own_address(self, size):
        import network
        wlan = network.WLAN(network.STA_IF)
        if size == 4 and wlan.isconnected():
            return self._endpoint((wlan.ifconfig()[0], 0))[:-2]
        return None
