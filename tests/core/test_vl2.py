"""A member's standing: joining, configs, refusals, what is announced (spec/vl2-config.md)."""

from mpcore import limits
from mpcore.vl1 import packet
from mpcore.vl2 import config_text, exchange
from mpcore.vl2.addressing import mac_of

from tests.core.support import raises
from tests.core.vl2_scene import (ANNE, BOB, CONTROLLER, ME, MY_IP, MY_MAC, NWID, ROOT, TIME,
                                  Scene, body, com, config)

NAME = "networks.d/%s.conf" % NWID.hex()
ARP_GROUP = b"\xff" * 6 + MY_IP
BROADCAST_GROUP = b"\xff" * 6 + bytes(4)


def answer(scene, now, made, sender=CONTROLLER, **how):
    scene.vl1.inject_ok(now, sender, packet.NETWORK_CONFIG_REQUEST, body(made, **how))


def push(scene, now, made, sender=CONTROLLER, **how):
    scene.vl1.inject(now, sender, packet.NETWORK_CONFIG, body(made, **how))


def requests(scene):
    return [s.now for s in scene.vl1.take(packet.NETWORK_CONFIG_REQUEST)]


def test_joining_asks_the_controller_at_once():
    scene = Scene()
    sent, = scene.vl1.take()
    assert (sent.verb, sent.to) == (packet.NETWORK_CONFIG_REQUEST, CONTROLLER.address)
    nwid, said = exchange.parse_request(sent.payload, 0, len(sent.payload))
    assert nwid == NWID and said[b"revr"] == b"0000000000000001"
    assert sent.payload[-16:] == bytes(16) and sent.compress
    network = scene.network
    assert (network.status, network.config) == ("REQUESTING_CONFIGURATION", None)
    assert network.mac == MY_MAC == mac_of(NWID, ME.address)
    assert scene.vl1.wanted == {CONTROLLER.address}


def test_it_asks_every_five_seconds_until_there_is_a_config():
    scene = Scene()
    scene.run(0, 20000)
    assert requests(scene) == [0, 5000, 10000, 15000, 20000]


def test_it_never_asks_twice_within_a_second():
    scene = Scene()
    scene.network.enrolment.request(999)
    assert requests(scene) == [0]
    scene.network.enrolment.request(1000)
    assert requests(scene) == [1000]


def test_a_config_makes_the_network_usable():
    scene = Scene()
    answer(scene, 30, config(mtu=1400))
    network = scene.network
    assert network.status == "OK" and scene.changes == ["OK"]
    assert network.config.static_ips == [(MY_IP, 24)] and network.config.name == b"lab"
    assert network.mtu == 1400
    assert scene.storage[NAME] == config_text.write(config(mtu=1400))


def test_the_mtu_is_what_every_verb_can_carry():
    scene = Scene().configured(mtu=10000)
    assert scene.network.mtu == 9875


def test_a_config_is_refreshed_after_a_minute():
    scene = Scene()
    answer(scene, 100, config(revision=7))
    scene.vl1.take()
    scene.run(100, 59999)
    assert requests(scene) == []
    scene.run(60000, 66000)
    sent = scene.vl1.take(packet.NETWORK_CONFIG_REQUEST)
    assert [s.now for s in sent] == [65000]
    assert sent[0].payload[-16:] == (7).to_bytes(8, "big") + TIME.to_bytes(8, "big")


def test_each_refusal_has_its_status():
    for code, status in ((3, "NOT_FOUND"), (5, "NOT_FOUND"), (7, "ACCESS_DENIED"),
                         (9, "AUTHENTICATION_REQUIRED")):
        scene = Scene()
        scene.vl1.inject_error(10, CONTROLLER, packet.NETWORK_CONFIG_REQUEST, code, NWID)
        assert scene.network.status == status and scene.changes == [status]
        scene.vl1.take()
        scene.run(10, 5000)
        assert requests(scene) == [5000]    # it goes on asking
        answer(scene, 5010, config())
        assert scene.network.status == "OK"


def test_an_authentication_url_is_shown():
    scene = Scene()
    text = b"aV=0\naU=https://example.com/login"
    scene.vl1.inject_error(10, CONTROLLER, packet.NETWORK_CONFIG_REQUEST, 9,
                           NWID + len(text).to_bytes(2, "big") + text)
    assert scene.network.reason == "https://example.com/login"


def test_a_refusal_from_somebody_else_is_none():
    scene = Scene()
    scene.vl1.inject_error(10, ANNE, packet.NETWORK_CONFIG_REQUEST, 7, NWID)
    assert scene.network.status == "REQUESTING_CONFIGURATION"


