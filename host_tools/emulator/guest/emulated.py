"""The emulated board's network, as a stand-in for the firmware's `socket` module.

The emulator has no Wi-Fi chip, but an interface of its own (nic.mjs), which carries UDP to and
from sockets of the host's loopback interface. `install()` puts this module in place of `socket`.
"""

import io
import sys
from errno import EAGAIN, EHOSTUNREACH, EOPNOTSUPP
from socket import AF_INET, AF_INET6, SOCK_DGRAM, SOCK_STREAM    # noqa: F401
from time import sleep_ms

import machine
from micropython import const
from uctypes import addressof

_NIC = const(0x40070000)
_STATUS = const(_NIC + 0x00)
_RX_LENGTH = const(_NIC + 0x04)
_RX_PORT = const(_NIC + 0x08)
_RX_TAKE = const(_NIC + 0x0C)
_TX_LENGTH = const(_NIC + 0x10)
_TX_PORT = const(_NIC + 0x14)
_TX_ADDRESS = const(_NIC + 0x18)
_TX_SEND = const(_NIC + 0x1C)
_SOCKET = const(_NIC + 0x20)
_BIND = const(_NIC + 0x24)
_CLOSE = const(_NIC + 0x28)
_RESET = const(_NIC + 0x2C)
_RX_ADDRESS = const(_NIC + 0x30)
_CYCLES = const(_NIC + 0x40)
_MARK = const(_NIC + 0x44)
_ASKED = const(_NIC + 0x48)

_POLL = const(3)        # of ioctl
_GIVE_UP = const(4)
_READABLE = const(1)
_WRITABLE = const(4)

_registers = machine.mem32


def install():
    """From now on `import socket` gives this module. Sockets from before a soft reset close."""
    _registers[_RESET] = 1
    sys.modules["socket"] = sys.modules["usocket"] = sys.modules[__name__]


def link():
    """Whether the cable is in."""
    return bool(_registers[_STATUS] & 1)


def cycles():
    """Cycles that the core has executed, modulo 2**30."""
    return _registers[_CYCLES]


def mark(number):
    """Tell the host a number, and at which cycle it was told."""
    _registers[_MARK] = number


def asked():
    """Whether the host wants to be told of the memory; True once for each time."""
    return bool(_registers[_ASKED])


class socket(io.IOBase):
    """A UDP socket over IPv4."""

    def __init__(self, family=AF_INET, kind=SOCK_DGRAM, protocol=0):
        if family != AF_INET or kind != SOCK_DGRAM:
            raise OSError(EOPNOTSUPP)
        self._index = None
        self._blocks = True
        self._sources = {}

    def bind(self, address):
        _registers[_BIND] = address[1]
        self._index = _registers[_SOCKET]
        while not _registers[_BIND]:
            sleep_ms(1)

    def setblocking(self, flag):
        self._blocks = bool(flag)

    def recvfrom(self, size):
        registers = _registers
        registers[_SOCKET] = self._index
        while not registers[_RX_LENGTH]:
            if not self._blocks:
                raise OSError(EAGAIN)
            sleep_ms(1)
        data = bytearray(registers[_RX_LENGTH])
        source = registers[_RX_ADDRESS], registers[_RX_PORT]
        registers[_RX_TAKE] = addressof(data)
        sockaddr = self._sources.get(source)
        if sockaddr is None:
            address, port = source
            host = ".".join([str(address >> shift & 255) for shift in (24, 16, 8, 0)])
            sockaddr = self._sources[source] = (host, port)
        return data, sockaddr

    def sendto(self, data, address):
        if self._index is None:
            self.bind(("", 0))
        host, port = address
        registers = _registers
        registers[_SOCKET] = self._index
        registers[_TX_LENGTH] = len(data)
        registers[_TX_PORT] = port
        number = 0
        for part in host.split("."):
            number = number << 8 | int(part)
        registers[_TX_ADDRESS] = number
        if not registers[_STATUS] & 1:
            raise OSError(EHOSTUNREACH)
        registers[_TX_SEND] = addressof(data)
        return len(data)

    def ioctl(self, request, argument):
        if request == _POLL:
            _registers[_SOCKET] = self._index
            ready = argument & _WRITABLE
            if argument & _READABLE and _registers[_RX_LENGTH]:
                ready |= _READABLE
            return ready
        if request == _GIVE_UP:
            self.close()
            return 0
        return -1

    def close(self):
        if self._index is not None:
            _registers[_SOCKET] = self._index
            _registers[_CLOSE] = 1
            self._index = None


def getaddrinfo(host, port, family=0, kind=0, protocol=0, flags=0):
    """Numeric addresses only."""
    return [(AF_INET, SOCK_DGRAM, 0, "", (host, port))]
