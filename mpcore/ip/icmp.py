"""ICMP for IPv4 (RFC 792): echo both ways, unreachables both ways."""

import struct

from micropython import const

from mpcore.ip import errors
from mpcore.ip.headers import add
from mpcore.limits import ECHO_REQUESTS

PROTOCOL = const(1)
_ECHO_REPLY = const(0)
_UNREACHABLE = const(3)
_ECHO = const(8)
_CODE_PROTOCOL = const(2)
_CODE_PORT = const(3)
_CODE_TOO_BIG = const(4)
_HEADER = const(8)
_ADDRESSES = const(12)  # where an IPv4 header has them
_ERRORS_PER_S = const(10)


class Icmp:
    def __init__(self, stack):
        self._stack = stack
        self._echoes = []       # (address, identifier and sequence, callback), oldest first
        self._second = None
        self._errors = 0

    def receive(self, now, interface, unicast, buf, addresses, size, off, n):
        """One ICMP message; source and destination are at buf[addresses:addresses + 2 * size]."""
        if n < _HEADER or not unicast:
            return self._stack.count("icmp_malformed" if unicast else "icmp_broadcast")
        if add(buf, off, n, 0) != 0xFFFF:
            return self._stack.count("icmp_checksum")
        source = bytes(buf[addresses:addresses + size])
        kind = buf[off]
        if kind == _ECHO and buf[off + 1] == 0:
            destination = bytes(buf[addresses + size:addresses + 2 * size])
            self._send(now, destination, source, _ECHO_REPLY, 0, buf[off + 4:off + 8],
                       buf[off + 8:off + n])
        elif kind == _ECHO_REPLY:
            self._answered(now, source, buf, off + 4, bytes(buf[off + 8:off + n]))
        elif kind == _UNREACHABLE:
            self._unreachable(now, buf[off + 1], buf, off + _HEADER, n - _HEADER, size)
        else:
            self._stack.count("icmp_type")

    def echo(self, now, ip, identifier, sequence, data, callback):
        """Send an echo request; see Stack.echo."""
        rest = struct.pack(">HH", identifier, sequence)
        if len(self._echoes) >= ECHO_REQUESTS:
            self._echoes.pop(0)
        self._echoes.append((ip, rest, callback))
        return self._send(now, None, ip, _ECHO, 0, rest, data)

    def port_unreachable(self, now, buf, addresses, size, end):
        """Tell the sender of the IP packet that ends at `end` that nobody listens (RFC 1122
        3.2.2); its source and destination are at buf[addresses:addresses + 2 * size]."""
        second = now // 1000
        if second != self._second:
            self._second = second
            self._errors = 0
        if self._errors >= _ERRORS_PER_S:
            return self._stack.count("icmp_limited")
        self._errors += 1
        destination = addresses + size
        start = addresses - _ADDRESSES
        header = (buf[start] & 15) << 2
        self._send(now, bytes(buf[destination:destination + size]),
                   bytes(buf[addresses:destination]), _UNREACHABLE, _CODE_PORT, bytes(4),
                   buf[start:min(end, start + header + 8)])

    def _send(self, now, source, destination, kind, code, rest, data):
        route = self._stack.route(destination, source)
        if route is None:
            return False
        header = bytearray(_HEADER)
        header[0] = kind
        header[1] = code
        header[4:] = rest
        struct.pack_into(">H", header, 2, 0xFFFF - add(data, 0, len(data), add(header, 0, 8, 0)))
        route.family.send_datagram(now, route, source or route.source, destination, PROTOCOL,
                                   header, data)
        return True

    def _unreachable(self, now, code, buf, off, n, size):
        quoted = self._stack.families[size].quoted(buf, off, n)
        if quoted is None:
            return self._stack.count("icmp_malformed")
        protocol, source, destination, transport = quoted
        if code == _CODE_TOO_BIG:
            return self._stack.count("icmp_too_big")
        refused = code == _CODE_PORT or code == _CODE_PROTOCOL
        error = errors.ECONNREFUSED if refused else errors.EHOSTUNREACH
        handler = self._stack.protocols.get(protocol)
        if handler is not None and handler is not self:
            handler.unreachable(now, error, source, destination, buf, transport)
        elif protocol == PROTOCOL and buf[transport] == _ECHO:
            self._answered(now, destination, buf, transport + 4, None)

    def _answered(self, now, ip, buf, at, data):
        """Hand the answer to the echo request whose identifier and sequence are at buf[at:]."""
        rest = bytes(buf[at:at + 4])
        for echo in self._echoes:
            if echo[0] == ip and echo[1] == rest:
                self._echoes.remove(echo)
                return echo[2](now, ip, rest[2] << 8 | rest[3], data)
        self._stack.count("icmp_unexpected")