def test_a_refusal_leaves_the_config_in_use():
    scene = Scene().configured()
    scene.vl1.inject_error(10, CONTROLLER, packet.NETWORK_CONFIG_REQUEST, 7, NWID)
    assert scene.network.status == "ACCESS_DENIED" and scene.network.config is not None
    scene.transmit(20, mac_of(NWID, ANNE.address), 0x0800, b"data")
    assert len(scene.vl1.take(packet.FRAME)) == 1


def test_configs_that_are_not_ours_are_refused():
    other = config(identity=ANNE)
    foreign = config()
    foreign.network_id = CONTROLLER.address + b"\0\0\2"
    for made in (other, foreign):
        scene = Scene()
        answer(scene, 10, made)
        assert scene.network.config is None
        assert scene.vl1.counters == {"malformed": 1}
        assert scene.network.reason[:15] == "config refused:"


def test_a_config_needs_the_controllers_signature():
    scene = Scene()
    spoilt = bytearray(body(config()))
    spoilt[-1] ^= 1
    scene.vl1.inject(10, CONTROLLER, packet.NETWORK_CONFIG, bytes(spoilt))
    scene.vl1.inject(10, ANNE, packet.NETWORK_CONFIG, body(config(), signer=ANNE))
    assert scene.network.config is None and scene.vl1.counters == {"malformed": 2}


def test_a_push_is_acknowledged_as_an_echo():
    scene = Scene()
    push(scene, 10, config())
    assert scene.network.status == "OK"
    ok, = scene.vl1.take(packet.OK)
    assert (ok.to, ok.answers) == (CONTROLLER.address, packet.ECHO)
    update_id = exchange.Chunk.from_bytes(body(config()), 0, len(body(config()))).update_id
    assert ok.payload == NWID + update_id


def test_an_answer_is_not_acknowledged():
    scene = Scene()
    answer(scene, 10, config())
    assert scene.vl1.take(packet.OK) == []


def test_anybody_may_carry_what_the_controller_signed():
    scene = Scene()
    push(scene, 10, config(), sender=ANNE)
    assert scene.network.status == "OK"


def test_an_old_config_that_somebody_kept_does_not_come_back():
    scene = Scene().configured(timestamp=TIME + 5000)
    push(scene, 10, config(name=b"old"), sender=ANNE)
    assert scene.network.config.name == b"lab"
    assert scene.vl1.counters == {"config_outdated": 1}
    push(scene, 20, config(name=b"new", timestamp=TIME + 5001))
    assert scene.network.config.name == b"new"


def test_the_controller_may_set_its_clock_back():
    scene = Scene().configured(timestamp=TIME + 5000)
    answer(scene, 60000, config(name=b"reset"))
    assert scene.network.config.name == b"reset"


def test_chunks_come_in_any_order():
    scene = Scene()
    text = config_text.write(config(dns_domain=b"x" * 100, rules=b"\x25\x02\x08\x00\x01\x00" * 500))
    text = text + b"\npad=" + b"p" * 9000
    bodies = exchange.split(NWID, text, b"12345678", CONTROLLER)
    assert len(bodies) == 2
    for part in (bodies[1], bodies[0]):
        assert scene.network.config is None
        scene.vl1.inject_ok(10, CONTROLLER, packet.NETWORK_CONFIG_REQUEST, part)
    assert scene.network.status == "OK"


def test_a_config_beyond_our_limit_is_refused_with_a_word():
    scene = Scene()
    big = body(config())
    at = len(big) - 99 - 8
    big = big[:at] + (limits.CONFIG_BYTES + 1).to_bytes(4, "big") + big[at + 4:]
    scene.vl1.inject_ok(10, CONTROLLER, packet.NETWORK_CONFIG_REQUEST, big)
    assert str(limits.CONFIG_BYTES) in scene.network.reason


def test_a_chunk_to_be_spread_is_passed_on_to_members():
    scene = Scene().configured(public=True)
    scene.vl1.know(BOB)
    scene.frame(10, ANNE)
    scene.frame(10, BOB)
    scene.vl1.take()
    made = config(name=b"spread")
    push(scene, 20, made, sender=ANNE, flags=exchange.FAST_PROPAGATE)
    passed = scene.vl1.take(packet.NETWORK_CONFIG)
    assert [s.to for s in passed] == [BOB.address]
    assert passed[0].payload == body(made, flags=exchange.FAST_PROPAGATE)
    push(scene, 30, made, sender=BOB, flags=exchange.FAST_PROPAGATE)
    assert scene.vl1.take(packet.NETWORK_CONFIG) == []


