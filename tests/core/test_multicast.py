"""Multicast: listeners, what waits for them, and who is told (spec/vl2-multicast.md)."""

from mpcore import limits
from mpcore.vl1 import packet
from mpcore.vl2 import multicast
from mpcore.vl2.addressing import mac_of
from mpcore.vl2.multicast import Groups, Outbound

from tests.core.support import raises
from tests.core.vl2_scene import (ANNE, BOB, CARL, CONTROLLER, ME, MY_IP, MY_MAC, NWID, ROOT,
                                  Scene, com)

ALL = b"\xff" * 6
HER_IP = b"\x0a\x93\x11\x01"
HER_GROUP = NWID + ALL + HER_IP
BROADCAST = NWID + ALL + bytes(4)
MDNS = NWID + b"\x01\x00\x5e\x00\x00\xfb" + bytes(4)
ANNES_MAC = mac_of(NWID, ANNE.address)
FOREIGN_MAC = b"\x02\xaa\xbb\xcc\xdd\x01"
ARP = 0x0806
IPV4 = 0x0800
ACCEPT_IPV4 = b"\x25\x02\x08\x00\x01\x00"


def h(text):
    return bytes.fromhex(text.replace(" ", ""))


def who_has(ip):
    return h("0001080006040001") + MY_MAC + MY_IP + bytes(6) + ip


def gathered(scene, now, key, *found, sender=ROOT, total=None):
    payload = key + (len(found) if total is None else total).to_bytes(4, "big")
    payload += len(found).to_bytes(2, "big") + b"".join([i.address for i in found])
    scene.vl1.inject_ok(now, sender, packet.MULTICAST_GATHER, payload)


def receive(scene, now, identity, key=BROADCAST, data=b"data", flags=0x02, fields=None):
    """A MULTICAST_FRAME arrives."""
    fields = b"\0\0\0\x21" if fields is None else fields
    scene.vl1.inject(now, identity, packet.MULTICAST_FRAME,
                     NWID + bytes((flags,)) + fields + key[8:] + b"\x08\x00" + data)


def like(scene, now, identity, *keys):
    scene.vl1.inject(now, identity, packet.MULTICAST_LIKE, b"".join(keys))


def members(scene, *identities):
    """Let these pass the gate."""
    for identity in identities:
        scene.credentials(1, identity, com(identity))
    return scene


# --- the table -------------------------------------------------------------------------------

def test_listeners_are_news_once_and_expire():
    groups = Groups(ME.address)
    assert groups.add(0, MDNS, ANNE.address) and not groups.add(10, MDNS, ANNE.address)
    assert groups.members(600009, MDNS) == [ANNE.address]
    assert groups.members(600010, MDNS) == []
    assert groups.add(600010, MDNS, ANNE.address)
    groups.expire(1200010)
    assert groups._groups == {}


def test_we_are_never_in_the_table():
    groups = Groups(ME.address)
    assert not groups.add(0, MDNS, ME.address) and groups.members(0, MDNS) == []


def test_the_listener_longest_silent_makes_room():
    groups = Groups(ME.address, 4)
    for now, address in ((0, b"aaaaa"), (1, b"bbbbb"), (2, b"aaaaa"), (3, b"ccccc")):
        groups.add(now, MDNS, address)
    assert sorted(groups.members(3, MDNS)) == [b"aaaaa", b"ccccc"]
    only = Groups(ME.address, 2)
    only.add(0, MDNS, b"aaaaa")
    only.add(1, MDNS, b"bbbbb")
    assert only.members(1, MDNS) == [b"bbbbb"] and only._of == {b"bbbbb": 1}


def test_groups_are_bounded():
    groups = Groups(ME.address, 2)
    for key in (MDNS, HER_GROUP, BROADCAST):
        groups.add(4, key, b"aaaaa")
    assert groups.members(4, BROADCAST) == [b"aaaaa"]
    assert len(groups._groups) == 2 and groups._of == {b"aaaaa": 2}


def test_one_listener_does_not_fill_the_table():
    groups = Groups(ME.address, 1000)
    added = [groups.add(0, NWID + i.to_bytes(10, "big"), b"aaaaa") for i in range(1000)]
    assert sum(added) == limits.GROUPS_OF_ONE == len(groups._groups)
    assert groups.add(0, NWID + bytes(10), b"bbbbb")
    groups.expire(600000)
    assert groups._groups == {} and groups._of == {}


