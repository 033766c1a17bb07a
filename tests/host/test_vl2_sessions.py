"""Whole sessions of the real implementation: what it sent is read and written the same again,
and when we take a member's place, we send and deliver what it did."""

import pytest

from mpcore.vl1 import packet
from mpcore.vl1.identity import Identity
from mpcore.vl2 import credentials, exchange, multicast, rules
from mpcore.vl2.config import NetworkConfig
from mpcore.vl2.vl2 import VL2

from tests.core.support import vectors
from tests.core.vl2_scene import FakeVL1

SESSIONS = ("lan", "relay", "nat", "ipv6_large", "access", "extras", "real_processes")




def of_verb(verb, in_re=None):
    """Payloads of all packets with this verb, of which there must be some."""
    found = []
    for session in SESSIONS:
        for datagram in vectors("sessions/%s.json" % session)["datagrams"]:
            packet = datagram.get("packet", {})
            if packet.get("verb") == verb and packet.get("in_re_verb") == in_re:
                if "payload" in packet:
                    found.append(bytes.fromhex(packet["payload"]))
    assert found
    return found


def test_likes():
    for payload in of_verb("MULTICAST_LIKE"):
        keys = multicast.parse_likes(payload, 0, len(payload))
        assert b"".join(keys) == payload
        if len({key[:8] for key in keys}) == 1:
            assert b"".join(multicast.likes(keys[0][:8], [key[8:] for key in keys])) == payload


def test_gathers():
    for payload in of_verb("MULTICAST_GATHER"):
        key, limit, com = multicast.parse_gather(payload, 0, len(payload))
        assert multicast.gather(key, limit, com) == payload


def test_answers_to_gathers():
    for payload in of_verb("OK", "MULTICAST_GATHER"):
        key, addresses = multicast.parse_gathered(payload, 9, len(payload))
        assert addresses and payload.endswith(b"".join(addresses))


def test_answers_to_multicast_frames():
    for payload in of_verb("OK", "MULTICAST_FRAME"):
        key, addresses = multicast.parse_frame_answer(payload, 9, len(payload))
        gathered = payload[9 + 19:]
        assert multicast.frame_answer(key, gathered) == payload[9:]
        assert addresses and gathered[6:] == b"".join(addresses)


def test_multicast_frames():
    ordinary = 0
    for payload in of_verb("MULTICAST_FRAME"):
        com, limit, source, group, ethertype, at = multicast.parse_frame(payload, 0, len(payload))
        assert com is None
        if source is None:
            key = payload[:8] + group
            assert multicast.frame(key, limit, ethertype, payload[at:]) == payload
            ordinary += 1
    assert ordinary


def test_credentials():
    known = {}
    for session in SESSIONS:
        for node in vectors("sessions/%s.json" % session)["nodes"]:
            known[node["address"]] = Identity.from_text(node["secret_text"])
    for payload in of_verb("NETWORK_CREDENTIALS"):
        found = credentials.unpack(payload, 0, len(payload))
        assert found
        for credential in found:
            assert credential.verify(known[credential.network_id[:5].hex()])
        kinds = [[c for c in found if c.TYPE == kind] for kind in (1, 2, 3, 6, 4)]
        assert credentials.pack(*kinds) == payload


def test_configs():
    whole = 0
    for payload in of_verb("OK", "NETWORK_CONFIG_REQUEST"):
        chunk = exchange.Chunk.from_bytes(payload, 9, len(payload))
        if len(chunk.data) == chunk.total:
            parsed = rules.parse(NetworkConfig.from_dictionary(chunk.data).rules)
            assert parsed and rules.unsupported(parsed) is None
            whole += 1
    assert whole

# --- a member's place taken ------------------------------------------------------------------

NUMBERS = {name: getattr(packet, name) for name in (
    "FRAME", "EXT_FRAME", "MULTICAST_LIKE", "MULTICAST_GATHER", "MULTICAST_FRAME",
    "NETWORK_CREDENTIALS", "NETWORK_CONFIG", "NETWORK_CONFIG_REQUEST")}
FRAMES = ("FRAME", "EXT_FRAME", "MULTICAST_FRAME")


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


