"""What Ethernet means to the floors above it: EtherTypes and group addresses."""

from micropython import const

IPV4 = const(0x0800)
ARP = const(0x0806)
IPV6 = const(0x86DD)

BROADCAST = b"\xff\xff\xff\xff\xff\xff"


def is_group(mac):
    """True for a broadcast or multicast MAC (6 bytes)."""
    return mac[0] & 1 == 1
