"""Signatures checked in slices: what waits for them, and for how much of it there is room."""

from mpcore import limits
from mpcore.vl1 import packet
from mpcore.vl2 import exchange
from mpcore.vl2.addressing import mac_of
from mpcore.vl2.credentials import COM_TYPE, Revocation, Tag

from tests.core.scenes import Lan
from tests.core.slow_crypto import SlowCrypto
from tests.core.vl2_scene import (ANNE, BOB, CARL, CONTROLLER, ME, NWID, TIME, Scene, bodies, body,
                                  com, config)

SLICES = 20
SAME_TAG = bytes.fromhex("2c08000000070000000001000000")    # accept where tag 7 is alike


class Sliced(Scene):
    """A scene in which nothing is checked but in slices."""

    def __init__(self, slow, **fields):
        Scene.__init__(self, sliced=True)
        self.give_config(0, config(**fields))
        self.work(0)
        assert self.network.config is not None
        self.vl1.take()
        slow.verifications = 0

    def give_config(self, now, made):
        for part in bodies(made):
            self.vl1.inject_ok(now, CONTROLLER, packet.NETWORK_CONFIG_REQUEST, part)

    def work(self, now, polls=10000):
        """As many of VL1's polls as there is something to do for; returns how many."""
        done = 0
        while self.vl1.work.jobs and done < polls:
            self.vl1.work.poll(now)
            done += 1
        return done

    def ext_frame(self, now, identity, data=b"hello", com=None):
        mac = mac_of(NWID, identity.address)
        self.vl1.inject(now, identity, packet.EXT_FRAME,
                        NWID + (b"\1" + com.raw if com else b"\0") + self.network.mac + mac
                        + b"\x08\0" + data)

    def multicast(self, now, identity, com):
        mac = mac_of(NWID, identity.address)
        self.vl1.inject(now, identity, packet.MULTICAST_FRAME,
                        NWID + b"\x05" + com.raw + mac + b"\xff" * 6 + bytes(4) + b"\x08\x06"
                        + b"hello")


def tag(identity, value, id=7):
    return Tag.issue(CONTROLLER, NWID, TIME, id, value, identity.address)


def revocation(identity, threshold=TIME, number=1):
    return Revocation.issue(CONTROLLER, NWID, number, COM_TYPE, 0, threshold, identity.address, 0)


# --- frames wait -----------------------------------------------------------------------------

def test_a_frame_waits_for_the_certificate_that_came_before_it():
    with SlowCrypto(SLICES) as slow:
        scene = Sliced(slow)
        scene.credentials(10, ANNE, com(ANNE))
        scene.frame(11, ANNE, b"one")
        scene.frame(12, ANNE, b"two")
        assert scene.frames == [] and scene.vl1.take() == []    # she is not told to send it again
        scene.frame(13, BOB)
        assert [sent.code for sent in scene.vl1.take(packet.ERROR, BOB)] == [
            packet.E_NEED_MEMBERSHIP_CERTIFICATE]
        assert scene.work(20) > SLICES      # MicroPython hashes in slices, too
        assert [frame[3] for frame in scene.frames] == [b"one", b"two"]
        assert "held_dropped" not in scene.vl1.counters


def test_a_frame_waits_for_the_certificate_that_it_brings():
    for bring in ("ext_frame", "multicast"):
        with SlowCrypto(SLICES) as slow:
            scene = Sliced(slow)
            if bring == "ext_frame":
                scene.ext_frame(10, ANNE, com=com(ANNE))
                scene.ext_frame(10, ANNE, com=com(ANNE))
            else:
                scene.multicast(10, ANNE, com(ANNE))
                scene.multicast(10, ANNE, com(ANNE))
            assert scene.frames == [] and scene.vl1.take() == []
            scene.work(20)
            assert [frame[3] for frame in scene.frames] == [b"hello"] * 2
            assert slow.verifications == 1


def test_a_question_for_listeners_waits_for_the_certificate_that_it_brings():
    with SlowCrypto(SLICES) as slow:
        scene = Sliced(slow)
        scene.vl1.inject(10, ANNE, packet.MULTICAST_GATHER,
                         NWID + b"\1" + b"\xff" * 6 + bytes(4) + b"\0\0\0\x08" + com(ANNE).raw)
        assert scene.vl1.take() == []
        scene.work(20)
        answer, = scene.vl1.take(packet.OK, ANNE)
        assert answer.answers == packet.MULTICAST_GATHER


def test_frames_of_members_are_served_while_a_signature_is_checked():
    with SlowCrypto(SLICES) as slow:
        scene = Sliced(slow)
        scene.credentials(10, ANNE, com(ANNE))
        scene.work(10)
        scene.credentials(11, BOB, com(BOB))
        scene.credentials(11, ANNE, com(ANNE, TIME + 1))
        for i in range(SLICES):
            scene.work(20, 1)
            scene.frame(20, ANNE, bytes((i,)))
            assert scene.frames[-1][3] == bytes((i,))
        assert scene.vl1.work.jobs
        scene.work(30)
        scene.frame(40, BOB)
        assert scene.frames[-1][3] == b"hello"


