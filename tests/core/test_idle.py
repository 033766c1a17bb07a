"""What a node costs that does nothing, and whether it is reached nevertheless, in virtual time."""

from mpcore.vl1 import packet
from tests.core.idle import HOUR_MS, Meter, Nat, mb_a_day, reach
from tests.core.scenes import Lan, identity

PROFILES = ({}, {"low_bandwidth": True})


def acquainted_lan(**options):
    """A Lan without members, whose root knows who they are: hashes want 2 MiB in one piece."""
    lan = Lan(members=0, **options)
    introduce_all(lan)
    return lan


def introduce_all(lan):
    for i in range(1, 6):
        lan.root.vl1.add_peer(lan.wire.now, identity(i))


def quiet_lan(members=2, hours=1, nat=False, **options):
    """A Lan whose first member has these options, and whose members have long said nothing.

    Returns (lan, that member, its Nat or None).
    """
    lan = acquainted_lan()
    me = lan.start_member(2, **options)
    fence = Nat(lan.wire, me.port.endpoint) if nat else None
    for i in range(3, members + 2):
        lan.start_member(i)
    assert lan.joined()
    for other in lan.members[1:]:
        assert reach(lan, me, other) is not None
    lan.run(hours * HOUR_MS)
    return lan, me, fence


def test_an_idle_node_keeps_to_its_budget():
    for options, most_mb in ((PROFILES[0], 5), (PROFILES[1], 1)):
        lan, me, _ = quiet_lan(members=4, **options)
        meter = Meter(lan.wire, me.port.endpoint)
        lan.run(2 * HOUR_MS)
        assert 0.3 < mb_a_day(meter, 2) < most_mb
        assert meter.datagrams > 2 * 100


def test_members_alone_stay_cheap_too():
    lan, me, _ = quiet_lan(members=1, low_bandwidth=True)
    meter = Meter(lan.wire, me.port.endpoint)
    lan.run(2 * HOUR_MS)
    assert mb_a_day(meter, 2) < 0.75


def test_after_an_idle_hour_a_node_behind_a_nat_is_reached():
    for options in PROFILES:
        lan, me, nat = quiet_lan(nat=True, **options)
        nat.refused = 0
        assert reach(lan, lan.members[1], me) <= 10000
        lan.run(HOUR_MS // 3)
        assert reach(lan, me, lan.members[1]) <= 10000


def test_whenever_a_nat_shut_the_path_the_relay_is_found_in_some_seconds():
    for options in PROFILES:
        for rest_ms in (100000, 520000, 600000):
            lan, me, _ = quiet_lan(hours=0, nat=True, **options)
            lan.run(rest_ms)
            assert reach(lan, lan.members[1], me) <= 7000


def test_members_who_have_spoken_keep_each_other_without_root_and_controller():
    for options in PROFILES:
        lan = acquainted_lan()
        a, b = [lan.start_member(i, **options) for i in (2, 3)]
        assert lan.joined() and reach(lan, a, b) is not None
        lan.run(3000)       # later, at low bandwidth, each would rely on the root
        for node in (lan.root, lan.controller_node):
            lan.wire.detach(node)
        lan.run(HOUR_MS)
        assert reach(lan, a, b) <= 2000


def test_quiet_members_outlive_the_root_but_not_at_low_bandwidth():
    for options, reached in zip(PROFILES, (True, False)):
        lan = acquainted_lan()
        a, b = [lan.start_member(i, **options) for i in (2, 3)]
        assert lan.joined() and reach(lan, a, b) is not None
        lan.run(HOUR_MS)
        for node in (lan.root, lan.controller_node):
            lan.wire.detach(node)
        lan.run(HOUR_MS)
        assert (reach(lan, a, b, 10000) is not None) == reached


def test_after_an_idle_hour_a_direct_path_is_found_again():
    lan, me, _ = quiet_lan(low_bandwidth=True)
    other = lan.members[1]
    peer = me.vl1.peers.get(other.identity.address)
    assert peer is None or not peer.paths
    for _ in range(3):
        assert lan.ping(me, other) is not None
    assert me.vl1.peers[other.identity.address].direct(lan.wire.now)
    assert lan.ping(me, other) == 2 * lan.wire.delay_ms


def test_a_nat_that_forgets_is_told_again_within_a_heartbeat():
    lan, me, nat = quiet_lan(nat=True, low_bandwidth=True)
    nat.forget()
    lan.run(26000)
    assert reach(lan, lan.members[1], me) <= 10000


def test_a_node_that_moved_is_reached_within_a_heartbeat():
    lan, me, _ = quiet_lan(low_bandwidth=True)
    lan.wire.detach(me)
    me.port.endpoint = lan.wire.port("10.0.2.9/9993").endpoint
    lan.wire.attach(me)
    lan.run(35000)
    assert reach(lan, lan.members[1], me) <= 10000


def test_a_root_that_was_away_for_an_hour_is_found_within_a_heartbeat():
    lan, me, _ = quiet_lan(low_bandwidth=True)
    lan.wire.detach(lan.root)
    meter = Meter(lan.wire, me.port.endpoint)
    lan.run(HOUR_MS)
    assert not me.online(lan.wire.now)
    assert mb_a_day(meter, 1) < 1
    lan.start_root()
    introduce_all(lan)
    assert lan.run(30000, lambda: me.online(lan.wire.now))


def test_a_change_is_learned_at_the_next_refresh():
    lan, me, _ = quiet_lan(low_bandwidth=True)
    lan.controller.update_network(lan.wire.now, lan.nwid, {"name": "renamed"})
    assert lan.network(me).config.name == b"lan"    # it counts as away: nobody pushes
    assert lan.run(1200000 + 10000, lambda: lan.network(me).config.name == b"renamed")


def test_credentials_that_hold_for_a_short_time_are_refreshed_in_time():
    lan = acquainted_lan(private=True)
    lan.controller._records.networks[lan.nwid]["certificateTimeoutWindowSize"] = 300000
    me = lan.start_member(2, low_bandwidth=True)
    lan.start_member(3)
    lan.run(5000)
    for member in lan.members:
        lan.controller.authorize(lan.wire.now, lan.nwid, member.identity.address)
    assert lan.joined()
    for _ in range(6):
        lan.run(100000)
        assert reach(lan, lan.members[1], me) is not None


def test_who_is_refused_asks_once_a_minute():
    lan = acquainted_lan(private=True)
    me = lan.start_member(2, low_bandwidth=True)
    lan.run(70000)
    assert lan.network(me).status == "ACCESS_DENIED"
    asked = []
    request = lan.network(me).enrolment.request
    lan.network(me).enrolment.request = lambda now: (asked.append(now), request(now))
    lan.run(600000)
    assert 9 <= len(asked) <= 11
    lan.controller.authorize(lan.wire.now, lan.nwid, me.identity.address)
    assert lan.joined(65000)


def test_what_is_said_one_way_does_not_look_like_silence():
    # A list of groups has no answer; the question that follows it is short.
    for options in PROFILES:
        lan, me, _ = quiet_lan(members=1, **options)
        greetings = []
        put = me.vl1.put

        def counted(now, endpoint, path, buf, start, length, verb):
            if verb == packet.HELLO and endpoint == lan.root.port.endpoint:
                greetings.append(now)
            return put(now, endpoint, path, buf, start, length, verb)

        me.vl1.put = counted
        lan.run(HOUR_MS)
        assert 15 <= len(greetings) <= 17
