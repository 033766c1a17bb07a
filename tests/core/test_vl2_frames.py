"""Frames between members, and the credentials that let them pass
(spec/vl2-frames.md, spec/vl2-credentials.md, spec/vl2-rules.md 3)."""

from mpcore import limits
from mpcore.vl1 import inet, packet
from mpcore.vl2 import config_text, credentials
from mpcore.vl2.addressing import mac_of, rfc4193, sixplane
from mpcore.vl2.credentials import Capability, Ownership, Revocation, Tag

from tests.core.support import vectors
from tests.core.vl2_scene import (ACCEPT_ALL, ANNE, BOB, CARL, CONTROLLER, ME, MY_IP, MY_MAC, NWID,
                                  TIME, WINDOW_MS, Scene, body, com, config)

ANNES_MAC = mac_of(NWID, ANNE.address)
BOBS_MAC = mac_of(NWID, BOB.address)
FOREIGN_MAC = b"\x02\xaa\xbb\xcc\xdd\x01"
IPV4 = 0x0800
DATA = b"an IP packet"


def h(text):
    return bytes.fromhex(text.replace(" ", ""))


def reconfigure(scene, now, **fields):
    scene.vl1.inject_ok(now, CONTROLLER, packet.NETWORK_CONFIG_REQUEST, body(config(**fields)))
    scene.vl1.take()


def ext_frame(scene, now, identity, source_mac, destination_mac, flags=0, data=DATA, before=b""):
    scene.vl1.inject(now, identity, packet.EXT_FRAME, NWID + bytes((flags,)) + before
                     + destination_mac + source_mac + b"\x08\x00" + data)


def verbs(scene):
    return [sent.verb for sent in scene.vl1.take()]


def revocation(target, threshold=TIME, kind=1, id=0, flags=1, number=1, signer=CONTROLLER):
    return Revocation.issue(signer, NWID, number, kind, id, threshold, target.address, flags)


# --- FRAME -----------------------------------------------------------------------------------

def test_a_frame_leaves_in_the_buffer_it_came_in():
    scene = Scene().configured()
    headroom = scene.network.headroom
    assert headroom % 4 == (packet.START + packet.HEADER + 10) % 4
    buf = bytearray(headroom) + DATA + b"unsent"
    scene.network.transmit(10, ANNES_MAC, 0x86DD, buf, headroom, len(DATA))
    pushed, frame = scene.vl1.take()
    assert (frame.verb, frame.to) == (packet.FRAME, ANNE.address)
    assert frame.payload == NWID + b"\x86\xdd" + DATA
    assert bytes(buf[headroom - 10:headroom]) == NWID + b"\x86\xdd"


def test_a_frame_arrives_with_the_macs_it_does_not_carry():
    scene = Scene().configured(public=True)
    scene.frame(10, ANNE, DATA, 0x86DD)
    assert scene.frames == [(ANNES_MAC, MY_MAC, 0x86DD, DATA)]
    assert scene.vl1.trusted == [ANNE.address]


def test_a_frame_of_a_network_we_are_not_on_is_nothing():
    scene = Scene().configured(public=True)
    scene.vl1.inject(10, ANNE, packet.FRAME, bytes(8) + b"\x08\x00" + DATA)
    assert scene.frames == [] and scene.vl1.take() == []


def test_a_frame_without_payload_is_malformed():
    scene = Scene().configured(public=True)
    scene.vl1.inject(10, ANNE, packet.FRAME, NWID + b"\x08\x00")
    assert scene.vl1.counters == {"malformed": 1}


def test_nothing_leaves_before_there_is_a_config():
    scene = Scene()
    scene.vl1.take()
    scene.transmit(10, ANNES_MAC, IPV4, DATA)
    scene.transmit(10, b"\xff" * 6, 0x0806, DATA)
    assert scene.vl1.take() == []


def test_a_frame_beyond_the_mtu_does_not_leave():
    scene = Scene().configured(mtu=1280)
    scene.transmit(10, ANNES_MAC, IPV4, bytes(1281))
    assert scene.vl1.take() == []
    scene.transmit(10, ANNES_MAC, IPV4, bytes(1280))
    assert packet.FRAME in verbs(scene)


