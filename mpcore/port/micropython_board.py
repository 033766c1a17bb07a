"""MicroPython on a board: run on an emulated Pico W with its firmware. IPv4 only."""

import select
import socket
from errno import EAGAIN

import micropython
from micropython import const

from mpcore import limits
from mpcore.octets import copy
from mpcore.port.base import START
from mpcore.port.micropython_common import (
    Loop, MicroPythonPort, Wake, entropy, now_ms, turn, wait, wall_ms)

# Boards reassemble no IP fragments, so nothing longer than this arrives.
_DATAGRAM = 1472
_buf = bytearray(START + _DATAGRAM)     # taken before code has cut the heap into pieces
_PASSED_OVER = const(8)     # times; then it is the turn of the datagram that waits for longest


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
    """See BasePort. There are no file modes here: whoever reads the flash has the secrets.

    On one slow core the application's turn comes after every single datagram; and of several the
    one that whoever has talked last has sent is the first, lest a reaction waits for all that
    came before what it is to.
    """

    _sockaddr = staticmethod(to_sockaddr)
    _endpoint = staticmethod(to_endpoint)

    def __init__(self, home, bind):
        super().__init__(home, bind, _buf, 1)
        self.behind = []        # (data, address in the platform's form)
        self._passed_over = 0

    @micropython.native
    def drain(self, receiver, now, ready=None):
        """Hand on one datagram, see MicroPythonPort.drain; receiver.foremost(data) says whether it
        has to wait for no other, and receiver.talked_ms(data) which of several is the first."""
        behind = self.behind
        if ready is None:
            for sock, _ in self._pending.ipoll(0):
                ready = sock
        found = None
        while ready is not None:
            try:
                data, sockaddr = found = ready.recvfrom(self._longest)
            except OSError as e:
                if e.errno != EAGAIN:       # somebody else took it meanwhile
                    self.counters["receive_failed"] += 1
                break
            if not behind and receiver.foremost(data):
                break
            behind.append(found)
            found = ready = None
            if self._room():
                for sock, _ in self._pending.ipoll(0):
                    ready = sock
        if found is None:
            if not behind:
                return 0
            data, sockaddr = behind.pop(self._next(receiver) if len(behind) > 1 else 0)
        buf, n = self._buf, len(data)
        copy(buf, START, data, 0, n)
        self.counters["received"] += 1
        receiver.receive(now(), self._endpoints.get(sockaddr) or self._source(sockaddr), buf,
                         START, n)
        return 1

    def keep(self, sock):
        if self._room():
            try:
                self.behind.append(sock.recvfrom(self._longest))
            except OSError:
                return False
        return True

    def _room(self):
        return (len(self.behind) < limits.BEHIND
                and sum([len(data) for data, _ in self.behind]) < limits.BEHIND_BYTES)

    def _next(self, receiver):
        """Which of those behind is next; of one sender's it is the first."""
        talked_ms = [receiver.talked_ms(data) for data, _ in self.behind]
        found = talked_ms.index(max(talked_ms))
        self._passed_over = self._passed_over + 1 if found else 0
        if self._passed_over > _PASSED_OVER:
            found = self._passed_over = 0
        return found

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
