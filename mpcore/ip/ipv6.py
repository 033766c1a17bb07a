"""IPv6 (RFC 8200): what is received for us, extension headers, fragments both ways, groups.

Nothing is forwarded, no router is looked for: addresses and routes are given. Loaded when the
first interface has an IPv6 address.
"""

import struct

from micropython import const

from mpcore.ip import ethernet
from mpcore.ip.family import Family
from mpcore.ip.icmpv6 import Icmpv6

_HEADER = const(40)
_ADDRESSES = const(8)
_FRAGMENT_HEADER = const(8)
_HOP_LIMIT = const(64)

# Next headers
_HOP_BY_HOP = const(0)
_ROUTING = const(43)
_FRAGMENT = const(44)
_NOTHING = const(59)
_DESTINATION = const(60)

_EXTENSIONS = const(8)          # of one packet, at most
_PAD = const(0)
_MUST_KNOW = const(0xC0)        # who does not know such an option drops the packet

ALL_NODES = b"\xff\x02" + bytes(13) + b"\x01"


def link_local(mac):
    """The address that an interface has by its MAC (RFC 4291 2.5.1); its prefix length is 64."""
    return b"\xfe\x80" + bytes(6) + bytes((mac[0] ^ 2,)) + mac[1:3] + b"\xff\xfe" + mac[3:]


def solicited_node(ip):
    """Group in which the owner of an address hears solicitations (RFC 4291 2.7.1)."""
    return b"\xff\x02" + bytes(9) + b"\x01\xff" + ip[13:]


def group_mac(ip):
    """MAC of a group (RFC 2464 7)."""
    return b"\x33\x33" + ip[12:]


def write(buf, off, n, protocol, source, destination, hop_limit=_HOP_LIMIT):
    """Write the header in front of n bytes of payload."""
    struct.pack_into(">HHHBB16s16s", buf, off, 0x6000, 0, n, protocol, hop_limit, source,
                     destination)


class Ipv6(Family):
    ICMP = 58
    make_icmp = Icmpv6
    HEADER = _HEADER
    FRAGMENT_HEADER = _FRAGMENT_HEADER
    MIN_MTU = 1280
    NOBODY = bytes(8)

    def __init__(self, stack):
        super().__init__(stack)
        self._identification = bytes(4)

    def receive(self, now, interface, group, buf, off, n):
        """One packet from a link; group: it came to a multicast MAC."""
        count = self._stack.count
        if n < _HEADER or buf[off] >> 4 != 6:
            return count("ip_malformed")
        end = off + _HEADER + (buf[off + 4] << 8 | buf[off + 5])
        if end > off + n:
            return count("ip_malformed")
        destination = bytes(buf[off + 24:off + 40])
        unicast = destination in interface.addresses
        if not (unicast or destination in interface.groups):
            return count("ip_not_ours")
        if buf[off + _ADDRESSES] == 0xFF or (unicast and group):
            return count("ip_bad_address")
        self._walk(now, interface, unicast, buf, off, buf[off + 6], off + _HEADER, end)

    def is_group(self, ip):
        return ip[0] == 0xFF

    is_multicast = is_group

    def is_limited_broadcast(self, ip):
        return False

    def group_mac(self, ip):
        return group_mac(ip)

    def send(self, now, route, source, destination, protocol, n, ttl=_HOP_LIMIT):
        """Send what lies in the stack's buffer at the interface's start + HEADER, n bytes."""
        interface = route.interface
        stack = self._stack
        start = interface.start
        total = n + _HEADER
        write(stack.buffer, start, n, protocol, source, destination, ttl)
        if route.local:
            return stack.loop_back(now, route, total)
        mac = route.mac or interface.ndp.resolve(now, route.next_hop, start, total)
        if mac is not None:
            interface.link.transmit(now, mac, ethernet.IPV6, stack.buffer, start, total)

    def send_part(self, now, route, source, destination, protocol, n, ttl, at, more):
        """Like send, a datagram's n bytes from `at` on; more: others follow. A fragment's bytes
        lie FRAGMENT_HEADER further on."""
        if at or more:
            if at == 0:
                self._identification = self._stack.entropy(4)
            struct.pack_into(">BBH4s", self._stack.buffer, route.interface.start + _HEADER,
                             protocol, 0, at | bool(more), self._identification)
            protocol = _FRAGMENT
            n += _FRAGMENT_HEADER
        self.send(now, route, source, destination, protocol, n, ttl)

    def quoted(self, buf, off, n):
        """What an ICMP error quotes: (protocol, source, destination, transport offset) or None.

        Of our own packets, which have no extension header but the fragments'.
        """
        if n < _HEADER + 8 or buf[off] >> 4 != 6:
            return None
        protocol, transport = buf[off + 6], off + _HEADER
        if protocol == _FRAGMENT:
            if n < _HEADER + _FRAGMENT_HEADER + 8 or buf[transport + 2] or buf[transport + 3] >> 3:
                return None
            protocol, transport = buf[transport], transport + _FRAGMENT_HEADER
        return (protocol, bytes(buf[off + 8:off + 24]), bytes(buf[off + 24:off + 40]), transport)

    def _walk(self, now, interface, unicast, buf, off, kind, at, end):
        """Pass the extension headers from `at` on, the first of which is of this kind."""
        count = self._stack.count
        for _ in range(_EXTENSIONS):
            handler = self.handlers.get(kind)
            if handler is not None:
                return handler.receive(now, interface, unicast, buf, off + _ADDRESSES, 16, at,
                                       end - at)
            if kind == _NOTHING:
                return
            if kind not in (_HOP_BY_HOP, _ROUTING, _FRAGMENT, _DESTINATION):
                return count("ip_protocol")
            size = _FRAGMENT_HEADER
            if end - at >= size and kind != _FRAGMENT:
                size = buf[at + 1] + 1 << 3
            if end - at < size:
                return count("ip_malformed")
            if kind == _FRAGMENT:
                fragment = buf[at + 2] << 8 | buf[at + 3]
                if fragment & 0xFFF9:
                    return self._collect(now, interface, unicast, buf, off, at, end, fragment)
            elif kind == _ROUTING:
                if buf[at + 3]:
                    return count("ip_routed")
            elif not _known_options(buf, at + 2, at + size):
                return count("ip_option")
            kind = buf[at]
            at += size
        count("ip_malformed")

    def _collect(self, now, interface, unicast, buf, off, at, end, fragment):
        """One fragment, whose header is at `at`."""
        key = (interface, bytes(buf[off + 8:off + 40]), buf[at], bytes(buf[at + 4:at + 8]))
        payload = self._stack.reassemble(now, key, fragment & 0xFFF8,
                                              buf[at + _FRAGMENT_HEADER:end], fragment & 1)
        if payload is not None:
            whole = memoryview(bytes(buf[off:off + _HEADER]) + payload)
            self._walk(now, interface, unicast, whole, 0, buf[at], _HEADER, len(whole))


def _known_options(buf, at, end):
    """Whether nothing among the options must be known (RFC 8200 4.2), as we know only padding."""
    while at < end:
        if buf[at] & _MUST_KNOW:
            return False
        if buf[at] == _PAD:
            at += 1
        elif at + 1 >= end:
            return False
        else:
            at += 2 + buf[at + 1]
    return at == end
