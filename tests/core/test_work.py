"""Key agreements in slices: packets are served meanwhile, and what waits for a key is not lost."""

from host_tools.simulation.lan import ROOT_AT, planet
from mpcore import limits
from mpcore.vl1 import world
from mpcore.vl1.identity import Identity
from mpcore.vl1.work import Work

from tests.core.scenes import Bare, Segment, identity
from tests.core.slow_crypto import SlowCrypto
from tests.core.support import raises

SLICED = {"sliced": True}


class Log:
    """What jobs did, in order."""

    def __init__(self):
        self.did = []
        self.counted = []

    def job(self, name, slices):
        for i in range(slices):
            self.did.append((name, i))
            yield
        return name

    def done(self, now, result):
        self.did.append((now, result))


# --- the queue -------------------------------------------------------------------------------

def test_each_poll_runs_one_slice_of_the_first_job():
    log = Log()
    work = Work(True, log.counted.append)
    work.start(0, "a", log.job("a", 2), log.done)
    work.start(0, "b", log.job("b", 1), log.done)
    assert log.did == [] and work.jobs and work.has("b") and not work.has("c")
    seen = []
    for now in range(5):
        work.poll(now)
        seen.append(len(log.did))
    assert seen == [1, 2, 3, 4, 5]
    assert log.did == [("a", 0), ("a", 1), (2, "a"), ("b", 0), (4, "b")]
    assert not work.jobs
    work.poll(5)
    assert len(log.did) == 5 and not log.counted


def test_a_poll_runs_as_many_slices_of_one_job_as_it_may():
    log = Log()
    work = Work(True, log.counted.append)
    work.start(0, "a", log.job("a", 4), log.done)
    work.start(0, "b", log.job("b", 0), log.done)
    work.poll(1, 3)
    assert log.did == [("a", 0), ("a", 1), ("a", 2)]
    work.poll(2, 3)
    assert log.did[3:] == [("a", 3), (2, "a")]
    work.poll(3, 3)
    assert log.did[5:] == [(3, "b")] and not work.jobs


def test_what_is_sent_in_turns_goes_before_what_takes_long():
    log = Log()
    work = Work(True, log.counted.append)
    work.start(0, "a", log.job("a", 2), log.done)
    work.poll(0)
    for name in "bc":
        work.in_turns(1, log.job(name, 2))      # equal ones are two
        work.in_turns(1, log.job(name, 1))
    for now in range(12):
        work.poll(now)
    assert log.did == [("a", 0), ("b", 0), ("b", 1), ("b", 0), ("c", 0), ("c", 1), ("c", 0),
                       ("a", 1), (11, "a")]
    for _ in range(limits.WORK_WAITING):
        work.in_turns(1, log.job("d", 1))
    log.did = []
    work.in_turns(1, log.job("e", 1))           # there is no room for more
    assert log.did == [("e", 0)] and len(work.jobs) == limits.WORK_WAITING
    log = Log()
    Work(False, log.counted.append).in_turns(1, log.job("b", 2))
    assert log.did == [("b", 0), ("b", 1)]


def test_unsliced_jobs_are_done_at_once():
    log = Log()
    work = Work(False, log.counted.append)
    work.start(7, "a", log.job("a", 2), log.done)
    assert log.did == [("a", 0), ("a", 1), (7, "a")] and not work.jobs


def test_one_result_serves_all_who_wait_for_it():
    log = Log()
    work = Work(True, log.counted.append)
    for _ in range(limits.WORK_WAITING + 2):
        work.start(0, "a", log.job("a", 0), log.done)
    work.poll(1)
    assert log.did == [(1, "a")] * limits.WORK_WAITING
    assert log.counted == ["work_dropped"] * 2


def test_a_dropped_job_is_not_run():
    log = Log()
    work = Work(True, log.counted.append)
    work.start(0, "a", log.job("a", 2), log.done)
    work.start(0, "b", log.job("b", 0), log.done)
    work.poll(0)
    work.drop("a")
    work.poll(1)
    assert log.did == [("a", 0), (1, "b")] and not work.jobs