def test_who_left_is_gone():
    groups = Groups(ME.address)
    groups.add(0, MDNS, ANNE.address)
    groups.remove(MDNS, BOB.address)
    groups.remove(HER_GROUP, ANNE.address)
    assert groups.members(0, MDNS) == [ANNE.address]
    groups.remove(MDNS, ANNE.address)
    assert groups.members(0, MDNS) == []


def test_an_answer_names_us_first_and_not_who_asks():
    groups = Groups(ME.address)
    assert groups.gathered(0, MDNS, ANNE.address, 9, False) is None
    groups.add(0, MDNS, ANNE.address)
    assert groups.gathered(0, MDNS, ANNE.address, 9, False) is None
    groups.add(0, MDNS, BOB.address)
    assert groups.gathered(0, MDNS, ANNE.address, 9, True) == (
        b"\0\0\0\3\0\2" + ME.address + BOB.address)
    assert groups.gathered(0, MDNS, ANNE.address, 1, True) == b"\0\0\0\3\0\1" + ME.address
    assert groups.gathered(0, MDNS, ANNE.address, 0, True) is None


def test_an_answer_begins_at_random():
    groups = Groups(ME.address)
    for address in (b"aaaaa", b"bbbbb", b"ccccc"):
        groups.add(0, MDNS, address)
    named = set([groups.gathered(0, MDNS, ANNE.address, 1, False, start) for start in range(3)])
    assert len(named) == 3


def test_what_waits_goes_to_each_new_listener_once():
    outbound = Outbound()
    outbound.hold(0, MDNS, b"one", [ANNE.address], 3)
    outbound.hold(1, HER_GROUP, b"two", [], 3)
    assert outbound.due(2, MDNS, ANNE.address) == []
    assert outbound.due(2, MDNS, BOB.address) == [b"one"]
    assert outbound.due(2, MDNS, BOB.address) == []
    assert outbound.due(2, MDNS, CARL.address) == [b"one"]
    assert outbound.due(2, MDNS, ROOT.address) == []    # the limit is reached
    assert outbound.due(4999, HER_GROUP, BOB.address) == [b"two"]
    assert outbound.due(5001, HER_GROUP, ANNE.address) == []


def test_what_waits_is_bounded():
    outbound = Outbound()
    for i in range(limits.PENDING_MULTICASTS + 2):
        outbound.hold(0, MDNS, b"%d" % i, [], 9)
    assert outbound.due(0, MDNS, ANNE.address) == [
        b"%d" % i for i in range(2, limits.PENDING_MULTICASTS + 2)]


# --- bytes -----------------------------------------------------------------------------------

def test_the_examples_of_the_spec():
    key = h("e77cecac115881ef ffffffffffff 0a93115b")
    likes = key + h("e77cecac115881ef 3333ff000001 00000000")
    assert multicast.likes(key[:8], [key[8:], likes[26:]]) == [likes]
    assert multicast.parse_likes(likes, 0, len(likes)) == [key, likes[18:]]
    found = key + h("00000001 0001 28e8acd2fa")
    assert multicast.parse_gathered(found, 0, len(found)) == (key, [h("28e8acd2fa")])
    answer = key + h("02 00000001 0001 28e8acd2fa")
    assert multicast.parse_frame_answer(answer, 0, len(answer)) == (key, [h("28e8acd2fa")])
    assert multicast.frame_answer(key, found[18:]) == answer
    arp = h("0001080006040001 ee75542a274d 0a9311a9 000000000000 0a93115b")
    frame = h("e77cecac115881ef 02 00000021 ffffffffffff 0a93115b 0806") + arp
    assert multicast.frame(key, 0x21, ARP, arp) == frame
    assert multicast.parse_frame(frame, 0, len(frame)) == (
        None, 0x21, None, key[8:], ARP, multicast.DATA)
    bridged = h("e77cecac115881ef 06 00000020 02aabbccdd01 ffffffffffff 0a9311a9 0806 00")
    assert multicast.parse_frame(bridged, 0, len(bridged)) == (
        None, 0x20, FOREIGN_MAC, h("ffffffffffff0a9311a9"), ARP, 31)