def test_our_own_mac_leads_back_to_us():
    scene = Scene().configured()
    scene.transmit(10, MY_MAC, IPV4, DATA)
    assert scene.frames == [(MY_MAC, MY_MAC, IPV4, DATA)] and scene.vl1.take() == []


# --- pushing our credentials -----------------------------------------------------------------

def test_credentials_go_ahead_of_the_first_frame_only():
    scene = Scene().configured(tags=[Tag.issue(CONTROLLER, NWID, TIME, 7, 3, ME.address)])
    scene.transmit(10, ANNES_MAC, IPV4, DATA)
    pushed, frame = scene.vl1.take()
    assert (pushed.verb, pushed.to, pushed.compress) == (
        packet.NETWORK_CREDENTIALS, ANNE.address, True)
    found = credentials.unpack(pushed.payload, 0, len(pushed.payload))
    assert [c.raw for c in found] == [com().raw, scene.network.config.tags[0].raw]
    scene.transmit(20, ANNES_MAC, IPV4, DATA)
    assert verbs(scene) == [packet.FRAME]
    scene.transmit(20, BOBS_MAC, IPV4, DATA)
    assert verbs(scene) == [packet.NETWORK_CREDENTIALS, packet.FRAME]


def test_they_go_again_after_a_new_config_and_after_a_while():
    scene = Scene().configured()
    scene.transmit(10, ANNES_MAC, IPV4, DATA)
    reconfigure(scene, 60000, timestamp=TIME + 60000)
    scene.transmit(60010, ANNES_MAC, IPV4, DATA)
    assert verbs(scene) == [packet.NETWORK_CREDENTIALS, packet.FRAME]
    scene.transmit(560010, ANNES_MAC, IPV4, DATA)
    assert verbs(scene) == [packet.FRAME]
    scene.transmit(560011, ANNES_MAC, IPV4, DATA)
    assert verbs(scene) == [packet.NETWORK_CREDENTIALS, packet.FRAME]


def test_what_may_have_been_ignored_goes_again():
    scene = Scene().configured()
    scene.credentials(1, ANNE, com(ANNE))

    def pushes(now):
        scene.transmit(now, ANNES_MAC, IPV4, DATA)
        return len(scene.vl1.take(packet.NETWORK_CREDENTIALS, ANNE))

    assert pushes(10) == 1
    scene.configured(20, revision=2)
    # The second comes within a second of the first, so it goes once more after that.
    assert [pushes(now) for now in (500, 1500, 1501, 3000)] == [1, 0, 1, 0]


def test_credentials_too_many_for_a_packet_are_split():
    tags = [Tag.issue(CONTROLLER, NWID, TIME, 7, 3, ME.address)] * 100
    scene = Scene().configured(tags=tags)
    scene.transmit(10, ANNES_MAC, IPV4, DATA)
    pushed = scene.vl1.take(packet.NETWORK_CREDENTIALS)
    assert len(pushed) == 2 and all([len(p.payload) <= 9900 for p in pushed])
    found = [c for p in pushed for c in credentials.unpack(p.payload, 0, len(p.payload))]
    assert len(found) == 101 and found[0].raw == com().raw


def test_who_lacks_our_credentials_gets_them_once_a_second():
    scene = Scene().configured()
    scene.vl1.inject_error(5, ANNE, packet.FRAME, 6, NWID)
    assert scene.vl1.take() == []       # we never sent it anything
    scene.transmit(10, ANNES_MAC, IPV4, DATA)
    scene.vl1.take()
    for now, pushes in ((500, 0), (1010, 0), (1011, 1), (1500, 0), (2012, 1)):
        scene.vl1.inject_error(now, ANNE, packet.FRAME, 6, NWID)
        assert len(scene.vl1.take(packet.NETWORK_CREDENTIALS, ANNE)) == pushes, now


def test_bridges_get_them_when_they_ask_and_targets_of_copies_before():
    scene = Scene().configured(specialists=[(ANNE.address, 2)],
                               rules=target(2, CARL) + ACCEPT_ALL)
    scene.transmit(10, FOREIGN_MAC, IPV4, DATA)
    assert [(s.verb, s.to) for s in scene.vl1.take()] == [
        (packet.NETWORK_CREDENTIALS, CARL.address), (packet.EXT_FRAME, CARL.address),
        (packet.EXT_FRAME, ANNE.address)]
    for identity, pushes in ((ANNE, 1), (CARL, 0), (BOB, 0)):
        scene.vl1.inject_error(20, identity, packet.EXT_FRAME, 6, NWID)
        assert len(scene.vl1.take(packet.NETWORK_CREDENTIALS, identity)) == pushes