def test_a_push_waits_for_the_controllers_identity():
    scene = Scene(known=())
    push(scene, 10, config(), sender=ANNE)
    assert scene.network.config is None and scene.vl1.asked == [CONTROLLER.address]
    scene.vl1.know(CONTROLLER)
    scene.run(10, 600)
    assert scene.network.status == "OK"


def test_the_cached_config_serves_until_a_fresh_one_comes():
    scene = Scene(join=False)
    scene.storage[NAME] = config_text.write(config(name=b"cached"))
    scene.join()
    assert scene.network.status == "OK" and scene.network.config.name == b"cached"
    assert requests(scene) == [0]
    answer(scene, 10, config(name=b"fresh"))
    assert scene.network.config.name == b"fresh"


def test_a_useless_cache_is_no_config():
    for text in (b"", b"rubbish", config_text.write(config(identity=ANNE))):
        scene = Scene(join=False)
        scene.storage[NAME] = text
        scene.join()
        assert scene.network.config is None


def test_refreshes_do_not_wear_the_flash():
    scene = Scene()
    answer(scene, 0, config())
    for i in range(1, 15):
        answer(scene, 60000 * i, config(timestamp=TIME + i))
    assert scene.writes == 1 and scene.network.config.timestamp == TIME + 14
    answer(scene, 840001, config(revision=2))
    assert scene.writes == 2
    answer(scene, 840001 + 900000, config(revision=2, timestamp=TIME + 99))
    assert scene.writes == 3


def test_a_network_whose_rules_we_do_not_know_passes_nothing():
    for rules, reason in ((b"\xbc\x00\x01\x00", "rule type 60"),
                          (b"\x07\x00\x01\x00", "rule type 7"),
                          (b"\x25\x01\x08\x01\x00", "rule operand is too short"),
                          (b"\x01", "rule is cut off")):
        scene = Scene().configured(rules=rules, public=True)
        network = scene.network
        assert network.status == "RULES_UNSUPPORTED"
        assert network.reason == "the network's rules: " + reason
        scene.frame(10, ANNE)
        scene.transmit(20, mac_of(NWID, ANNE.address), 0x0800, b"data")
        scene.transmit(20, b"\xff" * 6, 0x0800, b"data")
        sent = [s.verb for s in scene.vl1.take()]
        assert scene.frames == [] and packet.FRAME not in sent
        assert packet.MULTICAST_FRAME not in sent and packet.MULTICAST_GATHER not in sent
        answer(scene, 30, config(public=True))
        scene.frame(40, ANNE)
        assert network.status == "OK" and len(scene.frames) == 1


def test_what_cannot_be_joined():
    scene = Scene(join=False)
    raises(ValueError, scene.vl2.join, 0, b"\1" * 7)
    assert scene.vl2.networks == {}


def test_joining_twice_is_joining_once():
    scene = Scene()
    assert scene.vl2.join(10, NWID) is scene.network


def test_a_join_credential_is_offered():
    scene = Scene(join=False)
    scene.vl2.join(0, NWID, b"token:secret")
    sent, = scene.vl1.take()
    assert exchange.parse_request(sent.payload, 0, len(sent.payload))[1][b"a"] == b"token:secret"


def test_leaving_forgets_the_network():
    scene = Scene().configured()
    scene.vl2.leave(10, NWID)
    assert scene.vl2.networks == {} and scene.vl1.wanted == set() and scene.storage == {}
    scene.frame(20, ANNE)
    scene.run(20, 100000)
    assert scene.vl1.take() == []


def test_the_controller_stays_wanted_while_another_network_needs_it():
    scene = Scene()
    second = CONTROLLER.address + b"\0\0\2"
    scene.vl2.join(0, second)
    scene.vl2.leave(0, NWID)
    assert scene.vl1.wanted == {CONTROLLER.address}
    scene.vl2.leave(0, second)
    assert scene.vl1.wanted == set()


def test_a_network_of_our_own_asks_the_controller_in_this_node():
    scene = Scene(join=False, me=CONTROLLER)
    asked = []

    def own_controller(now, network):
        asked.append(now)
        network.enrolment.accept(now, config_text.write(config(identity=CONTROLLER)))

    scene.vl2.own_controller = own_controller
    scene.join()
    assert scene.network.status == "OK" and asked == [0]
    assert scene.vl1.take(packet.NETWORK_CONFIG_REQUEST) == [] and scene.vl1.wanted == set()