# --- several at once -------------------------------------------------------------------------

def test_credentials_of_one_packet_are_all_checked_before_what_waits_for_them():
    with SlowCrypto(SLICES) as slow:
        scene = Sliced(slow, rules=SAME_TAG, tags=[tag(ME, 3)])
        scene.credentials(10, ANNE, com(ANNE), tag(ANNE, 3))
        scene.credentials(10, BOB, com(BOB), tag(BOB, 4))
        scene.frame(11, ANNE)
        scene.frame(11, BOB)
        scene.work(20)
        assert slow.verifications == 4
        assert [frame[0] for frame in scene.frames] == [mac_of(NWID, ANNE.address)]
        assert scene.vl1.counters["rules_in"] == 1


def test_what_is_being_checked_is_not_checked_twice():
    with SlowCrypto(SLICES) as slow:
        scene = Sliced(slow)
        for now in (10, 11, 12):
            scene.credentials(now, ANNE, com(ANNE))
            scene.work(now, 3)
        scene.work(20)
        scene.credentials(30, ANNE, com(ANNE))
        scene.work(30)
        assert slow.verifications == 1


def test_a_revocation_that_comes_while_a_certificate_is_checked_counts():
    with SlowCrypto(SLICES) as slow:
        scene = Sliced(slow)
        scene.credentials(10, ANNE, com(ANNE))
        scene.work(10, 5)
        scene.credentials(11, CONTROLLER, revocation(ANNE))
        scene.frame(12, ANNE)
        scene.work(20)
        assert slow.verifications == 2
        assert len(scene.frames) == 1           # she was a member until then
        scene.frame(30, ANNE)
        assert len(scene.frames) == 1


def test_a_forger_is_not_listened_to_for_a_while():
    with SlowCrypto(SLICES) as slow:
        scene = Sliced(slow, rules=SAME_TAG)
        good = tag(BOB, 3).raw
        forged = Tag(good[:40] + bytes((good[40] ^ 1,)) + good[41:], 34)
        scene.credentials(10, BOB, com(BOB), forged, tag(BOB, 4, 8), tag(BOB, 4, 9))
        scene.credentials(10, ANNE, com(ANNE))
        scene.work(20)
        assert scene.vl1.counters["credentials_forged"] == 1
        assert slow.verifications == 3          # of Bob's the first two, and Anne's
        scene.credentials(30, BOB, tag(BOB, 4, 8))
        assert not scene.vl1.work.jobs and scene.vl1.counters["credentials_ignored"] == 1
        scene.credentials(1100, BOB, tag(BOB, 4, 8))
        scene.work(1100)
        assert slow.verifications == 4


# --- room ------------------------------------------------------------------------------------

def test_one_peer_cannot_fill_the_queue():
    with SlowCrypto(SLICES) as slow:
        scene = Sliced(slow, rules=SAME_TAG)
        many = [tag(BOB, 3, id) for id in range(limits.CHECKS_OF_ONE + 3)]
        scene.credentials(10, BOB, *many)
        assert scene.vl1.counters["checks_dropped"] == 3
        scene.credentials(10, ANNE, com(ANNE))
        scene.work(20)
        assert slow.verifications == limits.CHECKS_OF_ONE + 1
        assert scene.network.membership.gate(scene.vl1.peers[ANNE.address]) is not None