# --- the gate --------------------------------------------------------------------------------

def test_a_frame_waits_for_its_senders_com():
    scene = Scene().configured()
    scene.frame(10, ANNE, b"early")
    error, = scene.vl1.take()
    assert (error.verb, error.to, error.answers, error.code, error.payload) == (
        packet.ERROR, ANNE.address, packet.FRAME, packet.E_NEED_MEMBERSHIP_CERTIFICATE, NWID)
    assert scene.frames == [] and scene.vl1.trusted == []
    scene.credentials(50, ANNE, com(ANNE))
    assert scene.frames == [(ANNES_MAC, MY_MAC, IPV4, b"early")]
    assert scene.vl1.trusted == [ANNE.address]
    scene.frame(60, ANNE, b"later")
    assert len(scene.frames) == 2
    scene.run(60, 10000)
    assert len(scene.frames) == 2       # delivered once


def test_a_stranger_is_told_once_a_second():
    scene = Scene().configured()
    errors = 0
    for now in range(0, 3000, 100):
        scene.frame(now, ANNE)
        errors += len(scene.vl1.take(packet.ERROR))
    assert errors == 3


def test_what_waits_is_bounded_and_ends():
    scene = Scene().configured()
    for i in range(20):
        scene.frame(10, ANNE, b"%d" % i)
        scene.frame(10, BOB, b"%d" % i)
    assert scene.vl1.counters["held_dropped"] == 40 - limits.HELD_FRAMES
    scene.run(10, 5009)
    scene.credentials(5020, ANNE, com(ANNE))
    scene.credentials(5020, BOB, com(BOB))
    assert scene.frames == []


def test_a_frame_too_large_to_wait_is_dropped():
    scene = Scene().configured()
    scene.frame(10, ANNE, bytes(limits.WAITING_BYTES))
    scene.credentials(20, ANNE, com(ANNE))
    assert scene.frames == []


def test_a_public_network_asks_for_no_com():
    scene = Scene().configured(public=True)
    scene.frame(10, ANNE)
    assert len(scene.frames) == 1


def test_coms_agree_within_our_window_only():
    for offset, allowed in ((WINDOW_MS, 1), (WINDOW_MS + 1, 0), (-WINDOW_MS, 1),
                            (-WINDOW_MS - 1, 0)):
        scene = Scene().configured()
        scene.credentials(10, ANNE, com(ANNE, TIME + offset))
        scene.frame(20, ANNE)
        assert len(scene.frames) == allowed, offset


def test_our_new_com_is_what_counts():
    scene = Scene().configured()
    scene.credentials(10, ANNE, com(ANNE))
    scene.frame(20, ANNE)
    later = TIME + WINDOW_MS + 1
    reconfigure(scene, 30, timestamp=later, com=com(ME, later))
    scene.frame(40, ANNE)
    assert len(scene.frames) == 1
    scene.credentials(50, ANNE, com(ANNE, later))
    assert len(scene.frames) == 2


def test_a_com_is_bound_to_its_holders_key():
    scene = Scene().configured()
    scene.credentials(10, ANNE, com(ANNE))
    scene.frame(20, ANNE)
    impostor = BOB
    peer = scene.vl1.know(impostor)
    peer.address = ANNE.address         # the address is Anne's, the key is not
    scene.vl1.peers[ANNE.address] = peer
    scene.frame(30, ANNE)
    assert len(scene.frames) == 1


def test_a_com_counts_for_whom_it_was_issued_to():
    scene = Scene().configured()
    scene.credentials(10, BOB, com(ANNE))
    scene.frame(20, BOB)
    assert scene.frames == []
    scene.frame(30, ANNE)
    assert len(scene.frames) == 1


def test_a_com_of_another_network_or_signer_is_no_use():
    scene = Scene().configured()
    other = CONTROLLER.address + b"\0\0\2"
    scene.credentials(10, ANNE, com(ANNE, network_id=other))
    scene.frame(20, ANNE)
    scene.credentials(2000, ANNE, credentials.COM.issue(BOB, NWID, TIME, WINDOW_MS, ANNE))
    scene.frame(2010, ANNE)
    assert scene.frames == [] and scene.vl1.counters["credentials_forged"] == 1


