"""Two IP stacks and a path between them that loses, delays, doubles, reorders and damages what it
carries: seeded, in virtual time."""

import heapq
import random
import struct

from mpcore.ip import ethernet
from mpcore.ip.headers import add, pseudo
from mpcore.ip.stack import Stack

_IPV4 = bytes((10, 0, 0, 0)), 24
_IPV6 = b"\xfd" + bytes(15), 64

_LONGEST_MS = 100       # that a packet is late when it is overtaken
_QUEUE_MS = 200         # of packets that wait for their turn on the wire


class Conditions:
    """What a path does to packets. Shares are 0..1.

    delay_ms: one way; jitter_ms: what is added to it at most, at random; rate: bytes per ms;
    mtus: the path changes between these every second on average; cut_ms: from then on nothing
    arrives any more.
    """

    def __init__(self, loss=0.0, late=0.0, doubled=0.0, damaged=0.0, delay_ms=15, jitter_ms=0,
                 rate=2500, mtus=(), cut_ms=None):
        self.loss = loss
        self.late = late
        self.doubled = doubled
        self.damaged = damaged
        self.delay_ms = delay_ms
        self.jitter_ms = jitter_ms
        self.rate = rate
        self.mtus = mtus
        self.cut_ms = cut_ms


class Path:
    """client, server: stacks of 10.0.0.1 and 10.0.0.2, or fd00::1 and fd00::2 for `ipv6`;
    server_ip: the latter's address. Their link's MTU changes for both at once (as a network's
    does), or a router between them answers that a packet was too big."""

    def __init__(self, seed, conditions, ipv6=False, mtu=1400):
        self.random = random.Random(seed)
        self.conditions = conditions
        self.now = 0
        self.packets = 0
        self._mtu = mtu
        self._events = []       # (ms, number, function, arguments)
        self._number = 0
        network, prefix = _IPV6 if ipv6 else _IPV4
        self._ends = [_End(self, number, network[:-1] + bytes((number,)), prefix, mtu)
                      for number in (1, 2)]
        for end, other in zip(self._ends, reversed(self._ends)):
            end.other = other
            end.configure()
        self.client, self.server = (end.stack for end in self._ends)
        self.server_ip = self._ends[1].ip
        if conditions.mtus:
            self._later(self._pause_ms(), self._change_mtu)

    def run(self, done, until_ms):
        """Go on until done() or `until_ms`; False in the latter case, or when nothing moves."""
        while not done():
            if not self._events or self._events[0][0] > until_ms:
                return False
            self.now, _, function, arguments = heapq.heappop(self._events)
            function(*arguments)
        return True

    def at(self, ms, function, *arguments):
        """Have something called at a time."""
        self._number += 1
        heapq.heappush(self._events, (max(ms, self.now), self._number, function, arguments))

    def carry(self, end, mac, ethertype, packet):
        """A packet leaves one end."""
        conditions, chance = self.conditions, self.random.random
        self.packets += 1
        if conditions.cut_ms is not None and self.now >= conditions.cut_ms:
            return
        if ethertype != ethernet.ARP:
            if len(packet) > self._mtu:
                return self._later(conditions.delay_ms, end.deliver, end.mac, ethertype,
                                   _too_big(self._mtu, packet))
            if chance() < conditions.loss:
                return
            if chance() < conditions.damaged:
                packet = bytearray(packet)
                packet[self.random.randrange(len(packet))] ^= 1 << self.random.randrange(8)
        for _ in range(2 if chance() < conditions.doubled else 1):
            end.free_ms = max(end.free_ms, self.now) + len(packet) / conditions.rate
            wait = end.free_ms - self.now
            if wait > _QUEUE_MS:
                return
            wait += conditions.delay_ms + chance() * conditions.jitter_ms
            if chance() < conditions.late:
                wait += chance() * _LONGEST_MS
            self._later(wait, end.other.deliver, mac, ethertype, packet)

    def _later(self, ms, function, *arguments):
        self.at(self.now + round(ms), function, *arguments)

    def _pause_ms(self):
        return self.random.expovariate(1 / 1000)

    def _change_mtu(self):
        self._mtu = self.random.choice(self.conditions.mtus)
        if self.random.random() < 0.5:
            for end in self._ends:
                end.mtu = self._mtu
                end.configure()
        self._later(self._pause_ms(), self._change_mtu)


class _End:
    """One stack and its link."""

    headroom = 0

    def __init__(self, path, number, ip, prefix, mtu):
        self.path = path
        self.mac = bytes((2, 0, 0, 0, 0, number))
        self.ip = ip
        self.prefix = prefix
        self.mtu = mtu
        self.free_ms = 0.0          # when the wire has carried what was sent
        self._due_ms = None
        self.stack = Stack(path.random.randbytes)
        self.stack.on_schedule = self._schedule
        self.interface = self.stack.add_interface(self)

    def configure(self):
        self.interface.set_addresses(self.path.now, [(self.ip, self.prefix)])

    def transmit(self, now, destination_mac, ethertype, buf, off, n):
        self.path.carry(self, destination_mac, ethertype, bytes(memoryview(buf)[off:off + n]))

    def deliver(self, mac, ethertype, packet):
        self.interface.receive(self.path.now, self.other.mac, mac, ethertype, packet, 0,
                               len(packet))

    def _schedule(self, ms):
        if self._due_ms is None or ms < self._due_ms:
            self._due_ms = ms
            self.path.at(ms, self._poll)

    def _poll(self):
        if self._due_ms is not None and self.path.now >= self._due_ms:
            self._due_ms = None
            next_ms = self.stack.poll(self.path.now)
            if next_ms is not None:
                self._schedule(next_ms)


def _too_big(mtu, packet):
    """What a router answers to a packet that the path does not take (RFC 1191, RFC 8201)."""
    if packet[0] >> 4 == 6:
        us, them = packet[24:40], packet[8:24]
        body = _checked(struct.pack(">BBHI", 2, 0, 0, mtu) + packet[:100], 2,
                        pseudo(us, them, 58) + 108)
        return struct.pack(">IHBB16s16s", 6 << 28, len(body), 58, 64, us, them) + body
    body = _checked(struct.pack(">BBHHH", 3, 4, 0, 0, mtu) + packet[:28], 2, 0)
    return _checked(struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0, 64, 1, 0,
                                packet[16:20], packet[12:16]), 10, 0) + body


def _checked(data, at, total):
    """The data with its Internet checksum at an offset; total: what the sum begins with."""
    check = 0xFFFF - add(data, 0, len(data), total)
    return data[:at] + struct.pack(">H", check) + data[at + 2:]
