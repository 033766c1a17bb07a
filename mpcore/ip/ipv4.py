"""IPv4 (RFC 791): what is received for us, fragments both ways, group addresses.

Options are skipped. Nothing is forwarded.
"""

from array import array

import micropython
from micropython import const

from mpcore.ip import ethernet
from mpcore.ip.family import Family
from mpcore.ip.headers import ipv4_read, ipv4_write

_HEADER = const(20)
BROADCAST = b"\xff\xff\xff\xff"
_MORE_FRAGMENTS = const(0x2000)
_OFFSET = const(0x1FFF)
_DONT_FRAGMENT = const(0x4000)
_LOOPBACK = const(127)
_TTL = const(64)


class Ipv4(Family):
    ICMP = 1
    HEADER = _HEADER
    FRAGMENT_HEADER = 0
    MIN_MTU = 576
    NOBODY = b"\0"

    def __init__(self, stack):
        super().__init__(stack)
        self._identification = int.from_bytes(stack.entropy(2), "big")
        self._out = array("i", [0] * 4)

    @staticmethod
    def make_icmp(stack, family):
        from mpcore.ip.icmp import Icmp

        return Icmp(stack, family)

    def receive(self, now, interface, group, buf, off, n):
        """One packet from a link; group: it came to a broadcast or multicast MAC."""
        out = self._out
        header = ipv4_read(buf, off, n, interface.own, out)
        if header <= 0:
            return self._stack.count("ip_checksum" if header else "ip_malformed")
        protocol = out[1]
        unicast = out[3] == 1
        if not unicast:
            destination = bytes(buf[off + 16:off + 20])
            unicast = destination in interface.addresses
            if not (unicast or destination == BROADCAST or destination in interface.broadcasts
                    or destination in interface.groups):
                return self._stack.count("ip_not_ours")
        if buf[off + 12] >= 224 or buf[off + 12] == _LOOPBACK or (unicast and group):
            return self._stack.count("ip_bad_address")
        n = out[0] - header
        at = off + header
        addresses = off + 12
        if out[2]:
            key = (interface, protocol, bytes(buf[off + 4:off + 6]),
                   bytes(buf[addresses:addresses + 8]))
            payload = self._stack.reassemble(now, key, (out[2] & _OFFSET) << 3,
                                                  buf[at:at + n], out[2] & _MORE_FRAGMENTS)
            if payload is None:
                return
            # The addresses stay in front of the payload, as they are in a whole packet.
            buf = memoryview(bytes(buf[off:off + _HEADER]) + payload)
            addresses, at, n = 12, _HEADER, len(payload)
        handler = self.handlers.get(protocol)
        if handler is None:
            return self._stack.count("ip_protocol")
        handler.receive(now, interface, unicast, buf, addresses, 4, at, n)

    def is_group(self, ip):
        return ip[0] >= 224

    def is_multicast(self, ip):
        return 224 <= ip[0] < 240

    def is_limited_broadcast(self, ip):
        return ip == BROADCAST

    def group_mac(self, ip):
        """MAC of a multicast address (RFC 1112 6.4); anything else in 224/3 is broadcast."""
        if self.is_multicast(ip):
            return b"\x01\x00\x5e" + bytes((ip[1] & 0x7F, ip[2], ip[3]))
        return ethernet.BROADCAST

    def send(self, now, route, source, destination, protocol, n, ttl=_TTL,
             fragment=_DONT_FRAGMENT):
        """Send what lies in the stack's buffer at the interface's start + HEADER, n bytes."""
        start = route.interface.start
        total = n + _HEADER
        if not fragment & _OFFSET:
            self._identification = self._identification + 1 & 0xFFFF
        ipv4_write(self._stack.buffer, start, total, self._identification, fragment, ttl, protocol,
                   source, destination)
        self.pass_on(now, route, start, total)

    @micropython.native
    def pass_on(self, now, route, start, total):
        """Send the whole packet that lies at `start` of the stack's buffer."""
        interface = route.interface
        stack = self._stack
        if route.local:
            return stack.loop_back(now, route, total)
        mac = route.mac or interface.arp.resolve(now, route.next_hop, start, total)
        if mac is not None:
            interface.link.transmit(now, mac, ethernet.IPV4, stack.buffer, start, total)

    def send_part(self, now, route, source, destination, protocol, n, ttl, at, more):
        """Like send, a datagram's n bytes from `at` on; more: others follow."""
        self.send(now, route, source, destination, protocol, n, ttl,
                  (_MORE_FRAGMENTS if more else 0) | at >> 3)

    def quoted(self, buf, off, n):
        """What an ICMP error quotes: (protocol, source, destination, transport offset) or None."""
        if n < _HEADER + 8 or buf[off] >> 4 != 4:
            return None
        header = (buf[off] & 15) << 2
        if header < _HEADER or n < header + 8:
            return None
        return (buf[off + 9], bytes(buf[off + 12:off + 16]), bytes(buf[off + 16:off + 20]),
                off + header)