def test_a_request_carries_our_com():
    payload = multicast.gather(MDNS, 33, com().raw)
    key, limit, found = multicast.parse_gather(payload, 0, len(payload))
    assert (key, limit, found.raw) == (MDNS, 33, com().raw) and len(payload) == 295
    payload = multicast.gather(MDNS, 33)
    assert multicast.parse_gather(payload, 0, len(payload)) == (MDNS, 33, None)


def test_many_groups_make_several_packets():
    groups = [bytes((i,)) * 10 for i in range(100)]
    payloads = multicast.likes(NWID, groups)
    assert len(payloads) == 2 and max([len(p) for p in payloads]) <= 1400
    assert sum([len(multicast.parse_likes(p, 0, len(p))) for p in payloads]) == 100


def test_what_is_cut_short_is_malformed():
    full = com().raw
    for parse, payload in (
            (multicast.parse_gather, multicast.gather(MDNS, 33, com().raw)),
            (multicast.parse_gathered, MDNS + b"\0\0\0\1\0\1" + ANNE.address),
            (multicast.parse_frame_answer, MDNS + b"\x03" + full + b"\0\0\0\1\0\1" + ANNE.address),
            (multicast.parse_frame, NWID + b"\x07" + full + bytes(4) + bytes(6) + bytes(12))):
        parse(payload, 0, len(payload))
        for n in list(range(0, 60)) + list(range(len(payload) - 30, len(payload))):
            if n < len(payload):
                raises(ValueError, parse, payload, 0, n)


# --- sending ---------------------------------------------------------------------------------

def test_an_arp_request_finds_its_one_listener():
    scene = Scene().configured()
    scene.transmit(10, ALL, ARP, who_has(HER_IP))
    asked = scene.vl1.take()
    assert [s.verb for s in asked] == [packet.MULTICAST_GATHER] * 2
    assert [s.to for s in asked] == [ROOT.address, CONTROLLER.address]
    assert multicast.parse_gather(asked[0].payload, 0, len(asked[0].payload))[:2] == (
        HER_GROUP, 33)
    gathered(scene, 20, HER_GROUP, ANNE)
    pushed, frame = scene.vl1.take()
    assert (pushed.verb, pushed.to) == (packet.NETWORK_CREDENTIALS, ANNE.address)
    assert (frame.verb, frame.to, frame.compress) == (packet.MULTICAST_FRAME, ANNE.address, True)
    assert frame.payload == multicast.frame(HER_GROUP, 33, ARP, who_has(HER_IP))
    gathered(scene, 30, HER_GROUP, ANNE, sender=CONTROLLER)
    assert scene.vl1.take() == []


def test_a_known_listener_gets_it_at_once():
    scene = Scene().configured()
    scene.vl2.groups.add(0, HER_GROUP, ANNE.address)
    scene.transmit(10, ALL, ARP, who_has(HER_IP))
    sent = scene.vl1.take()
    assert [s.to for s in sent if s.verb == packet.MULTICAST_FRAME] == [ANNE.address]
    assert len([s for s in sent if s.verb == packet.MULTICAST_GATHER]) == 2
    scene.transmit(5009, ALL, ARP, who_has(HER_IP))
    assert scene.vl1.take(packet.MULTICAST_GATHER) == []
    scene.transmit(5010, ALL, ARP, who_has(HER_IP))
    assert len(scene.vl1.take(packet.MULTICAST_GATHER)) == 2


def test_for_an_unknown_group_we_ask_once_a_second():
    scene = Scene().configured()
    asked = 0
    for now in range(0, 3000, 200):
        scene.transmit(now, ALL, ARP, who_has(HER_IP))
        asked += len(scene.vl1.take(packet.MULTICAST_GATHER))
    assert asked == 6


def test_a_request_waits_five_seconds_for_its_listener():
    for now, frames in ((5009, 1), (5010, 0)):
        scene = Scene().configured()
        scene.transmit(10, ALL, ARP, who_has(HER_IP))
        gathered(scene, now, HER_GROUP, ANNE)
        assert len(scene.vl1.take(packet.MULTICAST_FRAME)) == frames


def test_a_listener_who_announces_itself_gets_what_waits():
    scene = members(Scene().configured(), ANNE)
    scene.transmit(10, ALL, IPV4, b"data")
    scene.vl1.take()
    like(scene, 20, ANNE, MDNS, BROADCAST)
    assert [s.to for s in scene.vl1.take(packet.MULTICAST_FRAME)] == [ANNE.address]


