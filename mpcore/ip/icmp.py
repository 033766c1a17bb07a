"""ICMP for IPv4 (RFC 792): echo both ways, unreachables both ways, a path's MTU (RFC 1191)."""

import struct

from micropython import const

from mpcore.ip import errors
from mpcore.ip.headers import add
from mpcore.limits import ECHO_REQUESTS

_HEADER = const(8)
_ERRORS_PER_S = const(10)

_UNREACHABLE = const(3)
_TIME_EXCEEDED = const(11)
_CODE_PROTOCOL = const(2)
_CODE_PORT = const(3)
_CODE_TOO_BIG = const(4)


class Icmp:
    """The messages of one family. icmpv6.py has what differs there."""

    PROTOCOL = 1
    ECHO = 8
    ECHO_REPLY = 0
    PORT_UNREACHABLE = (_UNREACHABLE, _CODE_PORT)
    ADDRESSES = 12          # where an IP header has them
    QUOTED = 548            # bytes that an error quotes, so that it fits every link

    def __init__(self, stack, family):
        self._stack = stack
        self._family = family
        self._echoes = []       # (address, identifier and sequence, callback), oldest first
        self._second = None
        self._errors = 0

    def receive(self, now, interface, unicast, buf, addresses, size, off, n):
        """One ICMP message; source and destination are at buf[addresses:addresses + 2 * size]."""
        if n < _HEADER or not unicast:
            return self._stack.count("icmp_malformed" if unicast else "icmp_broadcast")
        if add(buf, off, n, 0) != 0xFFFF:
            return self._stack.count("icmp_checksum")
        kind, code = buf[off], buf[off + 1]
        if kind == _UNREACHABLE:
            if code == _CODE_TOO_BIG:
                self.too_big(now, buf[off + 6] << 8 | buf[off + 7], buf, off, n)
            else:
                self.unreachable(now, code == _CODE_PORT or code == _CODE_PROTOCOL, buf, off, n)
        elif kind == _TIME_EXCEEDED:
            self.unreachable(now, False, buf, off, n)
        else:
            source = bytes(buf[addresses:addresses + size])
            if not self._stack.forged(source):
                self.echoed(now, kind, code, bytes(buf[addresses + size:addresses + 2 * size]),
                            source, buf, off, n)

    def echo(self, now, ip, identifier, sequence, data, callback):
        """Send an echo request; see Stack.echo."""
        rest = struct.pack(">HH", identifier, sequence)
        if len(self._echoes) >= ECHO_REQUESTS:
            self._echoes.pop(0)
        self._echoes.append((ip, rest, callback))
        return self._send(now, None, ip, self.ECHO, 0, rest, data)

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
        start = addresses - self.ADDRESSES
        kind, code = self.PORT_UNREACHABLE
        self._send(now, bytes(buf[destination:destination + size]),
                   bytes(buf[addresses:destination]), kind, code, bytes(4),
                   buf[start:min(end, start + self.QUOTED)])

    def echoed(self, now, kind, code, us, source, buf, off, n):
        """A message that is no error, to our address `us`."""
        if kind == self.ECHO and code == 0:
            self._send(now, us, source, self.ECHO_REPLY, 0, buf[off + 4:off + 8],
                       buf[off + 8:off + n])
        elif kind == self.ECHO_REPLY:
            self._answered(now, source, buf, off + 4, bytes(buf[off + 8:off + n]))
        else:
            self._stack.count("icmp_type")

    def unreachable(self, now, refused, buf, off, n):
        """A packet of ours did not arrive. refused: its host got it, but nobody there wants it."""
        quoted = self._family.quoted(buf, off + _HEADER, n - _HEADER)
        if quoted is None:
            return self._stack.count("icmp_malformed")
        protocol, source, destination, transport = quoted
        handler = self._family.handlers.get(protocol)
        if handler is self:
            if buf[transport] == self.ECHO:
                self._answered(now, destination, buf, transport + 4, None)
        elif handler is not None:
            error = errors.ECONNREFUSED if refused else errors.EHOSTUNREACH
            handler.unreachable(now, error, source, destination, buf, transport)

    def too_big(self, now, mtu, buf, off, n):
        """A packet of ours did not fit the path, which takes `mtu` bytes."""
        quoted = self._family.quoted(buf, off + _HEADER, n - _HEADER)
        if quoted is None:
            return self._stack.count("icmp_malformed")
        protocol, source, destination, transport = quoted
        mtu = max(mtu, self._family.MIN_MTU)
        self._stack.path_mtu(destination, source, mtu)
        if self._family.handlers.get(protocol) is self._stack.tcp:
            self._stack.tcp.too_big(now, mtu, source, destination, buf, transport)

    def pseudo(self, source, destination, n):
        """What the checksum of n bytes begins with."""
        return 0

    def _send(self, now, source, destination, kind, code, rest, data):
        route = self._stack.route(destination, source)
        if route is None:
            return False
        source = source or route.source
        header = bytearray(_HEADER)
        header[0] = kind
        header[1] = code
        header[4:] = rest
        total = add(header, 0, _HEADER, self.pseudo(source, destination, _HEADER + len(data)))
        struct.pack_into(">H", header, 2, 0xFFFF - add(data, 0, len(data), total))
        self._family.send_datagram(now, route, source, destination, self.PROTOCOL, header, data)
        return True

    def _answered(self, now, ip, buf, at, data):
        """Hand the answer to the echo request whose identifier and sequence are at buf[at:]."""
        rest = bytes(buf[at:at + 4])
        for echo in self._echoes:
            if echo[1] == rest and (echo[0] == ip or self._family.is_group(echo[0])):
                self._echoes.remove(echo)
                return echo[2](now, ip, rest[2] << 8 | rest[3], data)
        self._stack.count("icmp_unexpected")
