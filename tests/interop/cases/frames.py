"""Ethernet payloads made by hand, as probes of what a network lets through."""

import ipaddress
import struct

from blocking import with_checksum

IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
SYN, ACK = 0x02, 0x10


def ipv4(number, source, destination, protocol, data, tos=0):
    """(ethertype, payload) of an IPv4 packet; its identification, `number`, tells it from others.
    """
    header = struct.pack(">BBHHHBBH4s4s", 0x45, tos, 20 + len(data), number, 0, 64, protocol, 0,
                         _packed(source), _packed(destination))
    # The checksum of ICMP is at 2, this one at 10.
    checked = with_checksum(b"\0\0\0\0", header)[2:4]
    return IPV4, header[:10] + checked + header[12:] + data


def ipv6(number, source, destination, protocol, data):
    """The same in IPv6; `number` is the flow label."""
    return IPV6, struct.pack(">IHBB16s16s", 6 << 28 | number, len(data), protocol, 64,
                             _packed(source), _packed(destination)) + data


def udp(port, source_port=40000, size=8):
    """A UDP datagram without a checksum."""
    return struct.pack(">HHHH", source_port, port, 8 + size, 0) + bytes(size)


def tcp(port, flags, source_port=40000):
    """A TCP segment without data, and with a checksum that nobody here looks at."""
    return struct.pack(">HHIIBBHHH", source_port, port, 1, 0, 5 << 4, flags, 1000, 0, 0)


def icmp(kind, code=0):
    return with_checksum(bytes((kind, code)) + bytes(10))


def _packed(ip):
    return ipaddress.ip_address(ip).packed