def test_an_answer_is_believed_from_those_who_may_know():
    scene = Scene().configured()
    scene.transmit(10, ALL, ARP, who_has(HER_IP))
    gathered(scene, 20, HER_GROUP, BOB, sender=BOB)
    assert scene.vl2.groups.members(20, HER_GROUP) == []
    gathered(scene, 30, HER_GROUP, ANNE)
    payload = multicast.frame_answer(HER_GROUP, b"\0\0\0\1\0\1" + CARL.address)
    scene.vl1.inject_ok(40, BOB, packet.MULTICAST_FRAME, payload)
    assert scene.vl2.groups.members(40, HER_GROUP) == [ANNE.address]
    scene.vl1.inject_ok(50, ANNE, packet.MULTICAST_FRAME, payload)
    assert len(scene.vl2.groups.members(50, HER_GROUP)) == 2


def test_broadcast_needs_its_flag_and_arp_does_not():
    scene = Scene().configured(flags=0)
    scene.transmit(10, ALL, IPV4, b"data")
    scene.transmit(10, ALL, ARP, who_has(HER_IP)[:27])
    scene.transmit(10, ALL, ARP, h("0001080006040002") + bytes(20))
    assert scene.vl1.take() == [] and scene.vl1.counters == {"broadcast_off": 3}
    scene.transmit(10, ALL, ARP, who_has(HER_IP))
    scene.transmit(10, MDNS[8:14], IPV4, b"data")
    assert len(scene.vl1.take(packet.MULTICAST_GATHER)) == 4


def test_a_limit_of_zero_turns_multicast_off():
    scene = Scene().configured(multicast_limit=0)
    scene.transmit(10, ALL, ARP, who_has(HER_IP))
    assert scene.vl1.take() == []


def test_no_more_than_the_limit_get_it():
    scene = Scene().configured(multicast_limit=2)
    for identity in (ANNE, BOB, CARL):
        scene.vl2.groups.add(0, BROADCAST, identity.address)
    scene.transmit(10, ALL, IPV4, b"data")
    sent = scene.vl1.take()
    frames = [s for s in sent if s.verb == packet.MULTICAST_FRAME]
    assert len(frames) == 2
    assert multicast.parse_frame(frames[0].payload, 0, len(frames[0].payload))[1] == 1
    assert packet.MULTICAST_GATHER not in [s.verb for s in sent]
    gathered(scene, 20, BROADCAST, ROOT, sender=CONTROLLER)
    assert scene.vl1.take(packet.MULTICAST_FRAME) == []


def test_waiting_frames_stop_at_the_limit():
    scene = Scene().configured(multicast_limit=2)
    scene.transmit(10, ALL, IPV4, b"data")
    gathered(scene, 20, BROADCAST, ANNE, BOB, CARL)
    assert len(scene.vl1.take(packet.MULTICAST_FRAME)) == 2


def test_bridges_get_every_multicast_first():
    scene = Scene().configured(specialists=[(BOB.address, 2)], multicast_limit=2)
    for identity in (ANNE, BOB, CARL):
        scene.vl2.groups.add(0, BROADCAST, identity.address)
    scene.transmit(10, ALL, IPV4, b"data")
    sent = scene.vl1.take(packet.MULTICAST_FRAME)
    assert len(sent) == 2 and sent[0].to == BOB.address


def test_a_live_replicator_sends_to_all_for_us():
    scene = Scene().configured(specialists=[(ANNE.address, 8), (BOB.address, 8)])
    like(members(scene, CARL), 5, CARL, MDNS)
    near, far = [scene.vl1.know(identity) for identity in (ANNE, BOB)]

    def recipients(now):
        scene.vl1.take()
        scene.transmit(now, MDNS[8:14], IPV4, b"data")
        return [sent.to for sent in scene.vl1.take(packet.MULTICAST_FRAME)]

    assert recipients(10) == [CARL.address]         # neither of the two is there
    far.learn(20, b"\x0a\0\0\x02\x27\x09").measured(9)
    assert recipients(20) == [BOB.address]
    near.learn(30, b"\x0a\0\0\x03\x27\x09").measured(3)
    scene.transmit(30, MDNS[8:14], IPV4, b"data")
    order, = scene.vl1.take(packet.MULTICAST_FRAME)
    assert order.to == ANNE.address
    assert order.payload == NWID + b"\x0c" + MY_MAC + MDNS[8:] + b"\x08\0data"
    scene.configured(40, specialists=[(ANNE.address, 8), (ME.address, 8)])
    assert recipients(40) == [CARL.address]         # one of the two is ourselves


