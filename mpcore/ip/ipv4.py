"""IPv4 (RFC 791): what is received for us, fragments both ways, group addresses.

Options are skipped. Nothing is forwarded. What the family of an address decides is asked of
this object, so that an IPv6 twin can stand beside it: `HEADER`, `is_group`,
`is_limited_broadcast`, `group_mac`, `send`, `send_datagram`, `quoted`.
"""

from array import array

from micropython import const

from mpcore.ip import ethernet
from mpcore.ip.headers import ipv4_read, ipv4_write
from mpcore.limits import REASSEMBLIES, REASSEMBLY_BYTES

_HEADER = const(20)
BROADCAST = b"\xff\xff\xff\xff"
_MORE_FRAGMENTS = const(0x2000)
_OFFSET = const(0x1FFF)
_DONT_FRAGMENT = const(0x4000)
_REASSEMBLY_MS = const(15000)
_PIECES = const(16)


class Ipv4:
    HEADER = _HEADER

    def __init__(self, stack):
        self._stack = stack
        self._identification = int.from_bytes(stack.entropy(2), "big")
        self._out = array("i", [0] * 4)
        self._reassemblies = {}

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
            if not (unicast or destination == BROADCAST or destination in interface.broadcasts):
                return self._stack.count("ip_not_ours")
        if buf[off + 12] >= 224 or (unicast and group):
            return self._stack.count("ip_bad_address")
        n = out[0] - header
        if out[2]:
            return self._reassemble(now, interface, unicast, protocol, buf, off, header, n, out[2])
        handler = self._stack.protocols.get(protocol)
        if handler is None:
            return self._stack.count("ip_protocol")
        handler.receive(now, interface, unicast, buf, off + 12, 4, off + header, n)

    def is_group(self, ip):
        return ip[0] >= 224

    def is_limited_broadcast(self, ip):
        return ip == BROADCAST

    def group_mac(self, ip):
        """MAC of a multicast address (RFC 1112 6.4); anything else in 224/3 is broadcast."""
        if ip[0] < 240:
            return b"\x01\x00\x5e" + bytes((ip[1] & 0x7F, ip[2], ip[3]))
        return ethernet.BROADCAST

    def send(self, now, route, source, destination, protocol, n, fragment=_DONT_FRAGMENT):
        """Send what lies in the stack's buffer at the interface's start + HEADER, n bytes."""
        interface = route.interface
        stack = self._stack
        start = interface.start
        total = n + _HEADER
        if not fragment & (_MORE_FRAGMENTS | _OFFSET):
            self._identification = self._identification + 1 & 0xFFFF
        ipv4_write(stack.buffer, start, total, self._identification, fragment, protocol, source,
                   destination)
        if route.local:
            return stack.loop_back(now, interface, total)
        mac = route.mac or interface.arp.resolve(now, route.next_hop, start, total)
        if mac is not None:
            interface.link.transmit(now, mac, ethernet.IPV4, stack.buffer, start, total)

    def send_datagram(self, now, route, source, destination, protocol, header, data):
        """Send header and data (memoryviews), in fragments where they exceed the link's MTU.

        The header's length is a multiple of 8.
        """
        buf = self._stack.buffer
        start = route.interface.start + _HEADER
        room = route.interface.link.mtu - _HEADER
        n = len(header)
        total = n + len(data)
        if total <= room:
            buf[start:start + n] = header
            buf[start + n:start + total] = data
            return self.send(now, route, source, destination, protocol, total, 0)
        self._identification = self._identification + 1 & 0xFFFF
        room &= ~7
        at = 0
        while at < total:
            size = min(room, total - at)
            if at == 0:
                buf[start:start + n] = header
                buf[start + n:start + size] = data[:size - n]
            else:
                buf[start:start + size] = data[at - n:at - n + size]
            more = _MORE_FRAGMENTS if at + size < total else 0
            self.send(now, route, source, destination, protocol, size, more | at >> 3)
            at += size

    def quoted(self, buf, off, n):
        """What an ICMP error quotes: (protocol, source, destination, transport offset) or None."""
        if n < _HEADER + 8 or buf[off] >> 4 != 4:
            return None
        header = (buf[off] & 15) << 2
        if header < _HEADER or n < header + 8:
            return None
        return (buf[off + 9], bytes(buf[off + 12:off + 16]), bytes(buf[off + 16:off + 20]),
                off + header)

    def poll(self, now):
        """Forget datagrams that did not become complete."""
        for key, reassembly in list(self._reassemblies.items()):
            if now >= reassembly.end_ms:
                del self._reassemblies[key]
                self._stack.count("ip_reassembly_timeout")
            else:
                self._stack.schedule(reassembly.end_ms)

    def _reassemble(self, now, interface, unicast, protocol, buf, off, header, n, fragment):
        count = self._stack.count
        at = (fragment & _OFFSET) << 3
        more = fragment & _MORE_FRAGMENTS
        key = (interface, protocol, bytes(buf[off + 4:off + 6]), bytes(buf[off + 12:off + 20]))
        reassembly = self._reassemblies.get(key)
        if n == 0 or (more and n & 7) or at + n > REASSEMBLY_BYTES:
            return count("ip_fragment_malformed")
        if reassembly is None:
            if len(self._reassemblies) >= REASSEMBLIES:
                oldest = min(self._reassemblies, key=lambda k: self._reassemblies[k].end_ms)
                del self._reassemblies[oldest]
                count("ip_reassembly_evicted")
            reassembly = self._reassemblies[key] = _Reassembly(now + _REASSEMBLY_MS)
            self._stack.schedule(reassembly.end_ms)
        if not reassembly.add(at, bytes(buf[off + header:off + header + n]), not more):
            del self._reassemblies[key]
            return count("ip_fragment_malformed")
        payload = reassembly.payload()
        if payload is None:
            return
        del self._reassemblies[key]
        handler = self._stack.protocols.get(protocol)
        if handler is None:
            return count("ip_protocol")
        # The addresses stay in front of the payload, as they are in a whole packet.
        whole = memoryview(bytes(buf[off:off + _HEADER]) + payload)
        handler.receive(now, interface, unicast, whole, 12, 4, _HEADER, len(payload))


class _Reassembly:
    """Fragments of one datagram; an overlap spoils it (as RFC 5722 has it for IPv6)."""

    def __init__(self, end_ms):
        self.end_ms = end_ms
        self._pieces = []
        self._total = None

    def add(self, at, piece, last):
        """False when the datagram cannot be trusted any more. An exact duplicate is ignored."""
        end = at + len(piece)
        for other, have in self._pieces:
            if at == other and piece == have:
                return True
            if at < other + len(have) and other < end:
                return False
        if self._total is not None and (last or end > self._total):
            return False
        if last:
            if self._pieces and max(o + len(p) for o, p in self._pieces) > at:
                return False
            self._total = end
        self._pieces.append((at, piece))
        return len(self._pieces) <= _PIECES

    def payload(self):
        """All bytes in order once they are there, else None."""
        if sum(len(piece) for _, piece in self._pieces) != self._total:
            return None
        return b"".join(piece for _, piece in sorted(self._pieces, key=lambda p: p[0]))
