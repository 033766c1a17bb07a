"""VL1 on a simulated Internet: meeting, relaying, the direct path, loss, restarts."""

from host_tools.simulation.lan import ROOT_AT, SIGNER, planet
from mpcore.roles.root import Root
from mpcore.vl1 import hello, inet, packet, switch, traversal
from mpcore.vl1.gate import Gate
from mpcore.vl1.packet import HEADER, START
from mpcore.vl1.peer import Path, Peer
from mpcore.vl1.switch import Replies
from mpcore.vl1.world import MOON, World

from tests.core.scenes import Bare, Segment, identity
from tests.core.support import raises


def online(segment):
    assert segment.run(10000, lambda: all(n.vl1.upstreams.online(segment.wire.now)
                                          for n in segment.leaves))
    segment.run(100)  # the root's own HELLOs are answered, too


def direct(segment, a, b):
    peer = a.vl1.peers.get(b.address)
    return peer is not None and peer.direct(segment.wire.now)


def exchange(segment, a, b, text=b"x", limit_ms=5000):
    before = len(b.messages)
    a.say(segment.wire.now, b, text)
    segment.wire.touch(a)
    assert segment.run(limit_ms, lambda: len(b.messages) > before)
    assert b.messages[-1] == (a.address, text)


def test_leaves_meet_through_the_root_and_go_direct():
    segment = Segment()
    a, b = segment.leaves
    online(segment)
    exchange(segment, a, b)
    assert segment.root.vl1.counters["relayed"] >= 1
    assert segment.run(1000, lambda: direct(segment, a, b) and direct(segment, b, a))
    relayed = segment.root.vl1.counters["relayed"]
    for i in range(5):
        exchange(segment, a, b, bytes([i]))
        exchange(segment, b, a, bytes([i]))
    assert segment.root.vl1.counters["relayed"] == relayed


def test_a_path_is_learned_only_from_an_ok():
    segment = Segment()
    a, b = segment.leaves
    online(segment)
    exchange(segment, a, b)
    elsewhere = inet.parse("10.9.9.9/1")
    sent = []
    segment.wire.passes = lambda source, destination: sent.append(destination) or True
    # A replayed datagram from another address: answered by a HELLO there, but not believed.
    buf = bytearray(START + HEADER)
    b.vl1.header(buf, START, HEADER, a.address, packet.NOP)
    b.vl1.cipher(b.vl1.peers[a.address]).armor(buf, START, HEADER, packet.CIPHER_SALSA)
    a.receive(segment.wire.now, elsewhere, buf, START, HEADER)
    a.poll(segment.wire.now)
    assert sent == [elsewhere]
    assert a.vl1.peers[b.address].path_to(elsewhere) is None


def test_a_root_keeps_to_the_addresses_the_planet_lists():
    segment = Segment(leaves=1)
    a = segment.leaves[0]
    peer = a.vl1.peers[segment.root.address]
    assert a.vl1.contact.acceptable(peer, inet.parse("10.0.0.1/1234"))
    assert not a.vl1.contact.acceptable(peer, inet.parse("10.0.0.2/9993"))


def test_loopback_counts_as_a_path_only_when_told_so():
    for allowed in (False, True):
        segment = Segment(leaves=1, options={"loopback": allowed})
        leaf = segment.leaves[0]
        peer = Peer(identity(5), 0)
        assert leaf.vl1.contact.acceptable(peer, inet.parse("127.0.0.1/9993")) is allowed


def test_large_messages_travel_in_fragments():
    segment = Segment()
    a, b = segment.leaves
    online(segment)
    exchange(segment, a, b)
    text = bytes([i * 7 & 255 for i in range(9800)])
    exchange(segment, a, b, text)
    raises(ValueError, a.say, segment.wire.now, b, bytes(9997))


