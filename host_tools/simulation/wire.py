"""A virtual Internet of nodes on a simulated clock; loss, delay and reordering are seeded.

Portable: the same scenes run on CPython and on MicroPython.
"""

import random

from mpcore import limits
from mpcore.vl1 import inet

_IDLE_MS = 60000


class SimulatedPort:
    """What a node needs of the world, without a world."""

    rings = limits.TCP_SEND_RING, limits.TCP_RECEIVE_RING

    def __init__(self, wire, endpoint, storage=None):
        self.wire = wire
        self.endpoint = endpoint
        self.storage = {} if storage is None else storage

    def send(self, endpoint, buf, off, n):
        self.wire.transmit(self.endpoint, endpoint, bytes(memoryview(buf)[off:off + n]))

    def endpoints(self):
        return [self.endpoint]

    def entropy(self, n):
        return bytes([self.wire.random.getrandbits(8) for _ in range(n)])

    def load(self, name):
        return self.storage.get(name)

    def store(self, name, data):
        self.storage[name] = bytes(data)

    def remove(self, name):
        self.storage.pop(name, None)

    def names(self, prefix):
        return sorted([name for name in self.storage if name.startswith(prefix)])


class Wire:
    """Carries datagrams between ports and gives each node its time.

    loss: share of datagrams dropped; delay_ms: of each; jitter_ms: extra at random, which
    reorders. passes(source, destination): may be replaced to cut links.
    """

    def __init__(self, seed=1, loss=0.0, delay_ms=1, jitter_ms=0):
        self.random = random
        random.seed(seed)
        self.now = 0
        self.loss = loss
        self.delay_ms = delay_ms
        self.jitter_ms = jitter_ms
        self.passes = lambda source, destination: True
        self.datagrams = 0
        self.lost = 0
        self._in_flight = []   # (arrival ms, number, source, destination, data), sorted
        self._nodes = {}       # endpoint -> [node, its next poll]
        self._tickers = []     # [poll, its next time]

    def port(self, text, storage=None):
        """A port at "ip/port" for a node to be attached there."""
        return SimulatedPort(self, inet.parse(text), storage)

    def attach(self, node):
        """Give this node (anything with receive and poll, and a port) its datagrams and time."""
        self._nodes[node.port.endpoint] = [node, self.now]

    def detach(self, node):
        """The node is switched off, without a word."""
        del self._nodes[node.port.endpoint]

    def every(self, poll):
        """Call poll(now) -> next ms as if it were a node's."""
        self._tickers.append([poll, self.now])

    def transmit(self, source, destination, data):
        self.datagrams += 1
        if not self.passes(source, destination) or random.random() < self.loss:
            self.lost += 1
            return
        at = self.now + self.delay_ms
        if self.jitter_ms:
            at += random.randrange(self.jitter_ms + 1)
        flight = self._in_flight
        i = len(flight)
        while i and flight[i - 1][0] > at:
            i -= 1
        flight.insert(i, (at, source, destination, data))

    def run(self, duration_ms, until=None):
        """Let time pass; stops early, returning True, as soon as until() holds."""
        end = self.now + duration_ms
        while True:
            if until is not None and until():
                return True
            at = min([timer[1] for timer in self._timers()] + [end])
            if self._in_flight:
                at = min(at, self._in_flight[0][0])
            if at >= end:
                self.now = end
                return until is not None and until()
            self.now = max(self.now, at)
            self._deliver()
            for timer in self._timers():
                if timer[1] <= self.now:
                    self._poll(timer)

    def _timers(self):
        return list(self._nodes.values()) + self._tickers

    def _poll(self, timer):
        poll = timer[0] if callable(timer[0]) else timer[0].poll
        next_ms = poll(self.now)
        timer[1] = max(self.now + 1, self.now + _IDLE_MS if next_ms is None else next_ms)

    def touch(self, node):
        """An application call may have moved the node's timers."""
        self._nodes[node.port.endpoint][1] = self.now

    def _deliver(self):
        while self._in_flight and self._in_flight[0][0] <= self.now:
            _, source, destination, data = self._in_flight.pop(0)
            timer = self._nodes.get(destination)
            if timer is not None:
                buf = bytearray(1) + data  # a packet starts at offset 1
                timer[0].receive(self.now, source, buf, 1, len(data))
                timer[1] = self.now