def test_what_is_more_than_there_is_room_for_is_dropped_but_not_what_the_controller_sends():
    with SlowCrypto(1) as slow:
        scene = Sliced(slow, rules=SAME_TAG)
        scene.vl1.know(ANNE)
        one = tag(ANNE, 3)
        checks = scene.network.checks
        size = len(one.raw)
        room = min(limits.CHECKS, limits.CHECKS_BYTES // size)
        for i in range(room + 2):
            fake = Tag(one.raw[:16] + bytes((0, 0, 0, i)) + one.raw[20:], 34)
            scene.network.offer(10, (fake,), bytes((i, 0, 0, 0, 0)) if i else ANNE.address)
        assert scene.vl1.counters["checks_dropped"] == 2
        assert sum([len(item[2]) for item in checks._all()]) <= limits.CHECKS_BYTES
        scene.credentials(10, CONTROLLER, revocation(ANNE))
        assert scene.vl1.counters["checks_dropped"] == 2
        scene.give_config(10, config(timestamp=TIME + 5))
        assert scene.vl1.counters["checks_dropped"] == 2


def test_what_a_forgotten_peer_gave_is_not_checked():
    with SlowCrypto(SLICES) as slow:
        scene = Sliced(slow)
        scene.credentials(10, ANNE, com(ANNE))
        scene.credentials(10, BOB, com(BOB))
        scene.credentials(10, CARL, com(CARL))
        scene.work(10, 3)
        del scene.vl1.peers[BOB.address]
        scene.work(20)
        assert slow.verifications == 2 and scene.vl1.counters["checks_dropped"] == 1
        assert sorted([m for m in scene.network.membership.members]) == sorted(
            [ANNE.address, CARL.address])


def test_a_check_that_fails_for_lack_of_memory_does_not_stop_the_others():
    def failing(public, message, signature):
        yield
        raise MemoryError

    with SlowCrypto(SLICES) as slow:
        scene = Sliced(slow)
        from mpcore import crypto
        verify, crypto.ed25519_verify_slices = crypto.ed25519_verify_slices, failing
        scene.credentials(10, ANNE, com(ANNE))
        scene.credentials(10, BOB, com(BOB))
        try:
            scene.work(10)
            assert False
        except MemoryError:
            pass
        crypto.ed25519_verify_slices = verify
        assert not scene.network.checks.waiting(ANNE.address)
        assert scene.network.checks.waiting(BOB.address)
        scene.vl2.poll(5000)
        scene.work(5000)
        assert slow.verifications == 1 and BOB.address in scene.network.membership.members
        scene.credentials(5001, ANNE, com(ANNE))
        scene.work(5001)
        assert slow.verifications == 2 and ANNE.address in scene.network.membership.members


# --- configs ---------------------------------------------------------------------------------

def test_a_config_that_comes_again_while_it_is_checked_applies_once():
    with SlowCrypto(SLICES) as slow:
        scene = Sliced(slow)
        made = config(timestamp=TIME + 1, name=b"renamed")
        writes = len(scene.changes)
        for _ in range(2):
            scene.vl1.inject(10, CONTROLLER, packet.NETWORK_CONFIG, body(made))
            scene.work(10, 3)
        assert scene.network.config.name == b"lab" and scene.vl1.take() == []
        scene.work(20)
        assert scene.network.config.name == b"renamed"
        assert slow.verifications == 1 and len(scene.changes) == writes + 1
        update_id = exchange.Chunk.from_bytes(body(made), 0, len(body(made))).update_id
        answer, = scene.vl1.take(packet.OK)
        assert (answer.to, answer.answers) == (CONTROLLER.address, packet.ECHO)
        assert answer.payload == NWID + update_id
        scene.vl1.inject(30, CONTROLLER, packet.NETWORK_CONFIG, body(made))
        assert not scene.vl1.work.jobs


def test_a_newer_config_that_comes_while_one_is_checked_applies_after_it():
    with SlowCrypto(SLICES) as slow:
        scene = Sliced(slow)
        names = []
        scene.network.on_change = lambda now, network: names.append(network.config.name)
        scene.give_config(10, config(timestamp=TIME + 1, name=b"one"))
        scene.work(10, 3)
        scene.vl1.inject(11, CONTROLLER, packet.NETWORK_CONFIG,
                         body(config(timestamp=TIME + 2, name=b"two")))
        scene.work(20)
        assert names == [b"one", b"two"] and slow.verifications == 2


def test_a_forged_config_is_refused_after_its_check():
    with SlowCrypto(SLICES) as slow:
        scene = Sliced(slow)
        forged = body(config(timestamp=TIME + 1, name=b"forged"), signer=BOB)
        for giver in (BOB, CONTROLLER):
            scene.vl1.inject(10, giver, packet.NETWORK_CONFIG, forged)
            scene.work(20)
        assert slow.verifications == 2 and scene.network.config.name == b"lab"
        assert scene.vl1.counters["malformed"] == 2
        assert scene.network.reason == "config refused: config not signed by the controller"


def test_nothing_of_a_network_that_is_left_is_checked_or_applied():
    with SlowCrypto(SLICES) as slow:
        scene = Sliced(slow)
        network = scene.network
        scene.credentials(10, ANNE, com(ANNE))
        scene.give_config(10, config(timestamp=TIME + 1, name=b"late"))
        scene.work(10, 3)
        scene.vl2.leave(20, NWID)
        writes = scene.writes
        assert not scene.vl1.work.jobs
        scene.work(30)
        assert network.config.name == b"lab" and scene.writes == writes and not scene.storage


# --- a whole network -------------------------------------------------------------------------

def test_a_board_joins_and_answers_by_its_own_slices():
    lan = Lan(private=True, members=1, options={"sliced": False})
    assert lan.run(15000, lambda: lan.network(lan.members[0]).status == "ACCESS_DENIED")
    board = lan.start_member(3, sliced=True)
    lan.run(5000)
    with SlowCrypto(portable=True):
        for member in lan.members:
            lan.controller.authorize(lan.wire.now, lan.nwid, member.identity.address)
        assert lan.joined(30000)
        assert lan.ping(lan.members[0], board, 10000) is not None
        assert lan.ping(board, lan.members[0]) is not None
        for counters in [member.vl1.counters for member in lan.members]:
            assert not set(counters) & {"held_dropped", "checks_dropped", "credentials_forged",
                                        "unknown_source_dropped", "no_path_dropped"}
