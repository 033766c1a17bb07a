"""WHOIS, and the packets that wait for its answer, a key or a path (spec/verbs.md 6)."""

from micropython import const

from mpcore import limits
from mpcore.vl1 import packet
from mpcore.vl1.gate import Gate
from mpcore.vl1.identity import BINARY_SIZE, Identity
from mpcore.vl1.packet import HEADER, START

_RETRY_MS = const(500)
_TIMEOUT_MS = const(5000)
_ANSWER_INTERVAL_MS = const(100)
_IDLE_MS = const(60000)


class Lookup:
    """Asks roots for identities, answers others, and keeps what waits meanwhile."""

    _incoming = ()      # (since_ms, source, endpoint, packet)
    _outgoing = ()      # (since_ms, address, verb, buffer with headroom)

    def __init__(self, vl1):
        self._vl1 = vl1
        self._retry_ms = 0
        self._asked = Gate(_RETRY_MS - 1, limits.PEERS)
        self._answered = Gate(_ANSWER_INTERVAL_MS, limits.PEERS)
        vl1.on(packet.WHOIS, self._on_whois)
        vl1.on_ok(packet.WHOIS, self._on_ok)

    def hold_incoming(self, now, source, endpoint, buf, off, n):
        """Keep a packet until its source is known and a key is agreed on with it.

        Anyone can cause this, so the newest gives way when there is no room.
        """
        if len(self._incoming) >= limits.WAITING_IN or n > limits.WAITING_BYTES:
            self._vl1.count("unknown_source_dropped")
        else:
            data = bytearray(START + n)
            data[START:] = memoryview(buf)[off:off + n]
            self._incoming += ((now, source, endpoint, data),)
        if source not in self._vl1.peers:
            self._vl1.unsettled = True  # to ask a root, when whoever called us has returned

    def hold_outgoing(self, now, address, verb, buf, off, n):
        """Keep a packet until its destination is known and reachable; the oldest gives way."""
        if n > limits.WAITING_BYTES:
            return self._vl1.count("no_path_dropped")
        if len(self._outgoing) >= limits.WAITING_OUT:
            self._outgoing = self._outgoing[1:]
            self._vl1.count("no_path_dropped")
        data = bytearray(START + HEADER + n)
        data[START + HEADER:] = memoryview(buf)[off:off + n]
        self._outgoing += ((now, address, verb, data),)
        if address not in self._vl1.peers:
            self._vl1.unsettled = True  # as above: a board's stack is short

    def whois(self, now, address):
        """Ask the best root for an identity, at most every 500 ms for each address."""
        root = self._vl1.best_root(now)
        if root is not None and root.address != address and self._asked.allow(now, address):
            self._vl1.send(now, root.address, packet.WHOIS, address)

    def settle(self, now):
        """Retry what waits: a board handles one of the packets that came, and the next ones at the
        next polls. Not from inside a handler, whose packet this would overwrite."""
        vl1 = self._vl1
        vl1.unsettled = False
        incoming, self._incoming = self._incoming, ()
        handled = False
        for item in incoming:
            since_ms, source, endpoint, data = item
            if handled and vl1.work.sliced:
                self._incoming += (item,)
                vl1.unsettled = True
                continue
            peer = vl1.peers.get(source)
            if peer is not None and vl1.cipher(peer) is not None:
                handled = True
                try:
                    vl1.process(now, endpoint, data, START, len(data) - START)
                except ValueError:
                    vl1.count("malformed")
            elif now - since_ms < _TIMEOUT_MS:
                self._incoming += (item,)
            else:
                vl1.count("unknown_source_dropped")
        if handled and vl1.unsettled:
            return
        outgoing, self._outgoing = self._outgoing, ()
        for item in outgoing:
            since_ms, to, verb, data = item
            peer = vl1.peers.get(to)
            if (peer is not None and vl1.route(now, peer) is not None
                    and vl1.cipher(peer) is not None):
                vl1.send_in_place(now, to, verb, data, START + HEADER,
                                  len(data) - START - HEADER)
            elif now - since_ms < _TIMEOUT_MS:
                self._outgoing += (item,)
            else:
                vl1.count("no_path_dropped")
        for _, address, _, _ in self._incoming + self._outgoing:
            if address not in vl1.peers:
                self.whois(now, address)

    def poll(self, now):
        """Retry every 500 ms while something waits; returns the ms at which to call again."""
        if not self._incoming and not self._outgoing:
            self._vl1.unsettled = False
            return now + _IDLE_MS
        if self._vl1.unsettled or now >= self._retry_ms:
            self._retry_ms = now + _RETRY_MS
            self.settle(now)
        return now if self._vl1.unsettled else self._retry_ms

    def _on_whois(self, now, peer, received):
        vl1 = self._vl1
        if not vl1.upstreams.are_we and not self._answered.allow(now, peer.address):
            return False
        for at in range(received.at, received.end - 4, 5):
            address = bytes(received.buf[at:at + 5])
            if address == vl1.address:
                found = vl1.identity
            elif address in vl1.peers:
                found = vl1.peers[address].identity
            else:
                self.whois(now, address)
                continue
            # One identity an OK: the reference reads only the first.
            vl1.send_ok(now, peer, received, found.to_bytes())

    def _on_ok(self, now, peer, received):
        vl1 = self._vl1
        if not vl1.is_upstream(peer.address):
            return None
        at = received.at
        while received.end - at >= BINARY_SIZE:
            identity, length = Identity.from_bytes(received.buf, at, received.end)
            at += length
            if identity.address != vl1.address:
                vl1.add_peer(now, identity)
                self._asked.forget(identity.address)
                vl1.contact.met(identity.address)
                vl1.unsettled = True