class Replay:
    """Our VL2 in the place of one member of a session: it hears what that one heard, and does
    what that one was told to do. What it sends goes nowhere."""

    def __init__(self, session, name):
        self.session = vectors("sessions/%s.json" % session)
        self.name = name
        nodes = {node["name"]: Identity.from_text(node["secret_text"])
                 for node in self.session["nodes"]}
        self.known = {identity.address: identity for identity in nodes.values()}
        self.me = nodes[name]
        self.vl1 = FakeVL1(self.me, nodes["root"])
        for identity in self.known.values():
            self.vl1.know(identity)
        self.vl2 = VL2(self.vl1, lambda name: None, lambda name, data: None)
        self.delivered = []
        self.play()

    def play(self):
        events = [(d["recv_ms"], 0, d) for d in self.session["datagrams"]
                  if d["to_node"] == self.name and d.get("delivered")]
        events += [(t["ms"], 1, t) for t in self.session["timeline"] if t["node"] == self.name]
        now = 0
        for at, kind, event in sorted(events, key=lambda e: e[:2]):
            while now < at:
                now = min(at, self.vl2.poll(now))
            (self.act if kind else self.hear)(at, event)

    def hear(self, now, datagram):
        found = datagram.get("packet", {})
        if "same_as" in found:
            found = dict(self.session["datagrams"][found["same_as"]]["packet"])
        if "payload" not in found or found["destination"] != self.me.address.hex():
            return
        payload = bytes.fromhex(found["payload"])
        sender = self.known[bytes.fromhex(found["source"])]
        verb, in_re = found["verb"], found.get("in_re_verb")
        if verb in NUMBERS:
            self.vl1.inject(now, sender, NUMBERS[verb], payload)
        elif verb == "OK" and in_re in ("NETWORK_CONFIG_REQUEST", "MULTICAST_GATHER",
                                        "MULTICAST_FRAME"):
            self.vl1.inject_ok(now, sender, NUMBERS[in_re], payload[9:])
        elif verb == "ERROR" and in_re in NUMBERS:
            self.vl1.inject_error(now, sender, NUMBERS[in_re], payload[9], payload[10:])

    def act(self, now, event):
        action, detail = event["action"], event.get("detail")
        if action == "join":
            network = self.vl2.join(now, bytes.fromhex(detail))
            network.on_frame = self.on_frame
        elif action == "leave":
            self.vl2.leave(now, bytes.fromhex(detail))
        elif action == "subscribe":
            mac, adi = detail.split("/")
            for network in self.vl2.networks.values():
                network.subscribe(now, mac_bytes(mac), int(adi).to_bytes(4, "big"))
        elif action == "virtual interface sends":
            network, = self.vl2.networks.values()
            if mac_bytes(detail["from"]) == network.mac:
                data = self.whole(detail["frame"])
                room = network.headroom
                network.transmit(now, mac_bytes(detail["to"]), int(detail["ethertype"], 16),
                                 bytearray(room) + data, room, len(data))

    def whole(self, frame):
        """A frame of the timeline, where long ones are cut: the rest is in what was sent."""
        start = frame.removesuffix("...")
        if start != frame:
            frame = next(payload[payload.index(start):] for verb in FRAMES
                         for _, payload in self.expected(verb) if start in payload)
        return bytes.fromhex(frame)

    def on_frame(self, now, source_mac, destination_mac, ethertype, buf, off, n):
        self.delivered.append((source_mac.hex(":"), destination_mac.hex(":"), "%04x" % ethertype,
                               bytes(buf[off:off + n]).hex()))

    def sent(self, verb):
        """[(to, payload)] that we sent."""
        return [(sent.to.hex(), sent.payload.hex()) for sent in self.vl1.sent
                if sent.verb == NUMBERS[verb]]

    def expected(self, verb):
        """The same of the real member; a packet on its way through a relay is one packet."""
        return [(d["packet"]["destination"], d["packet"]["payload"])
                for d in self.session["datagrams"] if d["from_node"] == self.name
                and d.get("packet", {}).get("verb") == verb and "payload" in d["packet"]
                and d["packet"]["source"] == self.me.address.hex()]


PLACES = [(session, name) for session in ("lan", "relay", "nat", "ipv6_large", "access", "extras")
          for name in ("a", "b")]
PLACES.remove(("extras", "a"))      # there a is a bridge and a replicator, which we never are


@pytest.mark.parametrize("session, name", PLACES)
def test_in_a_members_place(session, name):
    replay = Replay(session, name)
    real = [(f["from"], f["to"], f["ethertype"], f["frame"], f["length"])
            for f in replay.session["frames_to_virtual_interfaces"] if f["node"] == name]
    for mine, (*macs, frame, length) in zip(replay.delivered, real, strict=True):
        assert list(mine[:3]) == macs
        assert len(mine[3]) == 2 * length and mine[3].startswith(frame.removesuffix("..."))
    for verb in FRAMES:
        if (session, verb) != ("extras", "MULTICAST_FRAME"):    # it had a replicator do this
            assert replay.sent(verb) == replay.expected(verb)
    for verb in ("NETWORK_CREDENTIALS", "MULTICAST_GATHER"):
        assert set(replay.expected(verb)) <= set(replay.sent(verb))