def test_compressed_messages_are_smaller_and_arrive_whole():
    segment = Segment()
    a, b = segment.leaves
    online(segment)
    exchange(segment, a, b)
    assert segment.run(1000, lambda: direct(segment, a, b))
    sizes = []
    send = a.vl1.datagram
    a.vl1.datagram = lambda e, buf, off, n: sizes.append(n) or send(e, buf, off, n)
    text = b"0123456789" * 100
    a.say(segment.wire.now, b, text, compress=True)
    assert segment.run(1000, lambda: b.messages[-1][1] == text)
    assert sizes[0] < 200


def test_aes_is_used_only_between_those_who_announce_it():
    for options in ({"aes": True}, {"aes": False}):
        segment = Segment(leaves=1, options=options)
        odd = segment.start_leaf(2, aes=True)
        a, b = segment.leaves
        online(segment)
        exchange(segment, a, b)
        assert segment.run(1000, lambda: direct(segment, a, b) and direct(segment, b, a))
        ciphers = []

        def look(endpoint, buf, off, n, send=b.vl1.datagram):
            ciphers.append(buf[off + packet.FLAGS] >> 3 & 7)
            send(endpoint, buf, off, n)

        b.vl1.datagram = look
        exchange(segment, b, a)
        expected = packet.CIPHER_AES if options["aes"] else packet.CIPHER_SALSA
        assert ciphers[0] == expected and odd is b


def test_everything_survives_twenty_percent_loss():
    segment = Segment(seed=7, loss=0.2, delay_ms=20, jitter_ms=30)
    a, b = segment.leaves
    assert segment.run(20000, lambda: all(n.vl1.upstreams.online(segment.wire.now)
                                          for n in segment.leaves))
    for i in range(40):
        a.say(segment.wire.now, b, bytes([i]))
        segment.wire.touch(a)
        segment.run(200)
    # Nothing is retransmitted by VL1, so some are lost; not most of them.
    assert len(b.messages) > 15
    given_up_ms = segment.wire.now + 65000  # a lost introduction is repeated every 30 s
    while not direct(segment, a, b):
        assert segment.wire.now < given_up_ms
        a.say(segment.wire.now, b, b"again")
        segment.wire.touch(a)
        segment.run(500)


def test_a_cut_direct_path_falls_back_to_the_relay_and_comes_back():
    segment = Segment()
    a, b = segment.leaves
    online(segment)
    exchange(segment, a, b)
    assert segment.run(1000, lambda: direct(segment, a, b) and direct(segment, b, a))
    for one, other in ((a, b), (b, a)):
        one.vl1.trust(segment.wire.now, one.vl1.peers[other.address], None)
    ends = {a.port.endpoint, b.port.endpoint}
    segment.wire.passes = lambda source, destination: {source, destination} != ends
    cut_at = segment.wire.now
    while not b.messages or b.messages[-1][1] != b"through":
        a.say(segment.wire.now, b, b"through")
        segment.wire.touch(a)
        segment.run(250)
        assert segment.wire.now - cut_at < 10000
    # The answer does not have to find out for itself.
    b.say(segment.wire.now, a, b"answer")
    segment.wire.touch(b)
    assert segment.run(100, lambda: a.messages and a.messages[-1][1] == b"answer")
    segment.wire.passes = lambda source, destination: True
    assert segment.run(10000, lambda: direct(segment, a, b))


def test_a_peer_that_restarts_on_another_port_is_found_within_seconds():
    segment = Segment()
    a, b = segment.leaves
    online(segment)
    exchange(segment, a, b)
    assert segment.run(1000, lambda: direct(segment, a, b) and direct(segment, b, a))
    segment.wire.detach(b)
    b = Bare(segment.wire, identity(2), "10.0.1.2/40000", segment.planet)
    restarted_ms = segment.wire.now

    def talk_until(done, limit_ms):
        while not done():
            a.say(segment.wire.now, b, b"there")
            b.say(segment.wire.now, a, b"back")
            segment.wire.touch(a)
            segment.wire.touch(b)
            segment.run(250)
            assert segment.wire.now - restarted_ms < limit_ms

    talk_until(lambda: a.messages and b.messages, 8000)
    # The root introduces a pair every 30 s; until then it relays.
    talk_until(lambda: a.vl1.peers[b.address].path_to(b.port.endpoint) is not None, 40000)


def test_a_restarted_root_is_found_again():
    segment = Segment()
    a, b = segment.leaves
    online(segment)
    segment.wire.detach(segment.root)
    assert segment.run(60000, lambda: not a.vl1.upstreams.online(segment.wire.now))
    segment.start_root()  # with nothing remembered
    back_at = segment.wire.now
    assert segment.run(10000, lambda: len(segment.root.vl1.peers) == 2)
    exchange(segment, a, b)
    assert segment.wire.now - back_at < 10000


def test_a_lean_node_believes_only_what_the_root_confirms():
    segment = Segment(leaves=1)
    lean = segment.start_leaf(2, validate=False)
    a = segment.leaves[0]
    online(segment)
    exchange(segment, a, lean)
    assert lean.vl1.peers[a.address].identity == identity(1)
    # A forged identity says HELLO directly: without the root's word it is not stored.
    forged = identity(3).to_bytes()
    impostor = identity(3).from_bytes(b"\x33" * 5 + forged[5:])[0]
    impostor.private = identity(3).private
    liar = Bare(segment.wire, impostor, "10.0.3.3/9993", segment.planet)
    target = liar.vl1.add_peer(segment.wire.now, lean.vl1.identity)
    liar.vl1.contact.hello(segment.wire.now, target, lean.port.endpoint)
    segment.run(6000)
    assert b"\x33" * 5 not in lean.vl1.peers
    assert b"\x33" * 5 not in segment.root.vl1.peers
    assert segment.root.vl1.counters["identity_invalid"] >= 1


def test_a_stranger_whom_no_root_knows_is_checked_by_its_hash():
    segment = Segment(leaves=1)
    a = segment.leaves[0]
    online(segment)
    stranger = Bare(segment.wire, identity(6), "10.0.6.6/9993", segment.planet)
    segment.wire.passes = lambda source, destination: (
        segment.root.port.endpoint not in (source, destination)
        or stranger.port.endpoint not in (source, destination))
    target = stranger.vl1.add_peer(segment.wire.now, a.vl1.identity)
    stranger.vl1.contact.expect(target, a.port.endpoint)
    segment.run(500)
    assert stranger.address not in a.vl1.peers      # the root is being asked
    assert segment.run(4000, lambda: stranger.address in a.vl1.peers)


def test_a_second_key_for_an_address_is_refused_and_told_so():
    segment = Segment(leaves=1)
    online(segment)
    # The root already knows address 1; somebody else's key claims it.
    thief_identity = identity(4).from_bytes(identity(1).address + identity(4).to_bytes()[5:])[0]
    thief_identity.private = identity(4).private
    thief = Bare(segment.wire, thief_identity, "10.0.4.4/9993", segment.planet)
    assert segment.run(5000, lambda: thief.vl1.collision)
    assert segment.root.vl1.peers[identity(1).address].identity == identity(1)
    assert segment.root.vl1.counters["collisions"] >= 1


def test_a_newer_planet_spreads_and_a_forged_one_does_not():
    adopted = []
    segment = Segment(leaves=1, options={"adopt": adopted.append})
    online(segment)
    leaf = segment.leaves[0]
    newer = planet([(identity(0), [ROOT_AT])], timestamp=2)
    segment.root.vl1.upstreams.planet = newer
    assert segment.run(130000, lambda: leaf.vl1.upstreams.planet.timestamp == 2)
    assert adopted[-1].to_bytes() == newer.to_bytes()
    segment.root.vl1.upstreams.planet = planet([(identity(0), [ROOT_AT])], 3, bytes(reversed(SIGNER)))
    segment.run(130000)
    assert leaf.vl1.upstreams.planet.timestamp == 2


def test_echo_is_answered_with_its_own_payload_and_gated():
    segment = Segment(leaves=1)
    leaf = segment.leaves[0]
    online(segment)
    answers = []
    leaf.vl1.on_ok(packet.ECHO, lambda now, peer, p: answers.append(bytes(p.buf[p.at:p.end])))
    now = segment.wire.now
    for text in (b"one", b"two"):
        leaf.vl1.send(now, segment.root.address, packet.ECHO, text)
    segment.run(100)
    assert answers == [b"one"]
    segment.run(200)
    leaf.vl1.send(segment.wire.now, segment.root.address, packet.ECHO, b"three")
    segment.run(100)
    assert answers == [b"one", b"three"]


def test_an_ok_that_answers_nothing_is_ignored():
    segment = Segment(leaves=1)
    leaf = segment.leaves[0]
    online(segment)
    now = segment.wire.now
    peer = segment.root.vl1.peers[leaf.address]
    unexpected = leaf.vl1.counters.get("unexpected_ok", 0)
    segment.root.vl1.send_to(now, peer, leaf.port.endpoint, packet.OK,
                             bytes((packet.ECHO,)) + bytes(8))
    segment.run(10)
    assert leaf.vl1.counters["unexpected_ok"] == unexpected + 1


def test_packets_for_an_unknown_address_wait_and_are_given_up():
    segment = Segment(leaves=1)
    leaf = segment.leaves[0]
    online(segment)
    assert leaf.vl1.send(segment.wire.now, b"\x12\x34\x56\x78\x9a", packet.USER_MESSAGE, b"") is None
    segment.wire.touch(leaf)
    segment.run(7000)
    assert leaf.vl1.counters["no_path_dropped"] == 1


def test_tampered_replayed_and_foreign_datagrams_are_counted_drops():
    segment = Segment(leaves=1)
    leaf = segment.leaves[0]
    online(segment)
    now, here = segment.wire.now, segment.root.port.endpoint
    counters = leaf.vl1.counters

    def inject(data):
        leaf.receive(now, here, bytearray(START) + data, START, len(data))

    for size in list(range(0, 13)) + list(range(14, 28)):
        inject(bytes(size))
    assert counters["malformed"] + counters.get("not_ours", 0) == 27
    inject(bytes(13))
    assert counters["beacons"] == 1
    head = bytes(8) + leaf.address + segment.root.address
    inject(head + b"\x88" + bytes(20))
    assert counters["mac"] == 1
    inject(head + b"\x00" + bytes(8) + bytes((packet.ECHO,)))
    assert counters["cipher_refused"] == 1
    inject(head + b"\x10" + bytes(20))
    assert counters["cipher_refused"] == 2
    inject(bytes(8) + leaf.address + leaf.address + b"\x88" + bytes(20))
    assert counters["from_self"] == 1


def test_a_relay_stops_at_three_hops():
    segment = Segment()
    a, b = segment.leaves
    online(segment)
    root = segment.root
    for hops, relayed in ((2, 1), (3, 0), (7, 0)):
        before = root.vl1.counters.get("relayed", 0)
        buf = bytearray(START) + bytes(8) + b.address + a.address + bytes((0x88 | hops,)) + bytes(9)
        root.receive(segment.wire.now, a.port.endpoint, buf, START, len(buf) - START)
        assert root.vl1.counters.get("relayed", 0) - before == relayed


def test_a_leaf_does_not_relay():
    segment = Segment()
    a, b = segment.leaves
    buf = bytearray(START) + bytes(8) + b.address + identity(5).address + b"\x88" + bytes(9)
    a.receive(0, inet.parse("10.0.0.9/1"), buf, START, len(buf) - START)
    assert a.vl1.counters["not_ours"] == 1