def test_anchors_are_asked_too():
    scene = Scene().configured(specialists=[(BOB.address, 4), (ME.address, 4)])
    scene.transmit(10, ALL, IPV4, b"data")
    asked = [s.to for s in scene.vl1.take(packet.MULTICAST_GATHER)]
    assert asked[0] == ROOT.address
    assert sorted(asked[1:]) == sorted([CONTROLLER.address, BOB.address])


def test_without_a_root_the_controller_is_asked():
    scene = Scene(root=None).configured()
    scene.transmit(10, ALL, ARP, who_has(HER_IP))
    assert [s.to for s in scene.vl1.take()] == [CONTROLLER.address]


def test_rules_hold_for_multicast_and_each_copy():
    # Drop what goes to Anne, accept the rest.
    rules = b"\x19\x05" + ANNE.address + b"\0\0" + ACCEPT_IPV4
    scene = Scene().configured(rules=rules)
    for identity in (ANNE, BOB):
        scene.vl2.groups.add(0, BROADCAST, identity.address)
    scene.transmit(10, ALL, IPV4, b"data")
    assert [s.to for s in scene.vl1.take(packet.MULTICAST_FRAME)] == [BOB.address]
    scene.transmit(10, ALL, 0x86DD, b"data")
    assert scene.vl1.take(packet.MULTICAST_FRAME) == []


def test_a_multicast_is_redirected_and_copied_once():
    rules = h("020e 000000") + CARL.address + h("00000000 0000") + ACCEPT_IPV4
    scene = Scene().configured(rules=rules)
    for identity in (ANNE, BOB):
        scene.vl2.groups.add(0, BROADCAST, identity.address)
    scene.transmit(10, ALL, IPV4, b"data")
    sent = scene.vl1.take()
    assert [s.to for s in sent if s.verb == packet.EXT_FRAME] == [CARL.address]
    assert len([s for s in sent if s.verb == packet.MULTICAST_FRAME]) == 2


def test_compression_may_be_forbidden():
    scene = Scene().configured(flags=0x12)
    scene.vl2.groups.add(0, BROADCAST, ANNE.address)
    scene.transmit(10, ALL, IPV4, b"data")
    frame, = scene.vl1.take(packet.MULTICAST_FRAME)
    assert not frame.compress


# --- receiving -------------------------------------------------------------------------------

def test_a_multicast_is_delivered_with_its_group_as_destination():
    scene = members(Scene().configured(), ANNE)
    receive(scene, 10, ANNE, MDNS)
    assert scene.frames == [(ANNES_MAC, MDNS[8:14], IPV4, b"data")]
    assert scene.vl1.trusted == [ANNE.address]


def test_a_listener_names_itself_to_who_asks():
    scene = members(Scene().configured(), ANNE)
    scene.vl1.take()
    receive(scene, 10, ANNE, BROADCAST)
    ok, = scene.vl1.take(packet.OK)
    assert (ok.to, ok.answers) == (ANNE.address, packet.MULTICAST_FRAME)
    assert ok.payload == BROADCAST + b"\x02\0\0\0\1\0\1" + ME.address
    receive(scene, 20, ANNE, MDNS)
    assert scene.vl1.take(packet.OK) == []      # nobody to name
    receive(scene, 30, ANNE, BROADCAST, flags=0, fields=b"")
    assert scene.vl1.take(packet.OK) == []      # nobody asked


def test_who_asks_is_answered_though_rules_dropped_the_frame():
    scene = members(Scene().configured(rules=b"\0\0"), ANNE)
    receive(scene, 10, ANNE, BROADCAST)
    assert scene.frames == [] and len(scene.vl1.take(packet.OK)) == 1


def test_a_multicast_passes_the_gate_or_waits():
    scene = Scene().configured()
    receive(scene, 10, ANNE)
    error, = scene.vl1.take()
    assert (error.verb, error.answers, error.code) == (packet.ERROR, packet.MULTICAST_FRAME, 6)
    scene.credentials(20, ANNE, com(ANNE))
    assert len(scene.frames) == 1


