"""ARP (RFC 826) for one interface: a bounded cache, requests once a second, packets that wait.

An entry serves for 60 s after it was last heard of; then it is asked for again while it still
serves, and goes when 15 s later there was no answer.
"""

import struct

from micropython import const

from mpcore.ip import ethernet
from mpcore.limits import ARP_ENTRIES, ARP_PENDING, ARP_PENDING_ALL

_FRESH_MS = const(60000)
_STALE_MS = const(75000)
_RETRY_MS = const(1000)
_TRIES = const(5)
_SIZE = const(28)
_REQUEST = const(1)
_REPLY = const(2)
_IPV4_OVER_ETHERNET = b"\x00\x01\x08\x00\x06\x04"
_NOBODY = bytes(6)


class _Entry:
    def __init__(self, now):
        self.mac = None
        self.heard_ms = self.asked_ms = now
        self.tries = 0
        self.pending = []


class Arp:
    def __init__(self, interface):
        self._interface = interface
        self._stack = interface.stack
        self._entries = {}
        self._waiting = 0

    def resolve(self, now, ip, off, n):
        """MAC of a neighbour, or None: then the packet in the stack's buffer was copied and will
        be sent when the neighbour answers (within 5 s)."""
        entry = self._entries.get(ip)
        if entry is None:
            entry = self._add(now, ip)
        if entry.mac is not None:
            age = now - entry.heard_ms
            if age < _FRESH_MS:
                return entry.mac
            if age < _STALE_MS:
                if now - entry.asked_ms < _RETRY_MS:
                    return entry.mac
                packet = bytes(memoryview(self._stack.buffer)[off:off + n])
                self._ask(now, ip, entry)
                self._stack.buffer[off:off + n] = packet
                return entry.mac
            entry.mac = None
            entry.tries = 0
        self._wait(entry, bytes(memoryview(self._stack.buffer)[off:off + n]))
        if entry.tries == 0:
            self._ask(now, ip, entry)
        return None

    def receive(self, now, buf, off, n):
        """Learn from an ARP packet and answer a request for one of our addresses."""
        if n < _SIZE or bytes(buf[off:off + 6]) != _IPV4_OVER_ETHERNET:
            return self._stack.count("arp_malformed")
        operation = buf[off + 6] << 8 | buf[off + 7]
        mac = bytes(buf[off + 8:off + 14])
        ip = bytes(buf[off + 14:off + 18])
        target = bytes(buf[off + 24:off + 28])
        if ethernet.is_group(mac) or mac == _NOBODY or operation not in (_REQUEST, _REPLY):
            return self._stack.count("arp_malformed")
        interface = self._interface
        if ip in interface.addresses:
            return self._stack.count("arp_conflict")
        for_us = target in interface.addresses
        if ip != b"\0\0\0\0" and interface.is_neighbour(ip):
            entry = self._entries.get(ip)
            if entry is None and for_us:
                entry = self._add(now, ip)
            if entry is not None:
                self._learn(now, entry, mac)
        if operation == _REQUEST and for_us:
            self._send(now, mac, _REPLY, target, mac, ip)

    def announce(self, now, ip):
        """Tell the neighbours that `ip` is ours from now on (RFC 5227 2.3)."""
        self._send(now, ethernet.BROADCAST, _REQUEST, ip, _NOBODY, ip)

    def poll(self, now):
        """Ask again for what was not answered, give up after 5 requests."""
        for ip, entry in list(self._entries.items()):
            if entry.mac is None:
                if now - entry.asked_ms >= _RETRY_MS:
                    if entry.tries >= _TRIES:
                        self._stack.count("arp_unresolved", len(entry.pending))
                        self._remove(ip)
                        self._stack.neighbour_unreachable(now, self._interface, ip)
                        continue
                    self._ask(now, ip, entry)
                self._stack.schedule(entry.asked_ms + _RETRY_MS)

    def _add(self, now, ip):
        if len(self._entries) >= ARP_ENTRIES:
            self._remove(min(self._entries, key=lambda ip: self._entries[ip].heard_ms))
            self._stack.count("arp_evicted")
        entry = self._entries[ip] = _Entry(now)
        return entry

    def _remove(self, ip):
        self._waiting -= len(self._entries.pop(ip).pending)

    def _wait(self, entry, packet):
        if len(entry.pending) >= ARP_PENDING:
            entry.pending.pop(0)
        elif self._waiting >= ARP_PENDING_ALL:
            return self._stack.count("arp_pending_full")
        else:
            self._waiting += 1
        entry.pending.append(packet)

    def _learn(self, now, entry, mac):
        entry.mac = mac
        entry.heard_ms = now
        entry.tries = 0
        pending, entry.pending = entry.pending, []
        self._waiting -= len(pending)
        start = self._interface.start
        for packet in pending:
            self._stack.buffer[start:start + len(packet)] = packet
            self._interface.transmit(now, mac, ethernet.IPV4, len(packet))

    def _ask(self, now, ip, entry):
        entry.asked_ms = now
        entry.tries += 1
        self._stack.schedule(now + _RETRY_MS)
        self._send(now, ethernet.BROADCAST, _REQUEST, self._interface.source_for(ip), _NOBODY, ip)

    def _send(self, now, destination_mac, operation, sender_ip, target_mac, target_ip):
        interface = self._interface
        struct.pack_into(">6sH6s4s6s4s", self._stack.buffer, interface.start, _IPV4_OVER_ETHERNET,
                         operation, interface.link.mac, sender_ip, target_mac, target_ip)
        interface.transmit(now, destination_mac, ethernet.ARP, _SIZE)
