"""Any bytes at all as the content of every VL2 verb: a counted drop at worst."""

from hypothesis import given, settings, strategies as st

from mpcore import limits
from mpcore.vl1 import packet
from mpcore.vl2 import multicast

from tests.core.vl2_scene import (ANNE, BOB, CONTROLLER, ME, NWID, ROOT, Scene, body, com, config)

RULES = bytes.fromhex("29081000000000000000" "0100" "2c080000000700000000" "0100" "0500")
SEED = settings(derandomize=True, deadline=None, max_examples=250)

genuine = st.sampled_from([
    com(ANNE).raw, body(config(name=b"other")), body(config(name=b"other"))[8:],
    multicast.gather(NWID + bytes(10), 3, com(ANNE).raw)[8:], ANNE.address, bytes(4), b"\1", b"\x07",
    b"\xff" * 6, b"\0\0\0\1", b"\x45" + bytes(19), b"\x60" + bytes(39)])
contents = st.one_of(
    st.binary(max_size=200),
    st.lists(genuine | st.binary(max_size=12), max_size=5).map(b"".join),
    st.builds(lambda base, at, value: base[:at] + bytes((value,)) + base[at + 1:],
              genuine, st.integers(0, 400), st.integers(0, 255)))
prefixes = st.sampled_from([b"", NWID, NWID, NWID])
senders = st.sampled_from([ANNE, BOB, CONTROLLER, ROOT])
verbs = st.sampled_from([packet.FRAME, packet.EXT_FRAME, packet.MULTICAST_FRAME,
                         packet.MULTICAST_LIKE, packet.MULTICAST_GATHER,
                         packet.NETWORK_CREDENTIALS, packet.NETWORK_CONFIG])
answered = st.sampled_from([packet.NETWORK_CONFIG_REQUEST, packet.MULTICAST_GATHER,
                            packet.MULTICAST_FRAME])
refused = st.sampled_from([packet.NETWORK_CONFIG_REQUEST, packet.FRAME, packet.EXT_FRAME,
                           packet.MULTICAST_FRAME])
events = st.one_of(
    st.tuples(st.just("verb"), senders, verbs, prefixes, contents),
    st.tuples(st.just("ok"), senders, answered, prefixes, contents),
    st.tuples(st.just("error"), senders, refused, prefixes, contents, st.integers(0, 10)),
    st.tuples(st.just("send"), st.binary(min_size=6, max_size=6) | st.just(b"\xff" * 6),
              st.sampled_from([0x0800, 0x0806, 0x86DD]), contents))


def play(scene, story):
    now = 10
    for kind, *event in story:
        now += 400
        if kind == "send":
            scene.transmit(now, *event)
        elif kind == "error":
            who, verb, prefix, content, code = event
            scene.vl1.inject_error(now, who, verb, code, prefix + content)
        else:
            who, verb, prefix, content = event
            inject = scene.vl1.inject_ok if kind == "ok" else scene.vl1.inject
            inject(now, who, verb, prefix + content)
    scene.run(now, now + 6000)


def check_bounds(scene):
    network = scene.network
    assert len(scene.vl2.held) <= limits.HELD_FRAMES
    assert len(network.membership.members) <= limits.PEERS
    assert len(network._outbound._held) <= limits.PENDING_MULTICASTS
    assert len(network._behind) <= limits.BRIDGE_ROUTES
    for sent in scene.vl1.sent:
        assert len(sent.payload) <= limits.MAX_PACKET - packet.HEADER


@SEED
@given(st.lists(events, min_size=1, max_size=8))
def test_a_private_network_survives_any_packets(story):
    scene = Scene().configured(rules=RULES)
    play(scene, story)
    check_bounds(scene)
    for source_mac, _, _, _ in scene.frames:
        assert source_mac != bytes(6)


@SEED
@given(st.lists(events, min_size=1, max_size=8))
def test_a_public_network_with_bridges_survives_any_packets(story):
    scene = Scene().configured(public=True, flags=0x0E, specialists=[(ANNE.address, 6)])
    play(scene, story)
    check_bounds(scene)


@SEED
@given(st.lists(events, min_size=1, max_size=8))
def test_a_network_without_a_config_survives_any_packets(story):
    scene = Scene()
    play(scene, story)
    config_ = scene.network.config
    assert config_ is None or config_.issued_to == ME.address


@SEED
@given(st.lists(st.tuples(st.just("verb"), st.sampled_from([ANNE, BOB]),
                          st.sampled_from([packet.FRAME, packet.EXT_FRAME,
                                           packet.MULTICAST_FRAME]),
                          st.just(NWID), st.binary(max_size=60)), max_size=6))
def test_nothing_unauthorised_is_ever_delivered(story):
    scene = Scene().configured()
    play(scene, story)
    assert scene.frames == [] and scene.vl1.trusted == []