def test_a_multicast_may_bring_its_com():
    scene = Scene().configured()
    receive(scene, 10, ANNE, flags=0x03, fields=com(ANNE).raw + b"\0\0\0\1")
    assert len(scene.frames) == 1


def test_no_answer_to_what_must_not_be():
    scene = members(Scene().configured(), ANNE)
    scene.vl1.take()
    asks = b"\0\0\0\x21"
    ours = NWID + MY_MAC + bytes(4)
    for key, source_mac in ((BROADCAST, FOREIGN_MAC), (BROADCAST, MY_MAC), (BROADCAST, bytes(6)),
                            (BROADCAST, b"\x03" + bytes(5)), (ours, ANNES_MAC)):
        receive(scene, 10, ANNE, key, flags=0x06, fields=asks + source_mac)
    assert scene.frames == [] and scene.vl1.take(packet.OK) == []
    assert scene.vl1.counters == {"frame_refused": 5}
    receive(scene, 20, ANNE, BROADCAST, flags=0x06, fields=asks + ANNES_MAC)
    assert len(scene.frames) == 1


def test_a_bridge_passes_on_what_others_sent():
    scene = members(Scene().configured(specialists=[(ANNE.address, 2)]), ANNE)
    receive(scene, 10, ANNE, BROADCAST, flags=0x06, fields=b"\0\0\0\0" + FOREIGN_MAC)
    assert scene.frames == [(FOREIGN_MAC, ALL, IPV4, b"data")]


def test_with_multicast_off_nothing_is_received():
    scene = members(Scene().configured(multicast_limit=0), ANNE)
    scene.vl1.take()
    receive(scene, 10, ANNE)
    assert scene.frames == [] and scene.vl1.take(packet.OK) == []


# --- answering and learning ------------------------------------------------------------------

def test_a_member_who_asks_is_told_of_us():
    scene = Scene().configured()
    key = NWID + ALL + MY_IP
    scene.vl1.inject(10, ANNE, packet.MULTICAST_GATHER, multicast.gather(key, 2))
    assert scene.vl1.take() == []       # not a member, as far as we know
    scene.vl1.inject(20, ANNE, packet.MULTICAST_GATHER, multicast.gather(key, 2, com(ANNE).raw))
    ok, = scene.vl1.take()
    assert (ok.to, ok.answers) == (ANNE.address, packet.MULTICAST_GATHER)
    assert ok.payload == key + b"\0\0\0\1\0\1" + ME.address
    scene.vl1.inject(30, ANNE, packet.MULTICAST_GATHER, multicast.gather(key, 0))
    scene.vl1.inject(30, ANNE, packet.MULTICAST_GATHER, multicast.gather(HER_GROUP, 2))
    assert scene.vl1.take() == []


def test_roles_let_others_announce_and_ask():
    scene = Scene(join=False)
    other = bytes(7) + b"\x01"
    key = other + MDNS[8:]
    like(scene, 10, ANNE, key)
    assert scene.vl2.groups.members(10, key) == []
    seen = []

    def anybody(now, network_id, peer):
        seen.append((now, network_id, peer.address))
        return True

    scene.vl2.like_authorities.append(anybody)
    like(scene, 20, ANNE, key, other + HER_GROUP[8:])
    assert seen == [(20, other, ANNE.address)]
    assert scene.vl2.groups.members(20, key) == [ANNE.address]
    scene.vl1.inject(30, BOB, packet.MULTICAST_GATHER, multicast.gather(key, 9))
    ok, = scene.vl1.take()
    assert ok.payload == key + b"\0\0\0\1\0\1" + ANNE.address


def test_a_list_that_comes_ahead_of_credentials_waits_for_them():
    scene = Scene().configured()
    like(scene, 10, ANNE, MDNS)
    like(scene, 10, BOB, MDNS)
    assert scene.vl2.groups.members(10, MDNS) == []
    scene.credentials(20, ANNE, com(ANNE))
    assert scene.vl2.groups.members(20, MDNS) == [ANNE.address]
    scene.run(20, 5010)
    scene.credentials(5020, BOB, com(BOB))
    assert scene.vl2.groups.members(5020, MDNS) == [ANNE.address]


