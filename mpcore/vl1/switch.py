"""VL1: one datagram's walk in and out (spec/packet.md 4, 5; spec/peers-and-paths.md 5).

In:  receive -> fragment or packet -> dearmor in place -> inflate -> the verb's handler -> Contact
Out: send or send_in_place -> header -> armor in place -> path, or the root -> datagrams
"""

import micropython
from micropython import const

from mpcore import crypto, limits
from mpcore.vl1 import packet
from mpcore.vl1.contact import Contact
from mpcore.vl1.header import expected, write
from mpcore.vl1.lookup import Lookup
from mpcore.vl1.packet import HEADER, START, Packet
from mpcore.vl1.peer import NEVER, Peer
from mpcore.vl1.upstreams import Upstreams
from mpcore.vl1.work import Work

VERSION_SALSA = const(11)  # the highest protocol version to which peers do not send AES
VERSION_AES = const(12)

_BEACON = const(13)
_REPLY_LIFETIME_MS = const(10000)
_ECHO_INTERVAL_MS = const(166)
# Bytes. Less is one datagram anyway, and to try costs a board more than to cipher it.
_COMPRESSION_THRESHOLD = const(512)
_INFLATED = const(2048)
_STRAIGHT = const(1404)         # payload that fits a datagram: limits.MTU without the header

# As in packet.py, which says what they are: MicroPython folds only a module's own constants, and
# here every packet passes.
_DESTINATION = const(8)
_SOURCE = const(13)
_FLAGS = const(18)
_VERB = const(27)
_HEADER = const(28)
_HELLO = const(0x01)
_VERB_MASK = const(0x1F)
_FRAME = const(0x06)
_IDS = const(256)              # bytes of packet IDs that are drawn at once
_IDS_BLOCKS = const(4)
_IDS_IV = bytes(8)
_REKEY = const(0x3FFF)         # blocks of keystream under one key
_PUSH_MS = const(120000)        # as contact.py has it ...
_HEARD_MS = const(243000)       # ... and peer.py
_PROBE_MS = const(2000)
_CALM_MS = const(5000)          # since the last frame: nobody waits for what we do just now
_NEW_MS = const(5000)           # since we know it, a peer mostly introduces itself
_COMPRESSED = const(0x80)
_FRAGMENTED = const(0x40)
_FRAGMENT = const(0xFF)         # where else a source address begins
_FRAGMENT_HEADER = const(16)
_CIPHER_NONE = const(0)
_CIPHER_SALSA = const(1)
_SALSA_FLAGS = const(0x88)      # cipher 1, marked as armor() does it, not fragmented, no hops
_CIPHER_AES = const(3)

# OKs come back to these; what else is sent is not remembered.
_ANSWERED = (packet.HELLO, packet.WHOIS, packet.ECHO, packet.EXT_FRAME,
             packet.NETWORK_CONFIG_REQUEST, packet.NETWORK_CONFIG, packet.MULTICAST_GATHER,
             packet.MULTICAST_FRAME)


class Replies:
    """Packet IDs that an OK may quote: recent ones only (spec/security.md 4), at most `limit`."""

    def __init__(self, limit):
        self._limit = limit
        self._ids = b""         # those sent within their lifetime, the oldest first ...
        self._sent_ms = []      # ... and when each was

    def expect(self, now, packet_id):
        self._forget(now, self._limit - 1)
        self._ids += packet_id
        self._sent_ms.append(now)

    def expected(self, now, packet_id):
        self._forget(now, self._limit)
        at = self._ids.find(packet_id)
        while at > 0 and at & 7:        # in the midst of two
            at = self._ids.find(packet_id, at + 1)
        return at >= 0

    def _forget(self, now, most):
        sent_ms = self._sent_ms
        gone = max(0, len(sent_ms) - most)
        while gone < len(sent_ms) and now - sent_ms[gone] >= _REPLY_LIFETIME_MS:
            gone += 1
        if gone:
            self._sent_ms = sent_ms[gone:]
            self._ids = self._ids[8 * gone:]


