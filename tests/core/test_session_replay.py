"""Our node in the place of each node of every recorded session: what it answers is what the others
would take, by the rules of the spec and by what the real node answered."""

import gc

from mpcore.vl1 import packet
from mpcore.vl2 import config_text, exchange, multicast

from tests.core.session_replay import Replay

FRAMES = ("FRAME", "EXT_FRAME", "MULTICAST_FRAME")
IDENTITY = 71


def number(verb):
    return getattr(packet, verb)


def answers(replay, found):
    """Bodies of our OKs to a recorded packet."""
    return [sent.body for sent in replay.sent if sent.verb == packet.OK
            and sent.quotes.hex() == found["packet_id"] and sent.to.hex() == found["source"]]


def real_answers(replay):
    """[(packet for us, body of the OK that the real node gave)]."""
    asked = {found["packet_id"]: found for _, _, found in replay.theirs()}
    for found in replay.ours("OK"):
        payload = bytes.fromhex(found["payload"])
        request = asked.get(payload[1:9].hex())
        if request is not None:
            yield request, payload[9:]


def same_answer(replay, request, mine, real):
    verb = request["verb"]
    if verb == "HELLO":
        # The time it told, a version of the protocol and of ours, and where it came from.
        assert mine[:8] == real[:8] and mine[8] == real[8] and mine[13:] == real[13:]
    elif verb == "WHOIS":
        assert sorted_pieces(mine, IDENTITY) == sorted_pieces(real, IDENTITY)
    elif verb == "MULTICAST_GATHER":
        assert addresses(multicast.parse_gathered, mine) == addresses(
            multicast.parse_gathered, real)
    elif verb == "MULTICAST_FRAME":
        assert addresses(multicast.parse_frame_answer, mine) == addresses(
            multicast.parse_frame_answer, real)
    elif verb != "NETWORK_CONFIG_REQUEST":      # see configs_are_good
        assert mine == real, verb


def sorted_pieces(data, size):
    return sorted([data[at:at + size] for at in range(0, len(data), size)])


def addresses(parse, body):
    key, found = parse(body, 0, len(body))
    return key, sorted(found)


def answers_alike(replay):
    compared = 0
    for request, real in real_answers(replay):
        if request["verb"] == "EXT_FRAME" and (replay.name, replay.place) == RULES_NOT_TOLD:
            continue
        mine = answers(replay, request)
        assert mine, "no answer to %s %s" % (request["verb"], request["packet_id"])
        same_answer(replay, request, mine[0], real)
        compared += 1
    return compared


def errors_alike(replay):
    """The same complaints to the same nodes; how often is for each to decide."""
    mine = set([(sent.to.hex(), sent.answers, sent.error) for sent in replay.sent
                if sent.verb == packet.ERROR])
    real = set([(found["destination"], number(found["in_re_verb"]),
                 bytes.fromhex(found["payload"])[9]) for found in replay.ours("ERROR")])
    assert mine == real, (mine, real)


def sends_alike(replay):
    """Frames one by one; of what is repeated in its own time, that all of it is sent."""
    for verb in FRAMES:
        real = [(found["destination"], found["payload"]) for found in replay.ours(verb)]
        mine = [(sent.to.hex(), sent.payload.hex()) for sent in replay.sent
                if sent.verb == number(verb)]
        assert mine == real, verb
    for verb in ("NETWORK_CREDENTIALS", "MULTICAST_GATHER", "RENDEZVOUS"):
        real = set([(found["destination"], found["payload"]) for found in replay.ours(verb)])
        mine = set([(sent.to.hex(), sent.payload.hex()) for sent in replay.sent
                    if sent.verb == number(verb)])
        assert real <= mine, (verb, real, mine)
    assert likes(replay, True) >= likes(replay, False)


def likes(replay, mine):
    """Announced groups, each with whom it was announced to."""
    if mine:
        found = [(sent.to.hex(), sent.payload) for sent in replay.sent
                 if sent.verb == packet.MULTICAST_LIKE]
    else:
        found = [(one["destination"], bytes.fromhex(one["payload"]))
                 for one in replay.ours("MULTICAST_LIKE")]
    return set([(to, payload[at:at + 18]) for to, payload in found
                for at in range(0, len(payload), 18)])