def test_unknown_greeters_are_limited():
    segment = Segment(leaves=0)
    root = segment.root.vl1
    strangers = root.strangers()
    allowed = sum(strangers.may_be_checked(0, bytes([10, 0, 0, i, 0, 1])) for i in range(100))
    assert allowed == 20
    assert not strangers.may_be_checked(100, b"\x0a\0\0\xff\0\1")
    assert strangers.may_be_checked(300, b"\x0a\0\0\xff\0\1")
    assert not strangers.may_be_checked(900, b"\x0a\0\0\xff\0\1")


def test_direct_path_pushes_round_trip_and_are_gated():
    endpoints = [inet.parse("192.168.1.10/9993"), inet.parse("[2001:db8::1]:9993")]
    payload = traversal.push_payload(endpoints)
    assert payload[:13] == bytes.fromhex("000200000004" + "06c0a8010a2709")
    assert traversal.pushed_endpoints(payload, 0, len(payload)) == endpoints
    assert traversal.pushed_endpoints(payload, 0, len(payload) - 1) == endpoints[:1]
    raises(ValueError, traversal.pushed_endpoints, b"\0", 0, 1)


def test_trusted_peers_learn_each_others_addresses():
    segment = Segment()
    a, b = segment.leaves
    online(segment)
    segment.root.vl1.relay = lambda *args: segment.root.vl1.count("dropped")
    real = Root(segment.root.vl1)
    real._introduce = lambda *args: None  # the root relays, but does not introduce
    exchange(segment, a, b)
    segment.run(3000)
    assert not direct(segment, a, b)
    for one, other in ((a, b), (b, a)):
        one.vl1.contact.local_endpoints = one.port.endpoints
        one.vl1.trust(segment.wire.now, one.vl1.peers[other.address], None)
    exchange(segment, a, b)
    assert segment.run(3000, lambda: direct(segment, a, b))


def test_peers_are_bounded_and_roots_stay():
    segment = Segment(leaves=1, options={"max_peers": 4})
    leaf = segment.leaves[0].vl1
    for i in range(5, 12):
        leaf.add_peer(i, identity(i))
    assert len(leaf.peers) == 4
    assert segment.root.address in leaf.peers
    assert leaf.counters["peers_evicted"] == 4


def test_path_quality_prefers_alive_then_fast():
    endpoint = inet.parse("10.0.0.1/1")
    slow, fast, dead = Path(endpoint), Path(endpoint), Path(endpoint)
    for path, latency_ms, heard in ((slow, 50, 100000), (fast, 5, 100000), (dead, 1, 80000)):
        path.heard(heard)
        path.measured(latency_ms)
    qualities = [p.quality(100000) for p in (fast, slow, dead)]
    assert qualities == sorted(qualities) and len(set(qualities)) == 3
    fast.measured(15)
    assert fast.latency_ms == 10
    fast.sent(100000)
    assert not fast.silent(105999) and fast.silent(106000)
    fast.heard(106001)
    assert not fast.silent(200000)


def test_hello_parses_what_it_builds():
    payload, masked_from = hello.build(12, (1, 2, 3), 1700000000000, identity(1),
                                       inet.parse("10.0.0.1/9993"), b"12345678", 77,
                                       [(b"moonmoon", 5)])
    data = bytearray(payload)
    greeting = hello.Hello(data, 0, len(data))
    greeting.read_rest(data)
    assert (greeting.version, greeting.software) == (12, (1, 2, 3))
    assert greeting.timestamp == 1700000000000 and greeting.identity == identity(1)
    assert greeting.endpoint == inet.parse("10.0.0.1/9993")
    assert (greeting.world_id, greeting.world_timestamp) == (b"12345678", 77)
    assert greeting.masked_from == masked_from
    assert greeting.read_moons(data) == [(b"moonmoon", 5)]
    data[-18] = 2  # one moon more than there is
    raises(ValueError, greeting.read_moons, data)


def test_versions_announced():
    assert (switch.VERSION_SALSA, switch.VERSION_AES) == (11, 12)


MOON_ID = b"\0\0\0" + b"\x07moon"


