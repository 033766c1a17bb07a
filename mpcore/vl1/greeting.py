"""HELLO and OK(HELLO): who a node is and where we are (spec/verbs.md 3, 4.1; spec/security.md 3)."""

from micropython import const

from mpcore import VERSION
from mpcore.vl1 import hello, packet
from mpcore.vl1.packet import HEADER, START, Packet

_LATENCY_LIMIT_MS = const(10000)


class Greeting:
    """Sends and answers HELLO; makes peers of those whose identity holds.

    VL1.greeting makes one for each use, as HELLOs are seldom. What lasts is in VL1.strangers.
    """

    def __init__(self, vl1):
        self._vl1 = vl1
        self._packet = Packet()

    def send_hello(self, now, peer, endpoint, path):
        """HELLO to `peer` at `endpoint`; `path` is the Path there or to the relay, or None."""
        vl1 = self._vl1
        cipher = vl1.cipher(peer, lambda now: self.send_hello(now, peer, endpoint, path))
        if cipher is None:
            return
        planet_id, planet_timestamp = vl1.upstreams.planet_known()
        payload, masked_from = hello.build(vl1.version, VERSION, vl1.wall(now), vl1.identity,
                                           endpoint, planet_id, planet_timestamp,
                                           vl1.upstreams.moons_known())
        length = HEADER + len(payload)
        buf = bytearray(START + length)
        buf[START + HEADER:] = payload
        vl1.header(buf, START, length, peer.address, packet.HELLO)
        cipher.mask_hello(buf, START, HEADER + masked_from, len(payload) - masked_from)
        cipher.armor(buf, START, length, packet.CIPHER_NONE)
        vl1.put(now, endpoint, path, buf, START, length, packet.HELLO)

    def on_hello(self, now, endpoint, buf, off, n, cipher=None):
        """A HELLO in clear: the one packet that may come from someone unknown.

        cipher: of the sender, when it is handled again because a key has been agreed on.
        """
        vl1 = self._vl1
        greeting = hello.Hello(buf, off + HEADER, off + n)
        identity = greeting.identity
        source = bytes(buf[off + packet.SOURCE:off + packet.FLAGS])
        if greeting.version < hello.MINIMUM_VERSION or source != identity.address:
            raise ValueError("HELLO refused")
        received = self._packet
        received.read(buf, off, off + n, endpoint, bytes(buf[off:off + packet.DESTINATION]))
        peer = vl1.peers.get(source)
        if peer is None:
            peer = self._meet(now, endpoint, identity, buf, off, n, cipher)
            if peer is None:
                return
        elif peer.identity != identity:
            return self._collide(now, endpoint, identity, buf, off, n, cipher)
        elif vl1.cipher(peer) is None:
            return vl1.lookup.hold_incoming(now, source, endpoint, buf, off, n)
        elif not peer.cipher.dearmor(buf, off, n):
            return vl1.count("mac")
        self._accept(now, peer, received, greeting)

    def on_encrypted_hello(self, now, peer, received):
        greeting = hello.Hello(received.buf, received.at, received.end)
        if greeting.identity != peer.identity or greeting.version < hello.MINIMUM_VERSION:
            return False
        self._answer(now, peer, received, greeting)

    def _accept(self, now, peer, received, greeting):
        self._answer(now, peer, received, greeting)
        self._vl1.contact.received(now, peer, received)

    def _answer(self, now, peer, received, greeting):
        vl1 = self._vl1
        buf, off, end = received.buf, received.off, received.end
        greeting.read_rest(buf)
        masked_from = greeting.masked_from
        if masked_from < end:  # masked even where the whole HELLO is encrypted
            peer.cipher.mask_hello(buf, off, masked_from - off, end - masked_from)
        moons = greeting.read_moons(buf)  # a malformed list voids the whole HELLO
        if greeting.endpoint is not None and received.hops == 0:
            vl1.contact.reported(now, peer, greeting.endpoint)
        worlds = vl1.upstreams.newer_than(greeting.world_id, greeting.world_timestamp, moons)
        # Answered before the version is noted: a first OK goes out with the older cipher.
        vl1.send_ok(now, peer, received,
                    hello.build_ok(greeting.timestamp, vl1.version, VERSION, received.endpoint,
                                   worlds))
        peer.version = greeting.version

    def _meet(self, now, endpoint, identity, buf, off, n, cipher):
        """Make a peer of an unknown identity if it holds, else None; cheap checks come first."""
        vl1 = self._vl1
        if cipher is None and (not vl1.validate or self._a_root_may_know(now, identity.address)):
            # A root's word is as good as the hash, and sooner here: the HELLO waits for WHOIS. A
            # lean node has nothing else.
            vl1.lookup.hold_incoming(now, identity.address, endpoint, buf, off, n)
            return None
        if cipher is None:
            return self._check(now, endpoint, identity, buf, off, n)
        if not cipher.dearmor(buf, off, n):
            vl1.count("mac")
            return None
        if not identity.locally_valid():
            vl1.count("identity_invalid")
            return None
        peer = vl1.add_peer(now, identity)
        peer.cipher = cipher
        vl1.unsettled = True
        return peer

    def _a_root_may_know(self, now, address):
        """True for a second after the first HELLO of an unknown; then it is for us to check."""
        vl1 = self._vl1
        return (not vl1.upstreams.are_we and vl1.best_root(now) is not None
                and vl1.strangers().are_asked_for(now, address))

    def _check(self, now, endpoint, identity, buf, off, n):
        """Agree on a key with somebody new, so that on_hello can look at the MAC; None."""
        if not self._vl1.strangers().may_be_checked(now, endpoint):
            return self._vl1.count("hello_gated")
        data = bytearray(START + n)
        data[START:] = memoryview(buf)[off:off + n]
        self._vl1.agree(now, identity, lambda now, cipher: self.on_hello(
            now, endpoint, data, START, n, cipher))

    def _collide(self, now, endpoint, identity, buf, off, n, cipher):
        """A second key for a known address: tell its holder, keep the first."""
        vl1 = self._vl1
        if cipher is None:
            return self._check(now, endpoint, identity, buf, off, n)
        if not cipher.dearmor(buf, off, n):
            return vl1.count("mac")
        vl1.count("collisions")
        length = HEADER + 10
        answer = bytearray(START + length)
        answer[START + HEADER] = packet.HELLO
        answer[START + HEADER + 1:START + HEADER + 9] = self._packet.id
        answer[START + HEADER + 9] = packet.E_IDENTITY_COLLISION
        vl1.header(answer, START, length, identity.address, packet.ERROR)
        cipher.armor(answer, START, length, packet.CIPHER_SALSA)
        vl1.put(now, endpoint, None, answer, START, length, packet.ERROR)

    def on_ok(self, now, peer, received):
        vl1 = self._vl1
        answer = hello.HelloOk(received.buf, received.at, received.end)
        if answer.version < hello.MINIMUM_VERSION:
            return False
        peer.version = answer.version
        if received.hops == 0:
            latency_ms = vl1.wall(now) - answer.timestamp
            path = peer.path_to(received.endpoint)
            if path is None and vl1.contact.acceptable(peer, received.endpoint):
                path = vl1.contact.learn(now, peer, received.endpoint)
            if path is not None and 0 <= latency_ms < _LATENCY_LIMIT_MS:
                path.measured(latency_ms)
            if answer.endpoint is not None:
                vl1.contact.reported(now, peer, answer.endpoint)
        vl1.upstreams.offer(now, peer.address, received.buf, *answer.worlds)