def test_a_forger_is_not_listened_to_for_a_second():
    scene = Scene().configured()
    forged = credentials.COM.issue(BOB, NWID, TIME, WINDOW_MS, ANNE)
    scene.credentials(10, ANNE, forged)
    scene.credentials(1009, ANNE, com(ANNE))
    scene.frame(1009, ANNE)
    assert scene.frames == []
    scene.credentials(1010, ANNE, com(ANNE))
    assert len(scene.frames) == 1


def test_an_older_com_does_not_replace_a_newer_one():
    scene = Scene().configured()
    scene.credentials(10, ANNE, com(ANNE, TIME + 1000))
    scene.credentials(20, BOB, com(ANNE, TIME))
    assert scene.network.membership.members[ANNE.address].com.timestamp == TIME + 1000


def test_credentials_wait_for_the_controllers_identity():
    scene = Scene(join=False, known=())
    scene.storage["networks.d/%s.conf" % NWID.hex()] = config_text.write(config())
    scene.join()
    scene.frame(10, ANNE)
    scene.credentials(20, ANNE, com(ANNE))
    assert scene.frames == [] and scene.vl1.asked == [CONTROLLER.address]
    scene.vl1.know(CONTROLLER)
    scene.run(20, 1600)
    assert len(scene.frames) == 1


def test_the_members_table_is_bounded():
    scene = Scene().configured(public=True)
    for i in range(limits.PEERS + 9):
        scene.transmit(10 + i, mac_of(NWID, bytes(4) + bytes((i,))), IPV4, DATA)
    assert len(scene.network.membership.members) == limits.PEERS


# --- revocation ------------------------------------------------------------------------------

def members(scene, *identities):
    """Let these have exchanged frames with us."""
    for identity in identities:
        scene.credentials(1, identity, com(identity))
        scene.frame(2, identity)
    scene.vl1.take()
    del scene.frames[:]
    return scene


def test_a_revoked_member_is_refused_until_it_has_a_newer_com():
    scene = members(Scene().configured(), ANNE)
    scene.credentials(10, CONTROLLER, revocation(ANNE))
    scene.frame(20, ANNE)
    assert scene.frames == [] and verbs(scene) == [packet.NETWORK_CREDENTIALS, packet.ERROR]
    scene.credentials(30, ANNE, com(ANNE))
    assert scene.frames == []
    scene.credentials(40, ANNE, com(ANNE, TIME + 1))
    assert len(scene.frames) == 1


def test_a_revocation_that_comes_before_its_com_counts():
    scene = Scene().configured()
    scene.credentials(10, BOB, revocation(ANNE))
    scene.credentials(20, ANNE, com(ANNE))
    scene.frame(30, ANNE)
    assert scene.frames == []


def test_news_of_a_revocation_is_spread_once():
    scene = members(Scene().configured(), ANNE, BOB, CARL)
    bad = revocation(ANNE)
    scene.credentials(10, BOB, bad)
    sent = scene.vl1.take(packet.NETWORK_CREDENTIALS)
    assert sorted([s.to for s in sent]) == sorted([ANNE.address, CARL.address])
    assert credentials.unpack(sent[0].payload, 0, len(sent[0].payload))[0].raw == bad.raw
    scene.credentials(20, CARL, bad)
    assert scene.vl1.take() == []


def test_a_revocation_without_the_flag_is_not_spread():
    scene = members(Scene().configured(), ANNE, BOB)
    scene.credentials(10, CONTROLLER, revocation(ANNE, flags=0))
    assert scene.vl1.take() == []
    scene.frame(20, ANNE)
    assert scene.frames == []


def test_only_the_controller_revokes():
    scene = members(Scene().configured(), ANNE)
    scene.credentials(10, BOB, revocation(ANNE, signer=BOB))
    scene.frame(20, ANNE)
    assert len(scene.frames) == 1


def test_revocations_are_bounded():
    scene = Scene().configured()
    one = revocation(ANNE)
    for i in range(limits.REVOCATIONS + 5):
        fake = Revocation(one.raw, 51)
        fake.issued_to = bytes((0, 0, 0, 0, i))
        fake.threshold = i
        assert scene.network.membership.add(fake)
    assert len(scene.network.membership._revoked) == limits.REVOCATIONS