def test_a_job_that_fails_is_gone_and_a_malformed_result_is_counted():
    def failing():
        yield
        raise MemoryError

    def malformed(now, result):
        raise ValueError

    log = Log()
    work = Work(True, log.counted.append)
    work.start(0, "a", failing(), log.done)
    work.start(0, "b", log.job("b", 0), malformed)
    work.start(0, "b", log.job("b", 0), log.done)
    work.poll(0)
    raises(MemoryError, work.poll, 1)
    work.poll(2)
    assert log.did == [(2, "b")] and log.counted == ["malformed"] and not work.jobs


# --- first contact ---------------------------------------------------------------------------

def online(segment):
    assert segment.run(10000, lambda: all([n.vl1.upstreams.online(segment.wire.now)
                                           for n in segment.leaves]))
    segment.run(1000)


def say(segment, a, b, text):
    a.say(segment.wire.now, b, text)
    segment.wire.touch(a)


def meet(segment, a, b):
    say(segment, a, b, b"hello")
    assert segment.run(5000, lambda: (a.address, b"hello") in b.messages)
    segment.run(2000)
    del b.messages[:]


def test_others_are_served_while_a_key_is_agreed_on():
    with SlowCrypto(10) as slow:
        segment = Segment(leaves=3, options={"sliced": False})
        a, b, c = segment.leaves
        a.vl1.work.sliced = True
        online(segment)
        meet(segment, b, a)
        slow.slices = 300
        for i in range(3):
            say(segment, c, a, b"from c %d" % i)
        segment.run(50)
        assert a.vl1.work.jobs and a.messages == []
        for i in range(5):
            say(segment, b, a, b"%d" % i)
            assert segment.run(5, lambda: (b.address, b"%d" % i) in a.messages)
            say(segment, a, b, b"%d" % i)
            assert segment.run(5, lambda: (a.address, b"%d" % i) in b.messages)
        assert a.vl1.work.jobs
        assert segment.run(1000, lambda: len(a.messages) == 8)
        assert a.messages[5:] == [(c.address, b"from c %d" % i) for i in range(3)]
        segment.run(10000)
        assert len(a.messages) == 8 and not a.vl1.work.jobs


def test_what_we_send_waits_for_the_key():
    with SlowCrypto(100) as slow:
        segment = Segment(options=SLICED)
        a, b = segment.leaves
        online(segment)
        slow.agreements = 0
        for i in range(3):
            assert a.say(segment.wire.now, b, b"%d" % i) is None
        segment.wire.touch(a)
        assert segment.run(5000, lambda: len(b.messages) == 3)
        assert [text for _, text in b.messages] == [b"0", b"1", b"2"]
        segment.run(5000)
        assert len(b.messages) == 3 and slow.agreements == 2


def test_a_peer_that_is_forgotten_takes_its_job_along():
    with SlowCrypto(10) as slow:
        segment = Segment(options=SLICED)
        a, b = segment.leaves
        online(segment)
        slow.slices = 10000
        say(segment, b, a, b"hello")
        b.vl1.work.sliced = False
        assert segment.run(5000, lambda: a.vl1.peers.get(b.address) is not None)
        segment.run(100)
        assert a.vl1.work.jobs and a.vl1.lookup._incoming
        a.vl1._forget(a.vl1.peers[b.address])
        assert not a.vl1.work.jobs
        segment.wire.passes = lambda source, destination: False     # nobody asks again
        segment.run(6000)
        assert a.messages == [] and not a.vl1.lookup._incoming
        assert a.vl1.counters["unknown_source_dropped"] >= 1


def test_packets_that_wait_for_a_key_are_bounded():
    with SlowCrypto(10) as slow:
        segment = Segment(options={"sliced": False})
        a, b = segment.leaves
        a.vl1.work.sliced = True
        online(segment)
        slow.slices = 400
        for i in range(limits.WAITING_IN + 4):
            say(segment, b, a, bytes((i,)))
        assert segment.run(3000, lambda: bool(a.messages))
        segment.run(100)
        assert 1 < len(a.messages) <= limits.WAITING_IN
        assert a.vl1.counters["unknown_source_dropped"] >= 4