class VL1:
    """The sans-IO engine of floor 2: identities, packets, peers, paths.

    identity: our own, with its private key. planet: the World that names the roots.
    send(endpoint, buf, off, n): sends one datagram, must not keep `buf`. entropy(n): n random
    bytes from the operating system. epoch_ms: wall clock, in ms since 1970, at now = 0.
    aes: announce protocol 12 and prefer AES-GMAC-SIV (hosts); else peers keep to Salsa20/12.
    loopback: loopback addresses count as paths, as no other implementation lets them.
    validate: check unknown identities by the 2 MiB hash; without it they are taken only from a
    root (spec/security.md 8). moons: Worlds that we orbit. adopt(world): called with each planet
    or moon that was taken over from a root, to be stored.
    max_peers: identities kept in memory; roots need many. sliced: long arithmetic is done by
    poll(), a slice at a time, and packets are served meanwhile.
    """

    def __init__(self, identity, planet, send, entropy, epoch_ms=0, aes=False, loopback=False,
                 validate=True, moons=(), adopt=None, max_peers=limits.PEERS,
                 sliced=crypto.SLICED):
        self.identity = identity
        self.address = identity.address
        self.entropy = entropy
        self.version = VERSION_AES if aes else VERSION_SALSA
        self.loopback = loopback
        self.validate = validate
        self.peers = {}
        self.counters = {}            # of what was dropped or limited, by cause
        self.collision = False        # a root says that our address belongs to another key
        self.relay = None             # what a root does with packets for others (roles/root.py)
        self._max_peers = max_peers
        self._epoch_ms = epoch_ms
        self.datagram = send
        self._replies = Replies(min(max_peers, limits.EXPECTED_REPLIES))
        self._reassembler = None      # while there are no fragments
        self._packet = Packet()
        self._ids = bytearray(_IDS)
        self._ids_at = _IDS
        self._ids_drawn = 0           # blocks of keystream
        self.unsettled = False        # what waits is to be looked at: something is known now
        self._last = None             # the peer whose packet came last by the straight way
        self._talk = None             # the network of the frame before
        self._talker = None           # the peer of the last frame that had to be looked at closely
        self._inflated = bytearray(0)
        self._verbs = {}
        self._ok = {}
        self._error = {}
        self.work = Work(sliced, self.count)
        self.contact = Contact(self)
        self.upstreams = Upstreams(self, planet, moons, adopt)
        self.lookup = Lookup(self)
        self._strangers = None        # until there is one
        hello = self._on_hello          # one and the same object, which takes heap
        self.on(packet.HELLO, hello)
        self.on_ok(packet.HELLO, hello)
        self.on(packet.OK, self._on_ok)
        self.on(packet.ERROR, self._on_error)
        self.on(packet.ECHO, self._on_echo)

    # --- for the floors above --------------------------------------------------------------

    def roots(self):
        """Peers that are roots."""
        return self.upstreams.peers

    @property
    def greeting(self):
        """Who sends and answers HELLO: loaded for each, as they are seldom."""
        from mpcore.vl1.greeting import Greeting

        return Greeting(self)

    def strangers(self):
        """What is remembered of those who are not known."""
        if self._strangers is None:
            from mpcore.vl1.strangers import Strangers

            self._strangers = Strangers()
        return self._strangers

    def wall(self, now):
        """Milliseconds since 1970."""
        return self._epoch_ms + now

    def on(self, verb, handler):
        """Call handler(now, peer, packet) for each authentic packet with this verb.

        A handler that returns False has ignored the packet: it then does not count as received.
        ValueError from a handler is a malformed packet, counted and dropped.
        """
        self._verbs[verb] = handler

    def talk_to(self, network):
        """Call network.receive_talk(now, peer, buf, at, end) from now on for each authentic FRAME
        that came from the peer of the packet before, by its only path. Its payload buf[at:end] is
        in clear. The network returns whether it has dealt with it; what it leaves takes the way
        of all, as everything does while `network` is None.
        """
        self._talk = network

    def on_ok(self, in_re_verb, handler):
        """As `on`, for OKs to a packet of ours with that verb."""
        self._ok[in_re_verb] = handler

    def on_error(self, in_re_verb, handler):
        """As `on`, for ERRORs that quote that verb."""
        self._error[in_re_verb] = handler

    def want(self, address, wanted=True):
        """Keep in contact with this address as with a root (network controllers)."""
        self.contact.want(address, wanted)

    def is_upstream(self, address):
        return address in self.upstreams.addresses

    def best_root(self, now):
        """The root to relay through: the one of least latency that answers; None if none does."""
        return self.upstreams.best(now)

    def trust(self, now, peer, received):
        """A frame of this packet passed a network's membership check."""
        peer.trusted_ms = peer.last_active_ms = now
        talker = self._talker
        if (talker is None or now - talker.trusted_ms >= _CALM_MS
                or now - peer.since_ms >= _NEW_MS):
            self._talker = peer

    def count(self, cause):
        self.counters[cause] = self.counters.get(cause, 0) + 1

    def send(self, now, address, verb, payload, compress=False):
        """Send a packet; it waits up to 5 s while the peer or a path to it is looked up.

        payload: bytes, at most MAX_PACKET - 28. compress: try LZ4 (spec/packet.md 6).
        Returns the packet ID as on the wire, or None when the packet waits.
        """
        buf = _envelope(payload)
        return self.send_in_place(now, address, verb, buf, START + HEADER, len(payload), compress)

    def send_in_place(self, now, address, verb, buf, off, n, compress=False):
        """Send buf[off:off+n] as payload without copying it; `buf` is overwritten.

        At least 28 bytes must be free before `off`; with (off - 28) % 4 == 1 boards need not move
        anything. Otherwise as send().
        """
        if n > limits.MAX_PACKET - _HEADER:
            raise ValueError("packet too large")
        peer = self.peers.get(address)
        way = None if peer is None else self.route(now, peer)
        if way is None or peer.cipher is None and self.cipher(peer) is None:
            self.lookup.hold_outgoing(now, address, verb, buf, off, n)
            return None
        via, path = way
        if via is not peer:
            self.count("relayed_out")
        elif path.unanswered_ms is not None and path.wants_probe(now):
            self.contact.probe_silent(now, peer, path)
        return self._emit(now, peer, path.endpoint, path, verb, buf, off, n, compress)

    @micropython.native
    def send_frame(self, now, address, buf, off, n):
        """Send the FRAME whose payload is buf[off:off+n], as send_in_place() does: most packets
        are such, and most of those have one path, one datagram and nothing to be decided."""
        peer = self.peers.get(address)
        path = None if peer is None else peer.sole
        if path is None or n > _STRAIGHT or now - path.last_receive_ms >= _HEARD_MS:
            return self.send_in_place(now, address, _FRAME, buf, off, n)
        cipher, since_ms = peer.cipher, path.unanswered_ms
        if cipher is None:
            return self.send_in_place(now, address, _FRAME, buf, off, n)
        if since_ms is None:
            path.unanswered_ms = now
        elif now - since_ms >= _PROBE_MS:
            return self.send_in_place(now, address, _FRAME, buf, off, n)
        path.last_send_ms = now
        off -= _HEADER
        n += _HEADER
        at = self._ids_at
        if at == _IDS:
            at = self._draw_ids()
        self._ids_at = at + 8
        if self.version < VERSION_AES or peer.version < VERSION_AES:
            write(buf, off, self._ids, at, address, self.address, _SALSA_FLAGS, _FRAME)
            cipher.seal(buf, off, n, True)
        else:
            write(buf, off, self._ids, at, address, self.address, 0, _FRAME)
            cipher.armor(buf, off, n, _CIPHER_AES)
        self.datagram(path.endpoint, buf, off, n)

    def send_to(self, now, peer, endpoint, verb, payload):
        """Send a packet to a given endpoint, whatever the paths say; it waits for the key."""
        if peer.cipher is None and self.cipher(
                peer, lambda now: self.send_to(now, peer, endpoint, verb, payload)) is None:
            return None
        buf = _envelope(payload)
        return self._emit(now, peer, endpoint, None, verb, buf, START + HEADER, len(payload))

    def send_ok(self, now, peer, received, payload, compress=False, in_re_verb=None):
        """Answer a packet with OK, over the way it came."""
        head = bytes((received.verb if in_re_verb is None else in_re_verb,)) + received.id
        self._answer(now, peer, received, packet.OK, head + payload, compress)

    def send_error(self, now, peer, received, code, payload=b""):
        """Answer a packet with ERROR, over the way it came."""
        head = bytes((received.verb,)) + received.id + bytes((code,))
        self._answer(now, peer, received, packet.ERROR, head + payload, False)

    @micropython.native
    def poll(self, now):
        """Do what is due; returns the ms at which to call again."""
        if self.work.jobs:
            talker = self._talker
            self.work.poll(now, limits.CALM_SLICES if talker is None
                           or now - talker.trusted_ms >= _CALM_MS else 1)
        due_ms = self.contact.due_ms
        if now >= due_ms:
            due_ms = self.contact.poll(now)
        due_ms = min(due_ms, self.lookup.poll(now))
        return now if self.work.jobs else due_ms

    # --- in --------------------------------------------------------------------------------

    @micropython.native
    def receive(self, now, endpoint, buf, off, n):
        """One datagram, buf[off:off+n], came from `endpoint`; it is decrypted in place."""
        peer = self._last
        cipher = 0 if peer is None else expected(buf, off, n, self.address, peer.address)
        if not cipher:
            self._receive(now, endpoint, buf, off, n)
        elif not (peer.cipher.open(buf, off, n, True) if cipher == _CIPHER_SALSA else
                  peer.cipher.dearmor(buf, off, n)):
            self._forged(now, peer, endpoint, buf, off)
        else:
            # From the peer of the packet before: nearly all of them are frames.
            path = peer.sole
            if (buf[off + _VERB] == _FRAME and path is not None and path.endpoint == endpoint
                    and now - peer.last_push_ms < _PUSH_MS
                    and self._talk is not None
                    and self._talk.receive_talk(now, peer, buf, off + _HEADER, off + n)):
                peer.last_receive_ms = peer.last_active_ms = path.last_receive_ms = now
                path.unanswered_ms = None
            else:
                self._receive_opened(now, peer, endpoint, buf, off, n)
        if self.unsettled and not self.work.sliced:     # else the next poll does that
            self.lookup.settle(now)

    @micropython.native
    def foremost(self, data):
        """Whether a datagram had better not wait for others that may have come with it: it says to
        be from who has talked to us last."""
        talker = self._talker
        return talker is not None and data[_SOURCE:_FLAGS] == talker.address

    def talked_ms(self, data):
        """When the sender of a datagram has talked to us last, if it is who it says to be; never,
        if it is new: those who talk need not wait for all by which somebody gets to know us."""
        peer = self.peers.get(bytes(data[_SOURCE:_FLAGS]))
        return (NEVER if peer is None or peer.trusted_ms - peer.since_ms < _NEW_MS
                else peer.trusted_ms)

    def _receive_opened(self, now, peer, endpoint, buf, off, n):
        try:
            self._opened(now, peer, endpoint, buf, off, n)
        except ValueError:
            self.count("malformed")

    def _receive(self, now, endpoint, buf, off, n):
        """A datagram of any kind."""
        try:
            if n == _BEACON:
                return self.count("beacons")
            if n <= _FRAGMENT_HEADER or n > limits.MAX_PACKET:
                raise ValueError("datagram size")
            ours = buf[off + _DESTINATION:off + _SOURCE] == self.address
            if buf[off + _SOURCE] == _FRAGMENT:
                if not ours:
                    return self._not_ours(now, endpoint, buf, off, n)
                self._assembled(now, self._fragments().fragment(now, buf, off, n))
            elif n < _HEADER:
                raise ValueError("packet too short")
            elif not ours:
                if buf[off + _SOURCE:off + _FLAGS] == self.address:
                    return self.count("from_self")
                self._not_ours(now, endpoint, buf, off, n)
            elif buf[off + _FLAGS] & _FRAGMENTED:
                self._assembled(now, self._fragments().head(now, endpoint, buf, off, n))
            else:
                self.process(now, endpoint, buf, off, n)
        except ValueError:
            self.count("malformed")

    def _fragments(self):
        """The Reassembler; loaded with the first fragment after a while without any."""
        if self._reassembler is None:
            from mpcore.vl1.fragment import Reassembler

            self._reassembler = Reassembler()
        return self._reassembler

    def _assembled(self, now, whole):
        if whole is not None:
            buf, off, n, endpoint = whole
            if n >= HEADER:
                self.process(now, endpoint, buf, off, n)

    def _not_ours(self, now, endpoint, buf, off, n):
        if self.relay is None:
            self.count("not_ours")
        else:
            self.relay(now, endpoint, buf, off, n)

    def process(self, now, endpoint, buf, off, n):
        """A whole packet for us: authenticate, decrypt, hand to its verb (spec/packet.md 5)."""
        source = bytes(buf[off + _SOURCE:off + _FLAGS])
        cipher = buf[off + _FLAGS] >> 3 & 7
        if cipher != _CIPHER_SALSA and cipher != _CIPHER_AES:
            # Only HELLO may come unencrypted: it brings the identity that its own MAC needs.
            if cipher != _CIPHER_NONE or buf[off + _VERB] & _VERB_MASK != _HELLO:
                return self.count("cipher_refused")
            if source == self.address:
                return self.count("from_self")
            return self.greeting.on_hello(now, endpoint, buf, off, n)
        peer = self.peers.get(source)
        if peer is None:
            if source == self.address:
                return self.count("from_self")
            return self.lookup.hold_incoming(now, source, endpoint, buf, off, n)
        if peer.cipher is None and self.cipher(peer) is None:
            return self.lookup.hold_incoming(now, source, endpoint, buf, off, n)
        if not peer.cipher.dearmor(buf, off, n):
            return self._forged(now, peer, endpoint, buf, off)
        self._last = peer
        self._opened(now, peer, endpoint, buf, off, n)

    def _forged(self, now, peer, endpoint, buf, off):
        if buf[off + _FLAGS] >> 3 & 7 == _CIPHER_AES:
            self.contact.confirm(now, peer, endpoint)  # it may remember a key we lost
        self.count("mac")

    def _opened(self, now, peer, endpoint, buf, off, n):
        """An authentic packet in clear, which may be compressed: hand it to its verb."""
        packet_id = bytes(buf[off:off + _DESTINATION])
        if buf[off + _VERB] & _COMPRESSED and n > _HEADER:
            buf, off, n = self._inflate(buf, off, n)
        received = self._packet
        received.read(buf, off, off + n, endpoint, packet_id)
        self.dispatch(now, peer, received)

    def dispatch(self, now, peer, received):
        """Hand a packet in clear to its verb's handler; unknown verbs count as received."""
        handler = self._verbs.get(received.verb)
        if handler is None or handler(now, peer, received) is not False:
            self.contact.received(now, peer, received)

    def _inflate(self, buf, off, n):
        # Most are small. Whoever gets large ones keeps room for the largest.
        room = max(len(self._inflated) - START, _INFLATED)
        while True:
            if len(self._inflated) != START + room:
                self._inflated = bytearray(START + room)
            inflated = self._inflated
            inflated[START:START + HEADER] = memoryview(buf)[off:off + HEADER]
            try:
                size = crypto.lz4_decompress(buf, off + HEADER, n - HEADER, inflated,
                                             START + HEADER, room - HEADER)
                break
            except ValueError:
                if room == limits.MAX_PACKET:
                    raise
                room = limits.MAX_PACKET
        if not size:
            raise ValueError("nothing inflated")
        return inflated, START, HEADER + size

    def _on_ok(self, now, peer, received):
        if not self._replies.expected(now, received.in_re_id):
            self.count("unexpected_ok")
            return False
        handler = self._ok.get(received.in_re_verb)
        return None if handler is None else handler(now, peer, received)

    def _on_hello(self, now, peer, received):
        """HELLO of a known peer, or OK to ours."""
        greeting = self.greeting
        if received.verb == packet.OK:
            return greeting.on_ok(now, peer, received)
        return greeting.on_encrypted_hello(now, peer, received)

    def _on_error(self, now, peer, received):
        handler = self._error.get(received.in_re_verb)
        return None if handler is None else handler(now, peer, received)

    def _on_echo(self, now, peer, received):
        if not self.contact.echo_gate.allow(now, received.endpoint):
            return False
        self.send_ok(now, peer, received, bytes(received.buf[received.at:received.end]))

    # --- out -------------------------------------------------------------------------------

    def agree(self, now, identity, done):
        """Call done(now, PacketCipher) for another identity, at once or from a later poll.

        The key agreement is the expensive part; where too many wait it is not begun.
        """
        if self.work.full() and not self.work.has(identity):
            return self.count("agreements_refused")
        self.work.start(now, identity, self.identity.agreement(identity),
                        lambda now, shared: done(now, crypto.PacketCipher(shared)))

    def cipher(self, peer, then=None):
        """The PacketCipher of a peer; None while the key is agreed on, after which then(now) is
        called and what Lookup holds is tried again.
        """
        if peer.cipher is None:
            if not self.work.sliced:
                peer.cipher = crypto.PacketCipher(self.identity.agree(peer.identity))
            elif then is not None or not self.work.has(peer.identity):
                self.agree(None, peer.identity, lambda now, cipher: self._agreed(
                    now, peer, cipher, then))
        return peer.cipher

    def _agreed(self, now, peer, cipher, then):
        if peer.cipher is None:
            peer.cipher = cipher
            self.unsettled = True
        if then is not None:
            then(now)

    def route(self, now, peer):
        """(peer whose path it is, path) to reach `peer`: direct, else the root's; or None.

        A path on which we keep sending without an answer is left for the relay until it answers.
        """
        path = peer.best_path(now)
        if path is None or path.unanswered_ms is not None and path.silent(now):
            root = self.upstreams.best(now)
            if root is not None and root is not peer:
                relay = root.best_path(now)
                if relay is not None:
                    return root, relay
        return None if path is None else (peer, path)

    def _answer(self, now, peer, received, verb, payload, compress):
        buf = _envelope(payload)
        self._emit(now, peer, received.endpoint, None, verb, buf, START + HEADER, len(payload),
                   compress)

    def _emit(self, now, peer, endpoint, path, verb, buf, off, n, compress=False):
        """Header, armor, datagrams: payload buf[off:off+n] to `endpoint`."""
        if compress and HEADER + n > _COMPRESSION_THRESHOLD:
            small = bytearray(START + HEADER + n)
            size = crypto.lz4_compress(buf, off, n, small, START + HEADER, n - 1)
            if size:
                verb |= packet.COMPRESSED
                buf, off, n = small, START + HEADER, size
        start = off - _HEADER
        length = _HEADER + n
        self.header(buf, start, length, peer.address, verb)
        peer.cipher.armor(buf, start, length, self._suite(peer))
        return self.put(now, endpoint, path, buf, start, length, verb & _VERB_MASK)

    @micropython.native
    def _suite(self, peer):
        if self.version >= VERSION_AES and peer.version >= VERSION_AES:
            return _CIPHER_AES
        return _CIPHER_SALSA

    @micropython.native
    def header(self, buf, start, length, destination, verb):
        """Write the header of a new packet; the cipher is chosen when it is armored."""
        at = self._ids_at
        if at == _IDS:
            at = self._draw_ids()
        self._ids_at = at + 8
        write(buf, start, self._ids, at, destination, self.address,
              _FRAGMENTED if length > limits.MTU else 0, verb)

    def _draw_ids(self):
        # Keystream, as real nodes draw theirs, under keys of the system's entropy: nothing is made
        # on the heap for it.
        if not self._ids_drawn & _REKEY:
            self._ids_key = self.entropy(32)
        crypto.salsa20_xor(self._ids_key, _IDS_IV, self._ids_drawn & _REKEY, self._ids, 0, _IDS,
                           12)
        self._ids_drawn += _IDS_BLOCKS
        return 0

    def put(self, now, endpoint, path, buf, start, length, verb):
        """Send an armored packet as one or more datagrams; returns its ID as on the wire."""
        packet_id = bytes(buf[start:start + _DESTINATION])
        if verb in _ANSWERED:
            self._replies.expect(now, packet_id)
        if path is not None:
            path.sent(now)
        if length <= limits.MTU:
            self.datagram(endpoint, buf, start, length)
        else:
            from mpcore.vl1 import fragment

            for at, size in fragment.split(buf, start, length, limits.MTU):
                self.datagram(endpoint, buf, at, size)
        return packet_id

    # --- peers -----------------------------------------------------------------------------

    def add_peer(self, now, identity):
        """Make an identity known; the caller has checked it. Returns the Peer."""
        peer = self.peers.get(identity.address)
        if peer is None:
            if len(self.peers) >= self._max_peers:
                self._forget_one(now)
            peer = self.peers[identity.address] = Peer(identity, now)
        return peer

    def keep_house(self, now):
        """Every now and then: make room of what has not been needed for a while."""
        self._forget_dead_peers(now)
        self._inflated = bytearray(0)
        if self._reassembler is not None and self._reassembler.idle(now):
            self._reassembler = None

    def _forget_dead_peers(self, now):
        for peer in [p for p in self.peers.values() if p.forgettable(now)]:
            if not self.contact.keeps(peer):
                self._forget(peer)

    def _forget_one(self, now):
        idle = [p for p in self.peers.values() if not self.contact.keeps(p)]
        if idle:
            self._forget(min(idle, key=lambda p: max(p.last_receive_ms, p.since_ms)))
            self.count("peers_evicted")

    def _forget(self, peer):
        del self.peers[peer.address]
        self.work.drop(peer.identity)
        if self._last is peer:
            self._last = None
        if self._talker is peer:
            self._talker = None


def _envelope(payload):
    buf = bytearray(START + HEADER + len(payload))
    buf[START + HEADER:] = payload
    return buf
