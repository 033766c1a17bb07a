"""Requests and chunks, against the real implementation's (spec/vl2-config.md 2, 3, 7)."""

from mpcore import limits
from mpcore.vl1.identity import Identity
from mpcore.vl2 import config_text, dictionary, exchange
from mpcore.vl2.exchange import Assembly, Chunk
from tests.core.support import raises, vectors

_VECTORS = vectors("netconf.json")
_WHO = {i["name"]: Identity.from_text(i["secret_text"]) for i in _VECTORS["identities"]}
_CONTROLLER = _WHO["controller"]
_NETWORK = bytes.fromhex(_VECTORS["network"]["network_id"])


def _hex(text):
    return bytes.fromhex(text)


def test_request():
    for case in _VECTORS["config_requests"]:
        payload = _hex(case["payload"])
        fields = {name: value for name, _, _, value in case["fields"]}
        network_id, said = exchange.parse_request(payload, 0, len(payload))
        assert network_id == _NETWORK
        assert said[b"o"] == b"linux/x86_64" and dictionary.integer(said[b"majv"]) == 1
        text = exchange.metadata((1, 14, 1), b"linux/x86_64")
        # all but the vendor, which is the reference's own
        assert text.replace(b"vend=0000000000000000", b"vend=0000000000000001") == \
            _hex(fields["metadata"])
        built = exchange.build_request(_NETWORK, _hex(fields["metadata"]),
                                     int(fields["have_revision"]), int(fields["have_timestamp"]))
        assert built == payload


def test_request_with_a_join_credential():
    text = exchange.metadata((1, 2, 3), join_credential=b"token:a=b")
    payload = exchange.build_request(_NETWORK, text)
    assert exchange.parse_request(payload, 0, len(payload))[1][b"a"] == b"token:a=b"


def test_malformed_requests():
    payload = exchange.build_request(_NETWORK, exchange.metadata((1, 14, 1)))
    end = len(payload) - 17
    raises(ValueError, exchange.parse_request, payload, 0, end)
    raises(ValueError, exchange.parse_request, payload, 0, 9)
    long = exchange.build_request(_NETWORK, b"a=" + b"x" * limits.METADATA_BYTES)
    raises(ValueError, exchange.parse_request, long, 0, len(long))


def test_errors():
    for case in _VECTORS["config_errors"]:
        payload = _hex(case["payload"])
        network_id, details = exchange.parse_error(payload, 10, len(payload))
        assert network_id == _NETWORK
        if len(payload) > 18:
            assert dictionary.integer(details[b"aV"]) == 0
            assert details[b"aU"] == b"https://login.example.net/?a=b"
        else:
            assert details == {}
    raises(ValueError, exchange.parse_error, bytes(7), 0, 7)


def _bodies(case):
    for packet in case["packets"]:
        payload = _hex(packet["payload"])
        at = 9 if case["kind"][:2] == "OK" else 0
        assert packet["signed_from"] == at
        yield packet, Chunk.from_bytes(payload, at, len(payload))


def test_sent_configs_assemble_and_are_signed_alike():
    texts = {c["name"]: _hex(c["dictionary"]) for c in _VECTORS["configs"]}
    for case in _VECTORS["sent_configs"]:
        assembly = Assembly()
        chunks = []
        for packet, chunk in _bodies(case):
            assert chunk.update_id.hex() == packet["update_id"]
            assert (len(chunk.data), chunk.index, chunk.total) == (
                packet["chunk_length"], packet["chunk_index"], packet["total_length"])
            assert assembly.take(chunk.update_id) is None
            assert assembly.add(chunk, b"aaaaa", _CONTROLLER)
            chunks.append(chunk)
        text = texts[case["config"]]
        assert assembly.take(chunk.update_id) == text
        again = exchange.split(_NETWORK, text, chunk.update_id, _CONTROLLER)
        assert again == [chunk.body for chunk in chunks]


