"""Who has an address on a link: a bounded cache, questions once a second, packets that wait.

An entry serves for 60 s after it was last heard of; then it is asked for again while it still
serves, and goes when 15 s later there was no answer.
"""

import micropython
from micropython import const

from mpcore.limits import NEIGHBOUR_PENDING, NEIGHBOUR_PENDING_ALL, NEIGHBOURS

_FRESH_MS = const(60000)
_STALE_MS = const(75000)
_RETRY_MS = const(1000)
_TRIES = const(5)
_NEVER = const(-0x20000000)


class Neighbour:
    """Who was heard of without having been asked for has no more than its MAC and `heard_ms`."""

    tries = 0               # questions that were not answered so far ...
    asked_ms = _NEVER       # ... and when the last was asked
    pending = ()            # packets that wait

    def __init__(self, now):
        self.mac = None
        self.heard_ms = now


class Neighbours:
    """What ARP and NDP share: the neighbours of one interface in one family.

    A subclass has ETHERTYPE, that of the packets that wait, and ask(now, source, ip), which sends
    one question from our address `source`. The answer may come before it returns.
    """

    def __init__(self, interface):
        self._interface = interface
        self._stack = interface.stack
        self._entries = {}
        self._waiting = 0
        self._due_ms = None             # when somebody is to be asked again

    @micropython.native
    def resolve(self, now, ip, off, n):
        """MAC of a neighbour, or None: then the packet in the stack's buffer was copied and is
        sent when the neighbour answers (within 5 s)."""
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

    def poll(self, now):
        """Ask again for what was not answered, give up after 5 questions."""
        if self._due_ms is None:
            return
        if now < self._due_ms:
            return self._stack.schedule(self._due_ms)
        self._due_ms = None
        for ip, entry in list(self._entries.items()):
            if entry.mac is None:
                if now - entry.asked_ms >= _RETRY_MS:
                    if entry.tries >= _TRIES:
                        self._stack.count("neighbour_unresolved", len(entry.pending))
                        self._remove(ip)
                        self._stack.neighbour_unreachable(now, self._interface, ip)
                        continue
                    self._ask(now, ip, entry)
                self._retry(entry.asked_ms + _RETRY_MS)

    def entry(self, now, ip, add):
        """The entry of an address; one that is not there is made if `add`, else None."""
        entry = self._entries.get(ip)
        if entry is None and add:
            entry = self._add(now, ip)
        return entry

    def same(self, ip):
        """The very object that an address is known by here, so that who keeps it, too, does not
        keep a copy; the one given where there is none."""
        if ip in self._entries:
            for known in self._entries:
                if known == ip:
                    return known
        return ip

    def learn(self, now, entry, mac):
        """The neighbour was heard of; what waited for it leaves."""
        entry.mac = mac
        entry.heard_ms = now
        if not entry.tries:
            return
        entry.tries = 0
        pending, entry.pending = entry.pending, ()
        self._waiting -= len(pending)
        start = self._interface.start
        for packet in pending:
            self._stack.buffer[start:start + len(packet)] = packet
            self._interface.transmit(now, mac, self.ETHERTYPE, len(packet))

    def _add(self, now, ip):
        if len(self._entries) >= NEIGHBOURS:
            self._remove(min(self._entries, key=self._worth))
            self._stack.count("neighbour_evicted")
        entry = self._entries[ip] = Neighbour(now)
        return entry

    def _worth(self, ip):
        """Those who never answered go first: questions that others provoke cost no neighbour."""
        entry = self._entries[ip]
        return entry.mac is not None, entry.heard_ms

    def _remove(self, ip):
        self._waiting -= len(self._entries.pop(ip).pending)

    def _wait(self, entry, packet):
        if len(entry.pending) < NEIGHBOUR_PENDING:
            if self._waiting >= NEIGHBOUR_PENDING_ALL:
                return self._stack.count("neighbour_pending_full")
            self._waiting += 1
        entry.pending = entry.pending[1 - NEIGHBOUR_PENDING:] + (packet,)

    def _ask(self, now, ip, entry):
        entry.asked_ms = now
        entry.tries += 1
        self._retry(now + _RETRY_MS)
        source = self._interface.source_for(ip)
        if source is not None:
            self.ask(now, source, ip)

    def _retry(self, at_ms):
        if self._due_ms is None or at_ms < self._due_ms:
            self._due_ms = at_ms
        self._stack.schedule(at_ms)