# --- EXT_FRAME and bridges -------------------------------------------------------------------

def test_an_ext_frame_is_acknowledged_when_asked_for():
    scene = Scene().configured(public=True)
    ext_frame(scene, 10, ANNE, ANNES_MAC, MY_MAC)
    assert scene.frames == [(ANNES_MAC, MY_MAC, IPV4, DATA)]
    assert packet.OK not in verbs(scene)
    ext_frame(scene, 20, ANNE, ANNES_MAC, MY_MAC, flags=0x10)
    ok, = scene.vl1.take(packet.OK)
    assert (ok.answers, ok.payload) == (packet.EXT_FRAME, NWID)


def test_foreign_source_macs_are_refused_whatever_the_flags():
    for flags in (0x10, 0x12, 0x16, 0x1C, 0x1A):
        scene = Scene().configured(public=True)
        for source_mac in (FOREIGN_MAC, BOBS_MAC, MY_MAC, bytes(6)):
            ext_frame(scene, 10, ANNE, source_mac, MY_MAC, flags)
        assert scene.frames == [] and packet.OK not in verbs(scene)
        assert scene.vl1.counters["frame_refused"] == 4


def test_frames_for_others_are_refused():
    scene = Scene().configured(public=True)
    ext_frame(scene, 10, ANNE, ANNES_MAC, BOBS_MAC, 0x10)
    ext_frame(scene, 10, ANNE, ANNES_MAC, FOREIGN_MAC, 0x10)
    assert scene.frames == [] and packet.OK not in verbs(scene)
    ext_frame(scene, 10, ANNE, ANNES_MAC, b"\xff" * 6, 0x10)
    assert len(scene.frames) == 1 and packet.OK in verbs(scene)
    reconfigure(scene, 20, public=True, multicast_limit=0)
    ext_frame(scene, 30, ANNE, ANNES_MAC, b"\xff" * 6, 0x10)
    assert len(scene.frames) == 1 and packet.OK not in verbs(scene)


def test_an_ext_frame_may_bring_its_com():
    scene = Scene().configured()
    ext_frame(scene, 10, ANNE, ANNES_MAC, MY_MAC, 0x01, before=com(ANNE).raw)
    assert scene.frames == [(ANNES_MAC, MY_MAC, IPV4, DATA)]


def test_a_refused_ext_frame_waits_too():
    scene = Scene().configured()
    ext_frame(scene, 10, ANNE, ANNES_MAC, MY_MAC, 0x10)
    error, = scene.vl1.take()
    assert (error.verb, error.answers) == (packet.ERROR, packet.EXT_FRAME)
    scene.credentials(20, ANNE, com(ANNE))
    assert len(scene.frames) == 1 and packet.OK in verbs(scene)


def test_a_bridge_bears_foreign_macs_and_is_remembered():
    bridges = [(ANNE.address, 2), (BOB.address, 2), (ME.address, 2)]
    scene = Scene().configured(public=True, specialists=bridges)
    scene.transmit(10, FOREIGN_MAC, IPV4, DATA)
    sent = scene.vl1.take(packet.EXT_FRAME)
    assert sorted([s.to for s in sent]) == sorted([ANNE.address, BOB.address])
    assert sent[0].payload == NWID + b"\0" + FOREIGN_MAC + MY_MAC + b"\x08\0" + DATA
    ext_frame(scene, 20, BOB, FOREIGN_MAC, MY_MAC)
    assert scene.frames == [(FOREIGN_MAC, MY_MAC, IPV4, DATA)]
    scene.vl1.take()
    scene.transmit(30, FOREIGN_MAC, IPV4, DATA)
    assert [s.to for s in scene.vl1.take()] == [BOB.address]
    reconfigure(scene, 40, public=True, specialists=bridges[:1])
    scene.transmit(50, FOREIGN_MAC, IPV4, DATA)
    assert [s.to for s in scene.vl1.take()] == [ANNE.address]
    ext_frame(scene, 60, BOB, FOREIGN_MAC, MY_MAC)
    assert len(scene.frames) == 1


def test_bridge_routes_are_bounded():
    scene = Scene().configured(public=True, specialists=[(ANNE.address, 2)])
    for i in range(limits.BRIDGE_ROUTES + 5):
        ext_frame(scene, 10, ANNE, FOREIGN_MAC[:5] + bytes((i,)), MY_MAC)
    assert len(scene.frames) == limits.BRIDGE_ROUTES + 5
    assert len(scene.network._behind) == limits.BRIDGE_ROUTES


