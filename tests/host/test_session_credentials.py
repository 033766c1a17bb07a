"""Configs and credentials as the real implementation exchanged them in whole sessions."""

import json
from pathlib import Path

import pytest

from mpcore.vl1.identity import Identity
from mpcore.vl2 import config_text, credentials, exchange

SESSIONS = sorted((Path(__file__).parent.parent / "vectors" / "sessions").glob("*.json"))


def payloads(session):
    """(verb, verb answered, payload) of every packet that a session shows in clear."""
    for datagram in session["datagrams"]:
        packet = datagram.get("packet", {})
        if "payload" in packet:
            yield (packet["verb"], packet.get("in_re_verb"), bytes.fromhex(packet["payload"]))


def read(path):
    session = json.loads(path.read_text())
    nodes = {node["name"]: Identity.from_text(node["secret_text"]) for node in session["nodes"]}
    return session, nodes[session["networks"][0]["controller"]]


@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
def test_credentials_verify_and_pack_alike(path):
    session, controller = read(path)
    seen = 0
    for verb, _, payload in payloads(session):
        if verb == "NETWORK_CREDENTIALS":
            found = credentials.unpack(payload, 0, len(payload))
            assert all(credential.verify(controller) for credential in found)
            by_type = {kind: [c for c in found if c.TYPE == kind] for kind in (1, 2, 3, 6, 4)}
            assert credentials.pack(*by_type.values()) == payload
            seen += len(found)
    assert seen >= 2


@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
def test_configs_assemble_and_are_written_alike(path):
    session, controller = read(path)
    assembly = exchange.Assembly()
    seen = 0
    for verb, answered, payload in payloads(session):
        at = {("NETWORK_CONFIG", None): 0, ("OK", "NETWORK_CONFIG_REQUEST"): 9}.get(
            (verb, answered))
        if at is None:
            continue
        chunk = exchange.Chunk.from_bytes(payload, at, len(payload))
        assembly.add(chunk, controller.address, controller)
        text = assembly.take(chunk.update_id)
        if text is not None:
            config = config_text.read(text)
            assert config_text.write(config) == text
            assert config.com.verify(controller)
            assert config.com.issued_to == config.issued_to
            assert exchange.split(config.network_id, text, chunk.update_id, controller)[-1] == \
                chunk.body
            seen += 1
    assert seen >= 2


@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
def test_requests_are_written_alike(path):
    session, _ = read(path)
    seen = 0
    for verb, _, payload in payloads(session):
        if verb == "NETWORK_CONFIG_REQUEST":
            network_id, said = exchange.parse_request(payload, 0, len(payload))
            assert network_id == payload[:8] and said[b"v"] == b"0000000000000007"
            length = int.from_bytes(payload[8:10], "big")
            revision = int.from_bytes(payload[10 + length:18 + length], "big")
            timestamp = int.from_bytes(payload[18 + length:], "big")
            assert exchange.build_request(network_id, payload[10:10 + length], revision,
                                          timestamp) == payload
            seen += 1
    assert seen >= 2