def frames_alike(replay):
    real = [(f["from"], f["to"], f["ethertype"], f["frame"], f["length"])
            for f in replay.session.get("frames_to_virtual_interfaces", ())
            if f["node"] == replay.place]
    assert len(replay.delivered) == len(real)
    for mine, (source, destination, ethertype, frame, length) in zip(replay.delivered, real):
        assert (hexed(mine[0]), hexed(mine[1]), "%04x" % mine[2]) == (source, destination,
                                                                      ethertype)
        whole = mine[3].hex()
        assert len(mine[3]) == length
        assert whole.startswith(frame[:-3] if frame.endswith("...") else frame)


def hexed(mac):
    return ":".join(["%02x" % byte for byte in mac])


def relays_alike(replay):
    """Datagrams that pass through a root leave it as they left the real one."""
    mine = replay.me.address.hex()
    real = [datagram["hex"] for datagram, found in replay.packets()
            if datagram["from_node"] == "root" and found["source"] != mine]
    assert [data.hex() for _, data in replay.relayed] == real
    return len(real)


def configs_are_good(replay):
    """What our controller issues verifies, is for who asked, and makes peace with what the real
    controller gave the others."""
    given = {}
    for sent in replay.sent:
        if sent.answers == packet.NETWORK_CONFIG_REQUEST and sent.verb == packet.OK:
            body = sent.body
        elif sent.verb == packet.NETWORK_CONFIG:
            body = sent.payload
        else:
            continue
        chunk = exchange.Chunk.from_bytes(body, 0, len(body))
        assert chunk.verify(replay.me)
        assembly = given.setdefault(sent.to, [exchange.Assembly(), None])
        assembly[0].add(chunk, replay.me.address, replay.me)
        text = assembly[0].take(chunk.update_id)
        if text is not None:
            config = config_text.read(text)
            assert config.network_id == replay.network_id and config.issued_to == sent.to
            assert config.com.verify(replay.me) and not config.public
            assembly[1] = config
    real = set([found["destination"] for found in replay.ours("OK")
                if found["in_re_verb"] == "NETWORK_CONFIG_REQUEST"])
    assert real <= set([to.hex() for to in given if given[to][1] is not None])
    configs = [config for _, config in given.values()]
    for one in configs:
        for other in configs:
            assert one.com.agrees(other.com, replay.by_address[other.issued_to])
    return len(configs)


# What depends on something that our node is not, or that the record leaves out.
BRIDGE_AND_REPLICATOR = ("extras", "a")
RULES_NOT_TOLD = ("extras", "controller")


def check_place(session, place):
    """Everything that holds for any place; returns its Replay and what was counted."""
    gc.collect()
    ours = Replay(session, place).run()
    compared = answers_alike(ours)
    errors_alike(ours)
    return ours, compared


def check_root(session):
    ours, compared = check_place(session, "root")
    sends_alike(ours)
    return compared + relays_alike(ours)


def check_controller(session):
    ours, compared = check_place(session, "controller")
    return compared + configs_are_good(ours)


def check_member(session, place):
    ours, compared = check_place(session, place)
    if (session, place) != BRIDGE_AND_REPLICATOR:
        sends_alike(ours)
        if "frames_to_virtual_interfaces" in ours.session:
            frames_alike(ours)
    return compared


SESSIONS = ("lan", "relay", "nat", "ipv6_large", "access", "extras", "real_processes")


def test_in_the_roots_place():
    assert [check_root(session) for session in SESSIONS] == [60, 44, 36, 35, 36, 40, 53]


def test_in_the_controllers_place():
    assert [check_controller(session) for session in SESSIONS] == [7, 7, 8, 7, 9, 20, 10]


def test_in_a_members_place():
    assert [check_member(session, "a") for session in SESSIONS] == [7, 4, 6, 5, 6, 10, 7]
    assert [check_member(session, "b") for session in SESSIONS] == [8, 1, 7, 4, 7, 11, 10]