def test_without_bridges_a_frame_to_a_foreign_mac_is_lost():
    scene = Scene().configured()
    scene.transmit(10, FOREIGN_MAC, IPV4, DATA)
    assert scene.vl1.take() == []


# --- rules -----------------------------------------------------------------------------------

ONLY_IPV4 = h("a5020800 0000 0100")


def test_rules_hold_in_both_directions():
    scene = Scene().configured(public=True, rules=ONLY_IPV4)
    scene.frame(10, ANNE, DATA, 0x86DD)
    ext_frame(scene, 10, ANNE, ANNES_MAC, MY_MAC)
    assert [frame[2] for frame in scene.frames] == [IPV4]
    scene.vl1.take()
    scene.transmit(20, ANNES_MAC, 0x86DD, DATA)
    scene.transmit(20, b"\xff" * 6, 0x86DD, DATA)
    scene.transmit(20, FOREIGN_MAC, 0x86DD, DATA)
    assert scene.vl1.take() == []
    assert scene.vl1.counters == {"rules_in": 1, "rules_out": 3}
    scene.transmit(30, ANNES_MAC, IPV4, DATA)
    assert packet.FRAME in verbs(scene)


def test_an_ext_frame_that_rules_stop_is_still_acknowledged():
    scene = Scene().configured(public=True, rules=h("0000"))
    ext_frame(scene, 10, ANNE, ANNES_MAC, MY_MAC, 0x10)
    assert scene.frames == [] and packet.OK in verbs(scene)


def test_no_rules_let_nothing_pass():
    scene = Scene().configured(public=True, rules=b"")
    scene.frame(10, ANNE)
    scene.transmit(10, ANNES_MAC, IPV4, DATA)
    assert scene.frames == [] and packet.FRAME not in verbs(scene)


SAME_DEPARTMENT = h("2c08 00000007 00000000 0100 0000")


def tag(identity, value, timestamp=TIME):
    return Tag.issue(CONTROLLER, NWID, timestamp, 7, value, identity.address)


def test_tags_of_both_ends_are_compared():
    scene = Scene().configured(rules=SAME_DEPARTMENT, tags=[tag(ME, 3)])
    scene.credentials(10, ANNE, com(ANNE), tag(ANNE, 3))
    scene.credentials(10, BOB, com(BOB), tag(BOB, 4))
    scene.credentials(10, CARL, com(CARL))
    for identity in (ANNE, BOB, CARL):
        scene.frame(20, identity)
    assert [frame[0] for frame in scene.frames] == [ANNES_MAC]
    scene.vl1.take()
    for identity in (ANNE, BOB, CARL):
        scene.transmit(30, mac_of(NWID, identity.address), IPV4, DATA)
    # Outbound is lenient where the other's tag is not known: it judges for itself.
    assert [s.to for s in scene.vl1.take(packet.FRAME)] == [ANNE.address, CARL.address]


def test_a_tag_must_be_recent_and_not_revoked():
    scene = Scene().configured(rules=SAME_DEPARTMENT, tags=[tag(ME, 3)],
                               timestamp=TIME + WINDOW_MS)
    scene.credentials(10, ANNE, com(ANNE), tag(ANNE, 3))
    scene.frame(20, ANNE)
    assert len(scene.frames) == 1
    reconfigure(scene, 30, rules=SAME_DEPARTMENT, tags=[tag(ME, 3)],
                timestamp=TIME + WINDOW_MS + 1)
    scene.frame(40, ANNE)
    assert len(scene.frames) == 1
    scene.credentials(50, ANNE, tag(ANNE, 3, TIME + 5000))
    scene.frame(60, ANNE)
    assert len(scene.frames) == 2
    scene.credentials(70, BOB, revocation(ANNE, TIME + 5000, kind=3, id=7))
    scene.frame(80, ANNE)
    assert len(scene.frames) == 2


