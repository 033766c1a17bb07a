"""Addresses that say whose they are need no neighbour discovery (spec/vl2-frames.md 6)."""

import struct

from micropython import const

from mpcore.vl2 import addressing
from mpcore.vl2.config import NDP_EMULATION

_IPV6 = const(0x86DD)
_HEADER = const(40)
_ICMPV6 = const(58)
_SOLICITATION = const(0x87)
_LENGTH = const(32)             # of an advertisement with one option
_SOLICITED_OVERRIDE = b"\x60\0\0\0"


def owner(config, ip):
    """Address of the member that an IPv6 address (16 bytes) belongs to by its form, or None.

    Only schemes by which the config gives us an address count.
    """
    mine = _mine(config, ip)
    if mine is None:
        return None
    return ip[11:16] if mine[1] == addressing.RFC4193_BITS else ip[5:10]


def advertisement(config, ethertype, data):
    """The answer to a neighbour solicitation for such an address, if `data` is one.

    data: Ethernet payload. Returns (MAC of the owner, IPv6 packet) or None.
    """
    if (ethertype != _IPV6 or len(data) < 64 or data[6] != _ICMPV6
            or data[_HEADER] != _SOLICITATION):
        return None
    target = bytes(data[48:64])
    address = owner(config, target)
    if address is None or address == config.issued_to:
        return None
    mac = addressing.mac_of(config.network_id, address)
    ends = target + _mine(config, target)[0]
    option = target + b"\x02\x01" + mac
    pseudo = ends + struct.pack(">II", _LENGTH, _ICMPV6)
    checksum = _checksum(pseudo + b"\x88\0\0\0" + _SOLICITED_OVERRIDE + option)
    return mac, (struct.pack(">IHBB", 6 << 28, _LENGTH, _ICMPV6, 255) + ends
                 + struct.pack(">BBH", 0x88, 0, checksum) + _SOLICITED_OVERRIDE + option)


def _mine(config, ip):
    """Our own (address, prefix length) of the scheme that an address follows, or None."""
    if not config.flags & NDP_EMULATION:
        return None
    for mine, bits in config.static_ips:
        if bits == addressing.RFC4193_BITS:
            prefix = addressing.rfc4193_prefix(config.network_id)
        elif bits == addressing.SIXPLANE_BITS:
            prefix = addressing.sixplane_prefix(config.network_id)
        else:
            continue
        if mine[:len(prefix)] == prefix == ip[:len(prefix)]:
            return mine, bits
    return None


def _checksum(data):
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF
