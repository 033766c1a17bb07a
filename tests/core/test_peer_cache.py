"""Peers that are remembered over a restart."""

from mpcore.vl1 import inet, peer_cache
from mpcore.vl1.peer import Peer

from tests.core.scenes import Lan, Segment, identity
from tests.core.support import raises


def record_of(endpoints):
    peer = Peer(identity(3), 0)
    peer.version = 12
    for endpoint in endpoints:
        peer.learn(0, inet.parse(endpoint))
    return peer_cache.encode(peer)


def test_a_record_is_read_as_it_was_written():
    record = record_of(["10.0.0.3/9993", "[2001:db8::3]:9993"])
    assert record[:1] == b"\x02" and record[1:6] == identity(3).address
    assert peer_cache.decode(record) == (
        identity(3), 12, [inet.parse("10.0.0.3/9993"), inet.parse("[2001:db8::3]:9993")])


def test_a_malformed_record_is_refused():
    record = record_of(["10.0.0.3/9993"])
    for end in range(len(record)):
        raises(ValueError, peer_cache.decode, record[:end])
    raises(ValueError, peer_cache.decode, b"\x01" + record[1:])


def test_members_find_each_other_again_without_root_or_controller():
    lan = Lan(options={"remember": True})
    assert lan.joined()
    a, b = lan.members
    assert lan.ping(a, b) is not None
    lan.run(40000)
    storage = a.port.storage
    assert "peers.d/%s.peer" % b.identity.address.hex() in storage
    lan.wire.detach(a)
    lan.wire.detach(lan.root)
    lan.wire.detach(lan.controller_node)
    lan.members.remove(a)
    again = lan.start_member(2, storage)
    assert lan.run(5000, lambda: again.vl1.peers[b.identity.address].direct(lan.wire.now))
    # Nobody is there to ask who listens; within a minute the other member tells by itself.
    started_ms = lan.wire.now
    while lan.ping(again, b) is None:
        assert lan.wire.now - started_ms < 70000


def test_what_is_remembered_is_bounded_and_checked():
    segment = Segment(leaves=1)
    vl1 = segment.leaves[0].vl1
    storage = {"peers.d/%s.peer" % identity(i).address.hex(): peer_cache.encode(Peer(identity(i), 0))
               for i in range(3, 9)}
    storage["peers.d/0000000000.peer"] = peer_cache.encode(Peer(identity(9), 0))
    storage["peers.d/x.peer"] = b"?"
    removed = []
    peer_cache.PeerCache(vl1, storage.get, None, removed.append, lambda prefix: sorted(storage), 4)
    known = [i for i in range(3, 10) if identity(i).address in vl1.peers]
    assert len(known) == 4 and 9 not in known


def test_how_long_the_machine_has_been_up_does_not_make_peers_old():
    vl1 = Segment(leaves=1).leaves[0].vl1
    name = "peers.d/%s.peer" % identity(3).address.hex()
    storage = {name: record_of(["10.0.0.3/9993"])}
    peer_cache.PeerCache(vl1, storage.get, None, None, lambda prefix: list(storage), 4)
    vl1.poll(10000000)
    assert identity(3).address in vl1.peers


def test_a_forgotten_peers_record_goes_and_a_failing_storage_is_counted():
    segment = Segment(leaves=2)
    a, b = segment.leaves
    segment.run(1000)
    a.say(segment.wire.now, b, b"x")
    segment.wire.touch(a)
    segment.run(1000)
    kept = {}
    cache = peer_cache.PeerCache(a.vl1, kept.get, kept.__setitem__, kept.pop, lambda prefix: [], 9)
    cache.write()
    assert len(kept) == 2
    del a.vl1.peers[b.address]
    cache.write()
    assert list(kept) == ["peers.d/%s.peer" % segment.root.address.hex()]

    def fail(name, data):
        raise OSError(28)

    peer_cache.PeerCache(a.vl1, kept.get, fail, kept.pop, lambda prefix: [], 9).write()
    assert a.vl1.counters["peer_cache_failed"] == 1
