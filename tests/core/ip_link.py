"""A link under the test's control: frames go in by hand, frames that come out are listed.

Frames are built and read here with struct alone, independently of what is tested.
"""

import struct

from mpcore.ip import stack as ip_stack

US = bytes((10, 0, 0, 1))
PEER = bytes((10, 0, 0, 2))
OUR_MAC = b"\x02\x00\x00\x00\x00\x01"
PEER_MAC = b"\x02\x00\x00\x00\x00\x02"
BROADCAST_MAC = b"\xff" * 6
US6 = b"\xfd" + bytes(14) + b"\x01"
PEER6 = b"\xfd" + bytes(14) + b"\x02"
ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


class Link:
    """What a stack sends is kept in `sent`: (time, destination MAC, EtherType, bytes)."""

    def __init__(self, mac=OUR_MAC, mtu=2800, headroom=60):
        self.mac = mac
        self.mtu = mtu
        self.headroom = headroom
        self.sent = []

    def transmit(self, now, destination_mac, ethertype, buf, off, n):
        assert off >= self.headroom and off % 4 == 3 and n <= self.mtu
        self.sent.append((now, destination_mac, ethertype, bytes(memoryview(buf)[off:off + n])))
        for i in range(off - self.headroom, off + n):
            buf[i] = 0xA5  # as a link that encrypts in place

    def take(self):
        sent, self.sent = self.sent, []
        return sent


def entropy(n):
    return bytes(range(7, 7 + n))


def checksum(data):
    if len(data) & 1:
        data = data + b"\0"
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def ipv4(protocol, payload, source=PEER, destination=US, identification=1, fragment=0, ttl=64):
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), identification, fragment,
                         ttl, protocol, 0, source, destination)
    return header[:10] + struct.pack(">H", checksum(header)) + header[12:] + payload


def ipv6(protocol, payload, source=PEER6, destination=US6, hop_limit=64):
    return struct.pack(">IHBB16s16s", 6 << 28, len(payload), protocol, hop_limit, source,
                       destination) + payload


def ip(protocol, payload, source, destination):
    return (ipv4 if len(source) == 4 else ipv6)(protocol, payload, source, destination)


def transport_check(protocol, payload, source, destination):
    return checksum(source + destination + struct.pack(">HH", protocol, len(payload)) + payload)


def udp(source_port, port, data, source=PEER, destination=US):
    head = struct.pack(">HHH", source_port, port, 8 + len(data))
    check = transport_check(UDP, head + b"\0\0" + data, source, destination) or 0xFFFF
    return ip(UDP, head + struct.pack(">H", check) + data, source, destination)


def icmp(kind, code, rest, source=PEER, destination=US):
    body = bytes((kind, code, 0, 0)) + rest
    body = body[:2] + struct.pack(">H", checksum(body)) + body[4:]
    return ipv4(ICMP, body, source, destination)


def icmpv6(kind, code, rest, source=PEER6, destination=US6, hop_limit=64):
    body = bytes((kind, code, 0, 0)) + rest
    check = transport_check(ICMPV6, body, source, destination)
    return ipv6(ICMPV6, body[:2] + struct.pack(">H", check) + body[4:], source, destination,
                hop_limit)


def tcp(source_port, port, seq, ack, flags, window=65535, data=b"", options=b"", source=PEER,
        destination=US):
    offset = 20 + len(options) >> 2
    head = struct.pack(">HHIIBBH", source_port, port, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF,
                       offset << 4, flags, window)
    check = transport_check(TCP, head + bytes(4) + options + data, source, destination)
    return ip(TCP, head + struct.pack(">HH", check, 0) + options + data, source, destination)


def arp(operation, sender_mac, sender_ip, target_mac, target_ip):
    return struct.pack(">HHBBH6s4s6s4s", 1, 0x0800, 6, 4, operation, sender_mac, sender_ip,
                       target_mac, target_ip)


def read_ipv4(packet):
    """(protocol, source, destination, fragment word, payload), with the checksum verified."""
    assert packet[0] == 0x45 and checksum(packet[:20]) == 0
    total, _, fragment = struct.unpack_from(">HHH", packet, 2)
    assert total == len(packet)
    return packet[9], packet[12:16], packet[16:20], fragment & 0x3FFF, packet[20:]


def read_ipv6(packet):
    """(next header, source, destination, hop limit, payload)."""
    head, length, protocol, hop_limit = struct.unpack_from(">IHBB", packet)
    assert head == 6 << 28 and length == len(packet) - 40
    return protocol, packet[8:24], packet[24:40], hop_limit, packet[40:]


def read_ip(packet):
    return (read_ipv4 if packet[0] >> 4 == 4 else read_ipv6)(packet)


def read_tcp(packet):
    """(source port, port, seq, ack, flags, window, options, data), with the checksum verified."""
    protocol, source, destination, _, payload = read_ip(packet)
    assert protocol == TCP
    assert transport_check(TCP, payload, source, destination) == 0
    source_port, port, seq, ack, offset, flags, window = struct.unpack_from(">HHIIBBH", payload)
    start = offset >> 4 << 2
    return source_port, port, seq, ack, flags, window, payload[20:start], payload[start:]


def read_udp(packet):
    """(source, source port, destination, port, data), with the checksum verified."""
    protocol, source, destination, _, payload = read_ip(packet)
    assert protocol == UDP
    assert transport_check(UDP, payload, source, destination) == 0
    source_port, port, length = struct.unpack_from(">HHH", payload)
    assert length == len(payload)
    return source, source_port, destination, port, payload[8:]


def give(interface, now, packet, ethertype=IPV4, mac=None):
    """One frame comes in, at an odd offset of its buffer."""
    buf = bytearray(5) + packet
    interface.receive(now, PEER_MAC, mac or interface.link.mac, ethertype, buf, 5, len(packet))


def make(link=None, learn=True):
    """(stack, interface, link) with address 10.0.0.1/24 that knows the peer's MAC."""
    link = link or Link()
    stack = ip_stack.Stack(entropy)
    interface = stack.add_interface(link)
    interface.set_addresses(0, [(US, 24)])
    stack.poll(0)
    if learn:
        give(interface, 0, arp(1, PEER_MAC, PEER, bytes(6), US), ARP, BROADCAST_MAC)
    link.take()
    return stack, interface, link


def solicitation(target, source=PEER6, destination=None, mac=PEER_MAC, hop_limit=255):
    """A neighbour solicitation, to the target's solicited-node group unless told otherwise."""
    if destination is None:
        destination = b"\xff\x02" + bytes(9) + b"\x01\xff" + target[13:]
    option = b"\x01\x01" + mac if mac else b""
    return icmpv6(135, 0, bytes(4) + target + option, source, destination, hop_limit)


def advertisement(target, flags=0x60, source=None, destination=US6, mac=PEER_MAC, hop_limit=255):
    option = b"\x02\x01" + mac if mac else b""
    return icmpv6(136, 0, bytes((flags, 0, 0, 0)) + target + option, source or target, destination,
                  hop_limit)


def make6(link=None, learn=True):
    """Like make, with fd00::1/64 alone."""
    link = link or Link()
    stack = ip_stack.Stack(entropy)
    interface = stack.add_interface(link)
    interface.set_addresses(0, [(US6, 64)])
    if learn:
        give(interface, 0, solicitation(US6), IPV6, b"\x33\x33\xff\x00\x00\x01")
    link.take()
    return stack, interface, link
