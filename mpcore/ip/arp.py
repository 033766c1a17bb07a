"""ARP (RFC 826): the neighbours of one interface in IPv4."""

import struct

from micropython import const

from mpcore.ip import ethernet
from mpcore.ip.neighbours import Neighbours

_SIZE = const(28)
_REQUEST = const(1)
_REPLY = const(2)
_IPV4_OVER_ETHERNET = b"\x00\x01\x08\x00\x06\x04"
_NOBODY = bytes(6)


class Arp(Neighbours):
    ETHERTYPE = ethernet.IPV4
    _new = ()           # addresses that are to be announced

    def receive(self, now, source_mac, buf, off, n):
        """Learn from an ARP packet and answer a request for one of our addresses.

        source_mac: of the frame, which the link keeps: the entry shares it.
        """
        if n < _SIZE or bytes(buf[off:off + 6]) != _IPV4_OVER_ETHERNET:
            return self._stack.count("arp_malformed")
        operation = buf[off + 6] << 8 | buf[off + 7]
        mac = bytes(buf[off + 8:off + 14])
        if mac == source_mac:
            mac = source_mac
        ip = bytes(buf[off + 14:off + 18])
        target = bytes(buf[off + 24:off + 28])
        if ethernet.is_group(mac) or mac == _NOBODY or operation not in (_REQUEST, _REPLY):
            return self._stack.count("arp_malformed")
        interface = self._interface
        if ip in interface.addresses:
            return self._stack.count("arp_conflict")
        if interface.spoofed(ip, mac):
            return
        for_us = target in interface.addresses
        if ip != b"\0\0\0\0" and interface.is_neighbour(ip):
            entry = self.entry(now, ip, for_us)
            if entry is not None:
                self.learn(now, entry, mac)
        if operation == _REQUEST and for_us:
            self._send(now, mac, _REPLY, target, mac, ip)

    def announce(self, now, ip):
        """Tell the neighbours at the next poll that `ip` is ours from now on (RFC 5227 2.3). Not
        at once: a board's stack is short, and this comes at the end of taking over a config."""
        self._new += (ip,)
        self._stack.schedule(now)

    def poll(self, now):
        new, self._new = self._new, ()
        for ip in new:
            self.ask(now, ip, ip)
        super().poll(now)

    def ask(self, now, source, ip):
        """Send a request; see Neighbours."""
        self._send(now, ethernet.BROADCAST, _REQUEST, source, _NOBODY, ip)

    def _send(self, now, destination_mac, operation, sender_ip, target_mac, target_ip):
        interface = self._interface
        struct.pack_into(">6sH6s4s6s4s", self._stack.buffer, interface.start, _IPV4_OVER_ETHERNET,
                         operation, interface.link.mac, sender_ip, target_mac, target_ip)
        interface.transmit(now, destination_mac, ethernet.ARP, _SIZE)
