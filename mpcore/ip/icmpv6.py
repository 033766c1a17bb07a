"""ICMPv6 (RFC 4443): as ICMP, but with a pseudo-header, other numbers, and NDP inside."""

from micropython import const

from mpcore.ip.headers import add, pseudo
from mpcore.ip.icmp import Icmp

_PROTOCOL = const(58)
_HEADER = const(8)
_ADDRESSES = const(8)

_UNREACHABLE = const(1)
_TOO_BIG = const(2)
_TIME_EXCEEDED = const(3)
_PARAMETER = const(4)
_CODE_PORT = const(4)           # of _UNREACHABLE
_CODE_NEXT_HEADER = const(1)    # of _PARAMETER
_SOLICITATION = const(135)
_ADVERTISEMENT = const(136)


class Icmpv6(Icmp):
    PROTOCOL = _PROTOCOL
    ECHO = 128
    ECHO_REPLY = 129
    PORT_UNREACHABLE = (_UNREACHABLE, _CODE_PORT)
    ADDRESSES = _ADDRESSES
    QUOTED = 1232

    def receive(self, now, interface, unicast, buf, addresses, size, off, n):
        """One ICMPv6 message; source and destination are at buf[addresses:addresses + 32]."""
        if n < _HEADER:
            return self._stack.count("icmp_malformed")
        if add(buf, off, n, add(buf, addresses, 32, _PROTOCOL + n)) != 0xFFFF:
            return self._stack.count("icmp_checksum")
        kind, code = buf[off], buf[off + 1]
        if kind == _SOLICITATION or kind == _ADVERTISEMENT:
            interface.ndp.receive(now, unicast, buf, addresses, off, n)
        elif kind == _UNREACHABLE:
            self.unreachable(now, code == _CODE_PORT, buf, off, n)
        elif kind == _TOO_BIG:
            mtu = int.from_bytes(bytes(buf[off + 4:off + 8]), "big")
            self.too_big(now, mtu, buf, off, n)
        elif kind == _TIME_EXCEEDED:
            self.unreachable(now, False, buf, off, n)
        elif kind == _PARAMETER:
            self.unreachable(now, code == _CODE_NEXT_HEADER, buf, off, n)
        else:
            source = bytes(buf[addresses:addresses + 16])
            if self._stack.forged(source):
                return
            us = bytes(buf[addresses + 16:addresses + 32])
            # Who asks a group is answered by its members' own addresses.
            self.echoed(now, kind, code, us if unicast else interface.source_for(source), source,
                        buf, off, n)

    def pseudo(self, source, destination, n):
        return pseudo(source, destination, _PROTOCOL) + n