def test_credentials_that_came_before_the_rules_that_ask_for_them_are_asked_for():
    scene = Scene().configured()
    forged = Tag.issue(BOB, NWID, TIME, 7, 3, BOB.address)
    scene.credentials(10, ANNE, com(ANNE), tag(ANNE, 3))
    scene.credentials(10, BOB, com(BOB), forged)
    scene.credentials(10, CARL, com(CARL))
    scene.vl1.take()
    scene.frame(20, ANNE)
    assert scene.vl1.take(packet.ERROR) == []
    scene.configured(30, rules=SAME_DEPARTMENT, tags=[tag(ME, 3)])
    for at in (40, 50, 1040):
        for identity in (ANNE, BOB, CARL):
            scene.frame(at, identity)
        asked = [sent.to for sent in scene.vl1.take(packet.ERROR)]
        # Of Carl nothing is known to be missing; nobody is asked more than once a second.
        assert asked == ([] if at == 50 else [ANNE.address, BOB.address])
    scene.credentials(1050, ANNE, tag(ANNE, 3))
    scene.credentials(1050, BOB, forged)
    before = len(scene.frames)
    for identity in (ANNE, BOB):
        scene.frame(3000, identity)
    assert [frame[0] for frame in scene.frames[before:]] == [ANNES_MAC]
    assert scene.vl1.take(packet.ERROR) == []


def test_credentials_that_no_rule_asks_for_are_not_verified():
    scene = Scene().configured()
    scene.credentials(10, ANNE, com(ANNE), tag(ANNE, 3))
    assert scene.network.membership.members[ANNE.address].held == {}
    scene = Scene().configured(public=True)
    scene.credentials(10, ANNE, com(ANNE))
    assert scene.network.membership.members == {}


def test_credentials_of_a_member_are_bounded():
    scene = Scene().configured(rules=b"")
    member = scene.network.membership.member(ANNE.address)
    for i in range(limits.CREDENTIALS + 5):
        one = tag(ANNE, 1)
        one.id = i
        one.timestamp = TIME + i
        scene.network.membership.add(one)
    assert len(member.held) == limits.CREDENTIALS
    assert (3, 0) not in member.held and (3, limits.CREDENTIALS + 4) in member.held


def capability(identity, rules, count, id=1):
    return Capability.issue(CONTROLLER, NWID, TIME, id, rules, count, identity.address)


def test_a_capability_lets_its_holder_do_more():
    may_ssh = h("2804 00160016 0100")
    ssh = h("45000000 00000000 40060000 0a931101 0a93115b 0400 0016") + bytes(16)
    rules = h("25020806 0100")
    scene = Scene().configured(rules=rules)
    scene.credentials(10, ANNE, com(ANNE), capability(ANNE, may_ssh, 2))
    scene.credentials(10, BOB, com(BOB))
    scene.credentials(10, CARL, com(CARL), capability(CARL, h("bc00 0100"), 2))
    for identity in (ANNE, BOB, CARL):
        scene.frame(20, identity, ssh)
        scene.frame(20, identity, b"\x45" + bytes(19))
    assert [frame[0] for frame in scene.frames] == [ANNES_MAC]
    scene.vl1.take()
    scene.transmit(30, ANNES_MAC, IPV4, ssh)
    assert scene.vl1.take(packet.FRAME) == []
    reconfigure(scene, 40, rules=rules, timestamp=TIME + 1,
                capabilities=[capability(ME, h("0000"), 1, 1), capability(ME, may_ssh, 2, 2)])
    scene.transmit(50, ANNES_MAC, IPV4, ssh)
    assert len(scene.vl1.take(packet.FRAME)) == 1


def test_spoofed_source_addresses_are_seen():
    rules = h("a908 1000000000000000 0000 0100")
    owned = Ownership.issue(CONTROLLER, NWID, TIME, 1, [b"\x0a\x93\x11\x01"], ANNE.address)
    mine = Ownership.issue(CONTROLLER, NWID, TIME, 1, [MY_IP], ME.address)
    scene = Scene().configured(rules=rules, ownerships=[mine], flags=0x06,
                               static_ips=[(MY_IP, 24), (rfc4193(NWID, ME.address), 88)])
    scene.credentials(10, ANNE, com(ANNE), owned)

    def packet4(source):
        return b"\x45" + bytes(11) + source + MY_IP

    def packet6(source):
        return b"\x60" + bytes(7) + source + bytes(16)

    scene.frame(20, ANNE, packet4(b"\x0a\x93\x11\x01"))
    scene.frame(20, ANNE, packet6(rfc4193(NWID, ANNE.address)), 0x86DD)
    assert len(scene.frames) == 2
    scene.frame(20, ANNE, packet4(b"\x0a\x93\x11\x02"))
    scene.frame(20, ANNE, packet6(rfc4193(NWID, BOB.address)), 0x86DD)
    scene.frame(20, ANNE, packet6(sixplane(NWID, ANNE.address)), 0x86DD)
    assert len(scene.frames) == 2
    scene.vl1.take()
    scene.transmit(30, ANNES_MAC, IPV4, packet4(MY_IP))
    scene.transmit(30, ANNES_MAC, IPV4, packet4(b"\x0a\x93\x11\x09"))
    assert len(scene.vl1.take(packet.FRAME)) == 1


