"""Whatever bytes come in, the readers of configs and credentials answer or raise ValueError."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpcore import limits
from mpcore.roles import records
from mpcore.roles.rules_json import compile_rules
from mpcore.vl2 import config_text, credentials, dictionary, exchange
from mpcore.vl2.credentials import COM, Capability, Ownership, Revocation, Tag

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "netconf.json").read_text())
KINDS = {COM: "coms", Tag: "tags", Capability: "capabilities",
         Ownership: "certificates_of_ownership", Revocation: "revocations"}
WHOLE = [bytes.fromhex(case["bytes"]) for key in KINDS.values() for case in VECTORS[key]]
DICTIONARIES = [bytes.fromhex(case["dictionary"]) for case in VECTORS["configs"]]
BODIES = [bytes.fromhex(step["payload"]) for case in VECTORS["chunk_assembly"]
          for step in case["steps"]]

pairs = st.lists(st.tuples(
    st.binary(min_size=1, max_size=6).filter(lambda key: not set(key) & set(b"\0\r\n=")),
    st.binary(max_size=40)), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner,
                                                                max_size=3), max_leaves=8)


def quick(function):
    return settings(derandomize=True, deadline=None, max_examples=150)(function)


@st.composite
def damaged(draw, originals):
    """One of some real messages, cut and with a few bytes changed."""
    raw = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(0, 3))):
        if raw:
            raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
    return bytes(raw[:draw(st.integers(0, len(raw)))]) if draw(st.booleans()) else bytes(raw)


def only_value_error(function, *args):
    try:
        return function(*args)
    except ValueError:
        return None


@quick
@given(st.binary(max_size=300) | damaged(DICTIONARIES))
def test_dictionaries_and_configs(text):
    entries = only_value_error(dictionary.decode, text)
    assert entries is None or len(entries) <= limits.DICTIONARY_ENTRIES
    for value in (entries or {}).values():
        assert 0 <= dictionary.integer(value) < 1 << 64
        assert dictionary.boolean(value) in (True, False)
    config = only_value_error(config_text.read, text)
    if config is not None:
        again = config_text.read(config_text.write(config))
        assert config_text.write(again) == config_text.write(config)


@quick
@given(pairs)
def test_dictionaries_read_back(entries):
    first = {}
    for key, value in entries:
        first.setdefault(key, value)
    assert dictionary.decode(dictionary.encode(entries)) == first


@quick
@given(st.sampled_from(sorted(KINDS, key=str)), st.binary(max_size=300) | damaged(WHOLE))
def test_credentials(kind, raw):
    found = only_value_error(kind.from_bytes, raw)
    if found is not None:
        credential, length = found
        assert credential.raw == raw[:length]
        assert len(credential.issued_to) == 5 and len(credential.network_id) == 8


@quick
@given(damaged([b"".join(WHOLE[:3]) + b"\0" + bytes(8)]) | st.binary(max_size=300),
       st.integers(0, 5))
def test_credential_packets(payload, at):
    buf = bytes(at) + payload
    for credential in only_value_error(credentials.unpack, buf, at, len(buf)) or ():
        assert credential.raw in payload


@quick
@given(st.binary(max_size=200) | damaged(BODIES))
def test_requests_errors_and_chunks(payload):
    only_value_error(exchange.parse_request, payload, 0, len(payload))
    only_value_error(exchange.parse_error, payload, 0, len(payload))
    chunk = only_value_error(exchange.Chunk.from_bytes, payload, 0, len(payload))
    if chunk is not None:
        assert chunk.index + len(chunk.data) <= chunk.total


@quick
@given(json_values)
def test_records_and_rules(value):
    only_value_error(compile_rules, value, 64)
    only_value_error(compile_rules, [value], 64)
    only_value_error(compile_rules, [{"type": "ACTION_TEE", "address": value}], 64)
    network = records.new_network(bytes(8), 0)
    member = records.new_member(bytes(8), bytes(5), 0)
    only_value_error(records.update_network, network, value)
    for name in network:
        updated = only_value_error(records.update_network, network, {name: value})
        assert updated is None or json.loads(json.dumps(updated)) == updated
    for name in member:
        updated = only_value_error(records.update_member, member, {name: value}, 1)
        assert updated is None or json.loads(json.dumps(updated)) == updated


@pytest.mark.parametrize("entries", [limits.DICTIONARY_ENTRIES, limits.DICTIONARY_ENTRIES + 1])
def test_dictionaries_are_bounded(entries):
    text = dictionary.encode([(b"k%d" % i, b"v") for i in range(entries)])
    if entries > limits.DICTIONARY_ENTRIES:
        pytest.raises(ValueError, dictionary.decode, text)
    else:
        assert len(dictionary.decode(text)) == entries
