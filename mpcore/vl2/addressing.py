"""Addresses that follow from a network ID and a node's address (spec/vl2-frames.md 1, 6, 7, 8)."""

BROADCAST = b"\xff\xff\xff\xff\xff\xff"

# Prefix lengths of the two IPv6 schemes.
SIXPLANE_BITS = 40
RFC4193_BITS = 88


def controller_of(network_id):
    """Address (5 bytes) of the controller of a network (ID of 8 bytes)."""
    return network_id[:5]


def is_adhoc(network_id):
    """Whether the ID is one of those that have no controller (section 10)."""
    return network_id[0] == 0xFF


def first_octet(network_id):
    """First byte of every member's MAC: local, no multicast, and not 0x52, as libvirt uses it."""
    octet = network_id[7] & 0xFE | 0x02
    return 0x32 if octet == 0x52 else octet


def mac_of(network_id, address):
    """MAC (6 bytes) of a member (address of 5 bytes) on a network."""
    n, a = network_id, address
    return bytes((first_octet(n), a[0] ^ n[6], a[1] ^ n[5], a[2] ^ n[4], a[3] ^ n[3], a[4] ^ n[2]))


def address_of(network_id, mac):
    """Inverse of mac_of; the caller has seen that mac[0] == first_octet(network_id)."""
    n, m = network_id, mac
    return bytes((m[1] ^ n[6], m[2] ^ n[5], m[3] ^ n[4], m[4] ^ n[3], m[5] ^ n[2]))


def sixplane_prefix(network_id):
    """The 5 bytes (SIXPLANE_BITS) that all 6PLANE addresses of a network begin with."""
    n = network_id
    return bytes((0xFC, n[0] ^ n[4], n[1] ^ n[5], n[2] ^ n[6], n[3] ^ n[7]))


def sixplane(network_id, address):
    """6PLANE address (16 bytes) of a member, who owns the whole /80 around it."""
    return sixplane_prefix(network_id) + address + b"\0\0\0\0\0\1"


def rfc4193_prefix(network_id):
    """The 11 bytes (RFC4193_BITS) that all RFC4193 addresses of a network begin with."""
    return b"\xfd" + network_id + b"\x99\x93"


def rfc4193(network_id, address):
    """RFC4193 address (16 bytes) of a member."""
    return rfc4193_prefix(network_id) + address


def resolution_group(ip):
    """Multicast group (MAC and ADI, 10 bytes) in which the owner of an IP answers ARP or NDP."""
    if len(ip) == 4:
        return BROADCAST + ip
    return b"\x33\x33\xff" + ip[13:] + b"\0\0\0\0"