def test_chunk_assembly():
    for case in _VECTORS["chunk_assembly"]:
        assembly = Assembly()
        for step in case["steps"]:
            payload = _hex(step["payload"])
            text = None
            try:
                chunk = Chunk.from_bytes(payload, 0, len(payload))
                assembly.add(chunk, _hex(step["from"]), _CONTROLLER)
                text = assembly.take(chunk.update_id)
            except ValueError:
                pass
            # an update that was complete already is not given out again
            assert (text is not None) <= (step["completed_update_id"] is not None), case["note"]
            if step["has_config_after"] and text:
                assert config_text.read(text).network_id == _NETWORK
        completed = [s for s in case["steps"] if s["completed_update_id"]]
        if completed:
            assert text is not None or completed[-1] is not case["steps"][-1], case["note"]


def _chunks(text=b"x" * 20000, update_id=b"updateid", total=None):
    bodies = exchange.split(_NETWORK, text, update_id, _CONTROLLER)
    return [Chunk.from_bytes(b, 0, len(b)) for b in bodies]


def test_duplicates_are_known_even_after_the_end():
    assembly = Assembly()
    chunks = _chunks()
    assert [assembly.add(c, b"aaaaa", _CONTROLLER) for c in chunks] == [True] * 3
    assert assembly.take(b"updateid") == b"x" * 20000
    assert assembly.take(b"updateid") is None
    assert [assembly.add(c, b"aaaaa", _CONTROLLER) for c in chunks] == [False] * 3


def test_a_fourth_update_takes_the_oldest_place():
    assembly = Assembly()
    updates = [_chunks(update_id=b"update_" + bytes((i,))) for i in range(4)]
    for update in updates:
        assembly.add(update[0], b"aaaaa", _CONTROLLER)
    for update in updates[1:]:
        for chunk in update[1:]:
            assert assembly.add(chunk, b"aaaaa", _CONTROLLER)
        assert assembly.take(update[0].update_id) == b"x" * 20000
    for chunk in updates[0][1:]:
        assert assembly.add(chunk, b"aaaaa", _CONTROLLER)
    assert assembly.take(updates[0][0].update_id) is None


def test_too_large_a_config_is_refused_with_its_size():
    chunk = _chunks(b"y" * 20000)[0]
    error = raises(ValueError, Assembly(19999).add, chunk, b"aaaaa", _CONTROLLER)
    assert "20000" in str(error)
    assert Assembly(20000).add(chunk, b"aaaaa", _CONTROLLER)


def test_overlapping_chunks_are_refused():
    def signed(data, index, total):
        body = (_NETWORK + len(data).to_bytes(2, "big") + data + b"\0updateid"
                + total.to_bytes(4, "big") + index.to_bytes(4, "big"))
        body += b"\1\0\x60" + _CONTROLLER.sign(body)
        return Chunk.from_bytes(body, 0, len(body))

    assembly = Assembly()
    assembly.add(signed(b"aaaa", 0, 10), b"aaaaa", _CONTROLLER)
    assembly.add(signed(b"bbbb", 3, 10), b"aaaaa", _CONTROLLER)
    raises(ValueError, assembly.add, signed(b"dddd", 6, 10), b"aaaaa", _CONTROLLER)
    raises(ValueError, assembly.add, signed(b"dd", 8, 11), b"aaaaa", _CONTROLLER)
    assembly.add(signed(b"dd", 8, 10), b"aaaaa", _CONTROLLER)
    raises(ValueError, assembly.take, b"updateid")
    raises(ValueError, signed, b"cccc", 8, 10)


def test_only_the_networks_own_controller_may_sign():
    body = exchange.split(_NETWORK, b"text", b"updateid", _WHO["m0"])[0]
    chunk = Chunk.from_bytes(body, 0, len(body))
    raises(ValueError, Assembly().add, chunk, b"aaaaa", _CONTROLLER)
    raises(ValueError, Assembly().add, chunk, b"aaaaa", _WHO["m0"])