def test_anchors_are_kept_in_contact():
    anchors = [(ANNE.address, 4), (ME.address, 4), (CONTROLLER.address, 4)]
    scene = Scene().configured(specialists=anchors)
    scene.run(0, 30000)
    assert scene.vl1.wanted == {CONTROLLER.address, ANNE.address}
    answer(scene, 30000, config(specialists=[(BOB.address, 4)]))
    scene.run(30000, 60000)
    assert scene.vl1.wanted == {CONTROLLER.address, BOB.address}


# --- announcements, spec/vl2-multicast.md 3 and spec/vl2-frames.md 8 -------------------------

def likes(scene):
    """{address: set of groups} announced since the last call."""
    told = {}
    for sent in scene.vl1.take(packet.MULTICAST_LIKE):
        payload = sent.payload
        assert len(payload) % 18 == 0
        for at in range(0, len(payload), 18):
            assert payload[at:at + 8] == NWID
            told.setdefault(sent.to, set()).add(payload[at + 8:at + 18])
    return told


def test_a_config_brings_groups_which_root_and_controller_hear_at_once():
    scene = Scene()
    answer(scene, 10, config(static_ips=[(MY_IP, 24), (b"\xfd" + bytes(12) + b"\1\2\3", 88)]))
    groups = {ARP_GROUP, BROADCAST_GROUP, b"\x33\x33\xff\1\2\3" + bytes(4)}
    assert likes(scene) == {ROOT.address: groups, CONTROLLER.address: groups}


def test_without_the_broadcast_flag_broadcast_is_not_announced():
    scene = Scene()
    answer(scene, 10, config(flags=0))
    assert likes(scene) == {ROOT.address: {ARP_GROUP}, CONTROLLER.address: {ARP_GROUP}}


def test_a_new_group_is_announced_alone():
    scene = Scene().configured()
    scene.network.subscribe(10, b"\1\0\x5e\0\0\xfb")
    group = b"\1\0\x5e\0\0\xfb" + bytes(4)
    assert likes(scene) == {ROOT.address: {group}, CONTROLLER.address: {group}}
    scene.network.subscribe(20, b"\1\0\x5e\0\0\xfb")
    assert likes(scene) == {}
    scene.network.unsubscribe(30, b"\1\0\x5e\0\0\xfb")
    assert not scene.network.listens(group)


def test_the_list_is_repeated_every_minute():
    scene = Scene()
    scene.vl2.poll(0)
    answer(scene, 10, config())
    likes(scene)
    scene.run(5000, 64999)
    first = likes(scene)
    assert first[ROOT.address] == {ARP_GROUP, BROADCAST_GROUP} and len(first) == 2
    scene.run(65000, 65000)
    assert likes(scene) == first


def test_a_list_that_could_not_leave_is_sent_soon():
    scene = Scene().configured()
    scene.vl1.reachable = False
    scene.run(0, 5000)
    likes(scene)
    scene.vl1.reachable = True
    scene.run(10000, 10000)
    assert set(likes(scene)) == {ROOT.address, CONTROLLER.address}
    scene.run(15000, 60000)
    assert likes(scene) == {}


def test_a_member_who_talks_hears_of_our_groups_once_a_minute():
    scene = Scene().configured(public=True)
    scene.frame(10, ANNE)
    assert likes(scene) == {ANNE.address: {ARP_GROUP, BROADCAST_GROUP}}
    scene.frame(60009, ANNE)
    assert likes(scene) == {}
    scene.frame(60010, ANNE)
    assert set(likes(scene)) == {ANNE.address}


def test_known_members_hear_of_a_new_group_and_of_all_each_minute():
    scene = Scene().configured(public=True)
    scene.frame(10, ANNE)
    scene.vl1.take()
    scene.network.subscribe(20, b"\1\0\x5e\0\0\xfb")
    assert ANNE.address in likes(scene)
    scene.run(5000, 60000)
    assert ANNE.address not in likes(scene)
    scene.run(65000, 65000)
    assert len(likes(scene)[ANNE.address]) == 3
    del scene.vl1.peers[ANNE.address]
    scene.run(130000, 130000)
    assert ANNE.address not in likes(scene)


def test_members_without_standing_hear_nothing():
    scene = Scene().configured()
    scene.frame(10, ANNE)
    scene.network.subscribe(20, b"\1\0\x5e\0\0\xfb")
    assert ANNE.address not in likes(scene)
    scene.credentials(30, ANNE, com(ANNE))
    assert ANNE.address in likes(scene)     # the frame that waited passes now