def moon(roots, timestamp=1, signer=SIGNER):
    return World.make(MOON, MOON_ID, timestamp,
                      [(who, [inet.parse(e) for e in at]) for who, at in roots], signer)


def orbiting(segment, leaf, seed):
    """The seed holds a moon that names it; the leaf asks for it."""
    seed.vl1.upstreams.moons[MOON_ID] = moon([(seed.vl1.identity, ["10.0.1.2/9993"])])
    leaf.vl1.upstreams.orbit(MOON_ID, seed.address)
    assert segment.run(6000, lambda: MOON_ID in leaf.vl1.upstreams.moons)


def test_a_moon_is_taken_from_its_seed_and_its_root_becomes_ours():
    adopted = []
    segment = Segment(options={"adopt": adopted.append})
    a, b = segment.leaves
    online(segment)
    orbiting(segment, a, b)
    assert a.vl1.is_upstream(b.address) and adopted[-1].id == MOON_ID
    assert not a.vl1.upstreams.seeds
    assert segment.run(6000, lambda: direct(segment, a, b))
    # With the planet's root gone, the moon's root is the one to ask.
    segment.wire.detach(segment.root)
    assert segment.run(60000, lambda: a.vl1.best_root(segment.wire.now).address == b.address)


def test_a_newer_moon_is_taken_and_a_forged_one_is_not():
    segment = Segment()
    a, b = segment.leaves
    online(segment)
    orbiting(segment, a, b)
    at = [(b.vl1.identity, ["10.0.1.2/9993"])]
    b.vl1.upstreams.moons[MOON_ID] = moon(at, 3, bytes(reversed(SIGNER)))
    segment.run(130000)
    assert a.vl1.upstreams.moons[MOON_ID].timestamp == 1
    assert a.vl1.counters["worlds_refused"] and a.vl1.counters["worlds_taken"] == 1
    b.vl1.upstreams.moons[MOON_ID] = moon(at, 2)
    assert segment.run(130000, lambda: a.vl1.upstreams.moons[MOON_ID].timestamp == 2)


def test_a_moon_that_nobody_asked_for_is_refused():
    segment = Segment(leaves=1)
    leaf = segment.leaves[0]
    online(segment)
    unasked = moon([(identity(0), [ROOT_AT])]).to_bytes()
    upstreams = leaf.vl1.upstreams
    upstreams.offer(0, segment.root.address, unasked, 0, len(unasked))
    assert not upstreams.moons
    # Neither is one that does not name the seed it came from.
    upstreams.orbit(MOON_ID, identity(5).address)
    upstreams.offer(0, identity(5).address, unasked, 0, len(unasked))
    assert not upstreams.moons and MOON_ID in upstreams.seeds
    raises(ValueError, upstreams.orbit, bytes(8), identity(5).address)


def test_a_left_moons_root_is_a_root_no_longer():
    segment = Segment()
    a, b = segment.leaves
    online(segment)
    orbiting(segment, a, b)
    assert a.vl1.upstreams.deorbit(segment.wire.now, MOON_ID)
    assert not a.vl1.is_upstream(b.address)
    assert a.vl1.peers[b.address].stable == ()
    assert not a.vl1.upstreams.deorbit(segment.wire.now, MOON_ID)


def test_who_was_forgotten_is_asked_for_again_though_its_packet_was_the_last():
    segment = Segment()
    a, b = segment.leaves
    segment.run(5000)
    a.say(segment.wire.now, b, b"to be introduced")
    segment.run(10000)
    a.say(segment.wire.now, b, b"one")
    assert segment.run(5000, lambda: len(b.messages) == 2)
    peer = b.vl1.peers[a.address]
    assert peer.direct(segment.wire.now)
    b.vl1._forget(peer)
    a.say(segment.wire.now, b, b"two")
    assert segment.run(5000, lambda: len(b.messages) == 3)
    assert a.address in b.vl1.peers


