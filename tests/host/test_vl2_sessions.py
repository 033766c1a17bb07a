"""Whole sessions of the real implementation: what it sent is read and written the same again. Our
node takes the places of theirs in tests/core/test_session_replay.py."""

from mpcore.vl1.identity import Identity
from mpcore.vl2 import config_text, credentials, exchange, multicast, rules

from tests.core.support import vectors

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
        assert multicast.gather(key, limit, com.raw if com else b"") == payload


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
            parsed = rules.parse(config_text.read(chunk.data).rules)
            assert parsed and rules.unsupported(parsed) is None
            whole += 1
    assert whole