def test_our_list_comes_after_our_credentials():
    scene = members(Scene().configured(), ANNE)
    scene.vl1.take()
    scene.frame(10, ANNE)
    assert [sent.verb for sent in scene.vl1.take(to=ANNE)] == [
        packet.NETWORK_CREDENTIALS, packet.MULTICAST_LIKE]


def test_only_members_announce_groups():
    scene = members(Scene().configured(), ANNE)
    like(scene, 10, ANNE, MDNS)
    like(scene, 10, BOB, MDNS)
    like(scene, 10, ANNE, CONTROLLER.address + b"\0\0\x01" + MDNS[8:])
    assert scene.vl2.groups.members(10, MDNS) == [ANNE.address]
    assert len(scene.vl2.groups._groups) == 1


def test_a_half_record_is_not_read():
    scene = members(Scene().configured(), ANNE)
    like(scene, 10, ANNE, MDNS, BROADCAST[:17])
    assert len(scene.vl2.groups._groups) == 1


def test_unwanted_multicast_ends_a_subscription():
    scene = members(Scene().configured(), ANNE)
    like(scene, 10, ANNE, MDNS)
    scene.vl1.inject_error(20, BOB, packet.MULTICAST_FRAME, 8, MDNS)
    assert scene.vl2.groups.members(20, MDNS) == [ANNE.address]
    scene.vl1.inject_error(20, ANNE, packet.MULTICAST_FRAME, 8, MDNS[:17])
    assert scene.vl1.counters == {"malformed": 1}
    scene.vl1.inject_error(20, ANNE, packet.MULTICAST_FRAME, 8, MDNS)
    assert scene.vl2.groups.members(20, MDNS) == []


def test_a_listener_is_sent_to_for_ten_minutes_after_its_last_list():
    scene = members(Scene().configured(), ANNE)
    like(scene, 10, ANNE, MDNS)

    def copies(now, to):
        scene.vl1.take()
        scene.transmit(now, MDNS[8:14], IPV4, b"data")
        return len(scene.vl1.take(packet.MULTICAST_FRAME, to))

    assert copies(600009, ANNE) == 1 and copies(600010, ANNE) == 0
    like(scene, 600010, ANNE, MDNS)
    assert copies(1200009, ANNE) == 1 and copies(1200010, ANNE) == 0
    gathered(scene, 1210000, MDNS, BOB)     # so it is with those whom others name ...
    gathered(scene, 1300000, MDNS, BOB)     # ... however often
    assert copies(1809999, BOB) == 1 and copies(1810000, BOB) == 0


def test_roots_and_controllers_name_a_listener_for_ten_minutes():
    scene = Scene(join=False)
    scene.vl2.like_authorities.append(lambda now, network_id, peer: True)
    like(scene, 10, ANNE, MDNS)
    for now, answers in ((600009, 1), (600010, 0)):
        scene.vl1.inject(now, BOB, packet.MULTICAST_GATHER, multicast.gather(MDNS, 9))
        assert len(scene.vl1.take(packet.OK)) == answers


def test_members_are_told_that_we_left_a_group_and_who_still_sends_to_it_too():
    scene = members(Scene().configured(), ANNE)
    scene.network.subscribe(5, MDNS[8:14])
    receive(scene, 10, ANNE, MDNS)
    assert not scene.vl1.take(packet.ERROR)
    scene.network.unsubscribe(20, MDNS[8:14])
    told, = scene.vl1.take(packet.ERROR)
    assert told.to == ANNE.address
    assert told.payload == h("0e 0000000000000000 08") + MDNS
    scene.network.unsubscribe(21, MDNS[8:14])
    assert not scene.vl1.take()
    for now, errors in ((30, 1), (129, 0), (130, 1)):
        receive(scene, now, ANNE, MDNS)
        found = scene.vl1.take(packet.ERROR)
        assert len(found) == errors
        for error in found:
            assert (error.to, error.answers, error.code) == (
                ANNE.address, packet.MULTICAST_FRAME, packet.E_UNWANTED_MULTICAST)
            assert error.payload == MDNS
    assert len(scene.frames) == 4       # whoever is above decides by itself


def test_listeners_are_forgotten_in_time():
    scene = members(Scene().configured(), ANNE)
    like(scene, 10, ANNE, MDNS)
    scene.run(30000, 700000)
    assert scene.vl2.groups._groups == {}