def test_who_has_another_address_tells_its_peers_and_is_reached_there_in_seconds():
    def silence_ms(tells):
        segment = Segment()
        a, b = segment.leaves
        online(segment)
        exchange(segment, a, b)
        assert segment.run(1000, lambda: direct(segment, a, b) and direct(segment, b, a))
        segment.wire.detach(b)
        b.port.endpoint = inet.parse("10.0.1.2/40000")      # and it has lost nothing else
        segment.wire.attach(b)
        moved_ms, heard = segment.wire.now, len(b.messages)
        if tells:
            b.vl1.contact.moved(segment.wire.now)
        while len(b.messages) == heard:
            a.say(segment.wire.now, b, b"there")
            segment.wire.touch(a)
            segment.run(100)
        return segment.wire.now - moved_ms

    assert silence_ms(True) <= 1000 < silence_ms(False)


# --- what is remembered, and for how long ----------------------------------------------------

def test_only_as_many_ids_as_are_remembered_may_be_quoted_and_not_for_long():
    replies = Replies(3)
    ids = [bytes((i,)) * 8 for i in range(5)]
    for i, packet_id in enumerate(ids):
        replies.expect(1000 * i, packet_id)
    assert [replies.expected(4000, packet_id) for packet_id in ids] == [False] * 2 + [True] * 3
    assert [replies.expected(12500, packet_id) for packet_id in ids] == [False] * 3 + [True] * 2
    assert not any([replies.expected(14000, packet_id) for packet_id in ids])


def test_what_lies_across_two_ids_is_none():
    replies = Replies(4)
    for packet_id in (b"\1\2\3\4\1\2\3\4", b"\1\2\3\4\5\6\7\x08", b"\3\4\1\2\3\4\5\6"):
        replies.expect(0, packet_id)
    assert replies.expected(0, b"\3\4\1\2\3\4\5\6")       # which is there before, across two
    assert not replies.expected(0, b"\1\2\3\4\1\2\3\5")
    assert not replies.expected(0, b"\5\6\7\x08\3\4\1\2")


def test_a_gate_keeps_in_mind_those_who_may_not_pass_and_few_others():
    gate = Gate(100, 16)
    assert all([gate.allow(i, i) for i in range(16)])
    assert not any([gate.allow(99, i) for i in range(16)])
    # There is no room for another but that of the one who may pass again first.
    assert gate.allow(99, "new") and not gate.allow(99, 15) and gate.allow(99, 0)
    assert all([gate.allow(1000 * i, i) for i in range(1, 100)])
    assert len(gate._passed_ms) < 9
    gate.forget(99)
    assert gate.allow(99000, 99)
    gate.forget("nobody")


def test_pushes_of_addresses_are_heard_again_after_a_pause():
    segment = Segment(leaves=1)
    contact = segment.leaves[0].vl1.contact
    peer, other = [Peer(identity(i), 0) for i in (3, 4)]
    heard = [contact.may_push(1000 * i, peer) for i in range(12)]
    assert heard == [True] * 8 + [False] * 4
    assert contact.may_push(12000, other)
    assert not contact.may_push(11000 + 30000, peer) and contact.may_push(41000 + 30001, peer)
    contact.poll(200000)
    assert contact._pushed == {}


def test_who_talks_passes_those_who_have_just_come():
    segment = Segment()
    online(segment)
    a, b = segment.leaves
    exchange(segment, a, b)
    vl1, now = a.vl1, segment.wire.now
    talker, newcomer = vl1.peers[b.address], vl1.add_peer(now, identity(5))

    def datagram(peer):
        return bytes(13) + peer.address + bytes(20)

    later = now + 6000
    vl1.trust(later, talker, None)
    assert vl1.foremost(datagram(talker)) and vl1.talked_ms(datagram(talker)) == later
    vl1.trust(now + 1000, newcomer, None)
    assert vl1.talked_ms(datagram(newcomer)) < 0
    vl1.trust(later + 1, newcomer, None)
    assert vl1.foremost(datagram(newcomer)) and vl1.talked_ms(datagram(newcomer)) == later + 1
