"""Neighbour discovery (RFC 4861): the neighbours of one interface in IPv6.

Solicitations and advertisements only: there are no routers to discover, no redirects, and nobody
else has an address of ours (no duplicate address detection).
"""

import struct

from micropython import const

from mpcore.ip import ethernet, ipv6
from mpcore.ip.headers import add, pseudo
from mpcore.ip.neighbours import Neighbours

_PROTOCOL = const(58)
_SOLICITATION = const(135)
_ADVERTISEMENT = const(136)
_SIZE = const(24)               # without options
_SIZE_SENT = const(32)          # with our link-layer address
_IPV6_HEADER = const(40)
_HOP_LIMIT = const(255)         # proof that a message was not forwarded

# Flags of an advertisement
_SOLICITED = const(0x40)
_OVERRIDE = const(0x20)

# Options
_SOURCE_MAC = const(1)
_TARGET_MAC = const(2)

_UNSPECIFIED = bytes(16)
_NOBODY = bytes(6)


class Ndp(Neighbours):
    ETHERTYPE = ethernet.IPV6

    def receive(self, now, unicast, buf, addresses, off, n):
        """One ICMPv6 message of NDP, its checksum verified; source and destination are at
        buf[addresses:addresses + 32]."""
        count = self._stack.count
        solicitation = buf[off] == _SOLICITATION
        if n < _SIZE or buf[addresses - 1] != _HOP_LIMIT or buf[off + 1] or buf[off + 8] == 0xFF:
            return count("ndp_malformed")
        mac = _option(buf, off + _SIZE, off + n, _SOURCE_MAC if solicitation else _TARGET_MAC)
        if mac == _NOBODY:
            return count("ndp_malformed")
        source = bytes(buf[addresses:addresses + 16])
        target = bytes(buf[off + 8:off + 24])
        if solicitation:
            self._solicited(now, source, target, mac)
        elif target in self._interface.addresses:
            count("ndp_conflict")
        elif not unicast and buf[off + 4] & _SOLICITED:
            count("ndp_malformed")
        else:
            self._advertised(now, target, mac, buf[off + 4])

    def ask(self, now, source, ip):
        """Send a solicitation; see Neighbours."""
        group = ipv6.solicited_node(ip)
        self._send(now, ipv6.group_mac(group), source, group, _SOLICITATION, 0, ip, _SOURCE_MAC)

    def _solicited(self, now, source, target, mac):
        interface = self._interface
        if target not in interface.addresses:
            return
        if source == _UNSPECIFIED:
            # Somebody considers taking our address.
            return self._send(now, ipv6.group_mac(ipv6.ALL_NODES), target, ipv6.ALL_NODES,
                              _ADVERTISEMENT, _OVERRIDE, target, _TARGET_MAC)
        if interface.is_neighbour(source):
            entry = self.entry(now, source, mac is not None)
            if mac is None:
                mac = entry and entry.mac
            elif interface.spoofed(source, mac):
                return
            else:
                self.learn(now, entry, mac)
        if mac is not None:
            self._send(now, mac, target, source, _ADVERTISEMENT, _SOLICITED | _OVERRIDE, target,
                       _TARGET_MAC)

    def _advertised(self, now, target, mac, flags):
        entry = self.entry(now, target, False)
        if entry is None:
            return
        known = entry.mac
        if mac is None:
            mac = known
        if self._interface.spoofed(target, mac):
            return
        if mac is not None and (known is None or mac == known or flags & _OVERRIDE):
            self.learn(now, entry, mac)

    def _send(self, now, mac, source, destination, kind, flags, target, option):
        interface = self._interface
        buf = self._stack.buffer
        start = interface.start
        at = start + _IPV6_HEADER
        ipv6.write(buf, start, _SIZE_SENT, _PROTOCOL, source, destination, _HOP_LIMIT)
        struct.pack_into(">BBHBBH16sBB6s", buf, at, kind, 0, 0, flags, 0, 0, target, option, 1,
                         interface.link.mac)
        total = add(buf, at, _SIZE_SENT, pseudo(source, destination, _PROTOCOL) + _SIZE_SENT)
        struct.pack_into(">H", buf, at + 2, 0xFFFF - total)
        interface.transmit(now, mac, ethernet.IPV6, _IPV6_HEADER + _SIZE_SENT)


def _option(buf, at, end, kind):
    """The MAC in the option of this kind, None without one, _NOBODY when that is malformed."""
    while at < end:
        size = buf[at + 1] << 3 if end - at >= 8 else 0
        if not 0 < size <= end - at:
            return _NOBODY
        if buf[at] == kind:
            mac = bytes(buf[at + 2:at + 8])
            return _NOBODY if ethernet.is_group(mac) else mac
        at += size
    return None