def test_no_more_agreements_wait_than_there_is_room_for():
    with SlowCrypto(1):
        segment = Segment(leaves=1, options=SLICED)
        a = segment.leaves[0]
        online(segment)
        vl1 = a.vl1
        peers = [vl1.add_peer(segment.wire.now, Identity(bytes((1, 2, 3, 4, i)),
                                                         bytes((9, i)) + bytes(62)))
                 for i in range(limits.JOBS + 2)]
        for peer in peers:
            assert vl1.cipher(peer) is None
        assert vl1.counters["agreements_refused"] == 2
        assert vl1.cipher(peers[0]) is None     # it is under way
        assert vl1.counters["agreements_refused"] == 2
        segment.wire.touch(a)
        assert segment.run(1000, lambda: not vl1.work.jobs)
        assert [peer.cipher is None for peer in peers] == [False] * limits.JOBS + [True] * 2
        assert vl1.cipher(peers[-1]) is None and vl1.work.jobs


def test_of_packets_that_waited_for_a_key_each_has_a_poll_of_its_own():
    with SlowCrypto(5):
        segment = Segment(options=SLICED)
        online(segment)
        a, b = segment.leaves
        for text in (b"one", b"two", b"three"):
            a.say(segment.wire.now, b, text)
        segment.wire.touch(a)
        counts = [0]
        poll = b.vl1.poll

        def counted(now):
            next_ms = poll(now)
            if len(b.messages) > counts[-1]:
                counts.append(len(b.messages))
            return next_ms

        b.poll = counted
        assert segment.run(5000, lambda: len(b.messages) == 3)
        assert counts == [0, 1, 2, 3]
        assert sorted(text for _, text in b.messages) == [b"one", b"three", b"two"]


def test_a_stranger_is_checked_in_slices():
    with SlowCrypto(30):
        segment = Segment(leaves=1, options=SLICED)
        a = segment.leaves[0]
        online(segment)
        stranger = Bare(segment.wire, identity(6), "10.0.6.6/9993", segment.planet)
        segment.wire.passes = lambda source, destination: (
            segment.root.port.endpoint not in (source, destination)
            or stranger.port.endpoint not in (source, destination))
        target = stranger.vl1.add_peer(segment.wire.now, a.vl1.identity)
        stranger.vl1.contact.expect(target, a.port.endpoint)
        assert segment.run(5000, lambda: stranger.address in a.vl1.peers)
        assert segment.run(100, lambda: a.vl1.peers[stranger.address].paths)
        assert "mac" not in a.vl1.counters


def test_a_second_key_for_an_address_is_refused_in_slices():
    with SlowCrypto(30):
        segment = Segment(leaves=1, options=SLICED)
        online(segment)
        claimed = Identity.from_bytes(identity(1).address + identity(4).to_bytes()[5:])[0]
        claimed.private = identity(4).private
        thief = Bare(segment.wire, claimed, "10.0.4.4/9993", segment.planet)
        segment.run(3000)
        assert segment.root.vl1.counters["collisions"] >= 1 and thief.vl1.collision
        assert segment.root.vl1.peers[claimed.address].identity == identity(1)


# --- worlds ----------------------------------------------------------------------------------

def test_worlds_are_compared_in_slices():
    with SlowCrypto(20):
        segment = Segment(leaves=1, options=SLICED)
        leaf = segment.leaves[0]
        online(segment)
        upstreams = leaf.vl1.upstreams
        root = segment.root.address
        roots = [(identity(0), [ROOT_AT])]
        newer, newest = planet(roots, 2), planet(roots, 3)
        forged = planet(roots, 4, bytes(range(1, 65)))
        for one in (newer, forged, newer, newest):
            data = one.to_bytes()
            upstreams.offer(segment.wire.now, root, data, 0, len(data))
        assert upstreams.planet.timestamp == 1 and type(newer) is world.World
        segment.wire.touch(leaf)
        segment.run(500)
        # What was compared with a planet that has been replaced meanwhile does not count.
        assert upstreams.planet.timestamp == 2 and leaf.vl1.counters["worlds_taken"] == 1
        data = newest.to_bytes()
        upstreams.offer(segment.wire.now, root, data, 0, len(data))
        segment.wire.touch(leaf)
        assert segment.run(100, lambda: upstreams.planet.timestamp == 3)


# --- the arithmetic of boards itself ---------------------------------------------------------

def test_first_contact_by_a_boards_own_slices():
    segment = Segment(options={"sliced": False})
    a, b = segment.leaves
    online(segment)
    a.vl1.work.sliced = True
    with SlowCrypto(portable=True):
        say(segment, a, b, b"hello")
        assert segment.run(5000, lambda: len(b.messages) == 1)
        assert a.vl1.counters.get("mac", 0) == b.vl1.counters.get("mac", 0) == 0