def target(kind, identity, length=0):
    return bytes((kind, 14)) + bytes(3) + identity.address + bytes(4) + bytes((0, length))


def test_copies_go_where_the_rules_say():
    for kind, flags_out, flags_in in ((2, 0x02, 0x08), (3, 0x16, 0x1C)):
        scene = Scene().configured(public=True, rules=target(kind, CARL, 4) + ACCEPT_ALL)
        scene.transmit(10, ANNES_MAC, IPV4, DATA)
        copy, = scene.vl1.take(packet.EXT_FRAME)
        assert copy.to == CARL.address and copy.compress
        assert copy.payload == (NWID + bytes((flags_out,)) + ANNES_MAC + MY_MAC + b"\x08\0"
                                + DATA[:4])
        scene.frame(20, ANNE, DATA)
        copy, = scene.vl1.take(packet.EXT_FRAME)
        assert copy.payload == (NWID + bytes((flags_in,)) + MY_MAC + ANNES_MAC + b"\x08\0"
                                + DATA[:4])
        assert len(scene.frames) == 1


def test_redirected_frames_do_not_pass_here():
    scene = Scene().configured(public=True, rules=target(4, CARL) + ACCEPT_ALL)
    scene.transmit(10, ANNES_MAC, IPV4, DATA)
    frame, = scene.vl1.take(packet.EXT_FRAME)
    assert frame.to == CARL.address
    assert frame.payload == NWID + b"\x04" + ANNES_MAC + MY_MAC + b"\x08\0" + DATA
    scene.frame(20, ANNE, DATA)
    frame, = scene.vl1.take(packet.EXT_FRAME)
    assert frame.payload[8] == 0x0A and scene.frames == []


def test_what_rules_drop_is_not_copied():
    scene = Scene().configured(public=True, rules=target(2, CARL) + h("0000"))
    scene.transmit(10, ANNES_MAC, IPV4, DATA)
    scene.frame(20, ANNE, DATA)
    assert scene.vl1.take(packet.EXT_FRAME) == []


def test_a_frame_redirected_to_us_is_accepted_with_its_macs():
    scene = Scene().configured(public=True, rules=h("25020800") + target(4, ME) + h("0000"))
    ext_frame(scene, 10, ANNE, ANNES_MAC, BOBS_MAC, 0x04)
    assert scene.frames == [(ANNES_MAC, BOBS_MAC, IPV4, DATA)]


# --- neighbour discovery ---------------------------------------------------------------------

def test_emulated_neighbours_answer_without_a_packet():
    cases = vectors("addressing.json")["ndp_emulation"]
    for case in cases:
        nwid = h(case["network_id"])
        ip, bits = case["my_ip"].split("/")
        scene = Scene(join=False)
        network = scene.vl2.join(0, nwid)
        network.above = scene
        made = config(flags=0x04 if case["ndp_emulation_flag"] else 0, multicast_limit=0,
                      static_ips=[(inet.ip_parse(ip), int(bits))])
        made.network_id, made.issued_to = nwid, h(case["my_address"])
        network.configure(0, made)
        scene.vl1.take()
        data = h(case["solicitation"])
        to = h(case["solicitation_ethernet_to"].replace(":", ""))
        network.transmit(10, to, 0x86DD, bytearray(40) + data, 40, len(data))
        if case["answered"]:
            (source_mac, _, ethertype, answer), = scene.frames
            assert source_mac == h(case["answer_from"].replace(":", "")) and ethertype == 0x86DD
            assert answer == h(case["answer"])
        else:
            assert scene.frames == []
        assert scene.vl1.take() == []
