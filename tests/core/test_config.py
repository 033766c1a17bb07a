"""Configs, requests and chunks, against the real implementation's (spec/vl2-config.md)."""

from mpcore import limits
from mpcore.vl1 import inet
from mpcore.vl1.identity import Identity
from mpcore.vl2 import config, dictionary
from mpcore.vl2.config import Assembly, Chunk, NetworkConfig
from mpcore.vl2.credentials import COM, Capability, Ownership, Tag
from support import raises, vectors

_VECTORS = vectors("netconf.json")
_WHO = {i["name"]: Identity.from_text(i["secret_text"]) for i in _VECTORS["identities"]}
_CONTROLLER = _WHO["controller"]
_NETWORK = bytes.fromhex(_VECTORS["network"]["network_id"])


def _hex(text):
    return bytes.fromhex(text)


def _with_prefix(text):
    ip, prefix = text.split("/")
    return inet.ip_parse(ip), int(prefix)


def _check(read, case, mtu=None):
    """Compare a NetworkConfig with the description of a vector."""
    assert read.network_id.hex() == case["network_id"]
    assert read.timestamp == int(case["timestamp"])
    assert read.credential_max_delta == int(case["credential_time_max_delta"])
    assert read.revision == int(case["revision"])
    assert read.issued_to.hex() == case["issued_to"]
    assert read.trace_target.hex() == case["remote_trace_target"]
    assert read.trace_level == case["remote_trace_level"]
    assert read.flags == int(case["flags"], 16)
    assert read.multicast_limit == case["multicast_limit"]
    assert read.public == (case["type"] == "public")
    assert read.name.hex() == case["name"]
    assert read.mtu == (mtu or case["mtu"])
    assert list(read.static_ips) == [_with_prefix(ip) for ip in case["static_ips"]]
    assert list(read.routes) == [
        _with_prefix(r["target"]) + (_with_prefix(r["via"])[0] if r["via"] else None,
                                     r["flags"], r["metric"]) for r in case["routes"]]
    assert ["%06x" % roles + address.hex() for address, roles in read.specialists] == \
        case["specialists"]
    assert [c.raw.hex() for c in read.capabilities] == case["capabilities"]
    assert [t.raw.hex() for t in read.tags] == case["tags"]
    assert [o.raw.hex() for o in read.ownerships] == case["certificates_of_ownership"]
    assert (read.com and read.com.raw.hex()) == case["com"]
    assert read.dns_domain.decode() == case["dns"]["domain"]
    assert list(read.dns_servers) == [_with_prefix(s)[0] for s in case["dns"]["servers"] if s]
    assert read.sso_version == case["sso_version"]
    assert read.sso_enabled == case["sso_enabled"]
    for name, key in (("authentication_url", b"aurl"), ("issuer_url", b"iurl"),
                      ("central_url", b"ssoce"), ("nonce", b"sson"), ("state", b"ssos"),
                      ("client_id", b"ssocid"), ("provider", b"ssop")):
        if name in case:
            assert read.sso[key].decode() == case[name]
    if "authentication_expiry" in case:
        assert dictionary.integer(read.sso[b"aexpt"]) == int(case["authentication_expiry"])


def test_configs_read_and_write():
    for case in _VECTORS["configs"]:
        text = _hex(case["dictionary"])
        read = NetworkConfig.from_dictionary(text)
        differs = case.get("differs_when_read_back", {})
        _check(read, case["config"], differs.get("mtu"))
        if "mtu" in differs:
            read.mtu = case["config"]["mtu"]
        assert read.to_dictionary() == text, case["name"]


def test_config_parsing():
    for case in _VECTORS["config_parsing"]:
        text = _hex(case["dictionary"])
        if case["ok"]:
            _check(NetworkConfig.from_dictionary(text), case["config"])
        else:
            raises(ValueError, NetworkConfig.from_dictionary, text)


def test_rules_are_kept_as_they_are():
    for case in _VECTORS["configs"]:
        if "rules" in case["config"]:
            read = NetworkConfig.from_dictionary(_hex(case["dictionary"]))
            at = count = 0
            while at < len(read.rules):
                assert read.rules[at] == case["config"]["rules"][count]["t"]
                at += 2 + read.rules[at + 1]
                count += 1
            assert count == len(case["config"]["rules"])


def test_specialists_by_role():
    made = NetworkConfig(_NETWORK, b"mmmmm")
    made.specialists = [(b"aaaaa", 0x0A), (b"bbbbb", 0x04), (b"ccccc", 0)]
    assert made.specialists_as(config.ACTIVE_BRIDGE) == [b"aaaaa"]
    assert made.specialists_as(config.REPLICATOR) == [b"aaaaa"]
    assert made.specialists_as(config.ANCHOR) == [b"bbbbb"]


def test_more_than_the_field_takes_is_cut_off():
    made = NetworkConfig(_NETWORK, b"mmmmm")
    made.static_ips = [(bytes((10, 0, 0, i)), 24) for i in range(40)]
    made.routes = [(bytes((10, 0, i, 0)), 24, None, 0, 0) for i in range(140)]
    made.specialists = [(b"aaaa" + bytes((i & 255,)), 2) for i in range(300)]
    made.ownerships = [Ownership.issue(_CONTROLLER, _NETWORK, 1, 1, [], b"mmmmm")] * 6
    made.name = b"n" * 200
    read = NetworkConfig.from_dictionary(made.to_dictionary())
    assert list(read.static_ips) == made.static_ips[:32]
    assert list(read.routes) == made.routes[:128]
    assert list(read.specialists) == made.specialists[:256]
    assert len(read.ownerships) == 4
    assert read.name == b"n" * 127


def test_impossible_prefixes_are_left_out():
    made = NetworkConfig(_NETWORK, b"mmmmm")
    made.static_ips = [(b"\x0a\0\0\1", 33), (b"\x0a\0\0\2", 32)]
    made.routes = [(b"\x0a\0\0\0", 99, None, 0, 0), (bytes(16), 0, None, 0, 0)]
    read = NetworkConfig.from_dictionary(made.to_dictionary())
    assert read.static_ips == [(b"\x0a\0\0\2", 32)]
    assert read.routes == [(bytes(16), 0, None, 0, 0)]


def test_request():
    for case in _VECTORS["config_requests"]:
        payload = _hex(case["payload"])
        fields = {name: value for name, _, _, value in case["fields"]}
        network_id, said = config.parse_request(payload, 0, len(payload))
        assert network_id == _NETWORK
        assert said[b"o"] == b"linux/x86_64" and dictionary.integer(said[b"majv"]) == 1
        text = config.metadata((1, 14, 1), b"linux/x86_64")
        # all but the vendor, which is the reference's own
        assert text.replace(b"vend=0000000000000000", b"vend=0000000000000001") == \
            _hex(fields["metadata"])
        built = config.build_request(_NETWORK, _hex(fields["metadata"]),
                                     int(fields["have_revision"]), int(fields["have_timestamp"]))
        assert built == payload


def test_request_with_a_join_credential():
    text = config.metadata((1, 2, 3), join_credential=b"token:a=b")
    payload = config.build_request(_NETWORK, text)
    assert config.parse_request(payload, 0, len(payload))[1][b"a"] == b"token:a=b"


def test_malformed_requests():
    payload = config.build_request(_NETWORK, config.metadata((1, 14, 1)))
    end = len(payload) - 17
    raises(ValueError, config.parse_request, payload, 0, end)
    raises(ValueError, config.parse_request, payload, 0, 9)
    long = config.build_request(_NETWORK, b"a=" + b"x" * limits.METADATA_BYTES)
    raises(ValueError, config.parse_request, long, 0, len(long))


def test_errors():
    for case in _VECTORS["config_errors"]:
        payload = _hex(case["payload"])
        network_id, details = config.parse_error(payload, 10, len(payload))
        assert network_id == _NETWORK
        if len(payload) > 18:
            assert dictionary.integer(details[b"aV"]) == 0
            assert details[b"aU"] == b"https://login.example.net/?a=b"
        else:
            assert details == {}
    raises(ValueError, config.parse_error, bytes(7), 0, 7)


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
        again = config.split(_NETWORK, text, chunk.update_id, _CONTROLLER)
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
                assert NetworkConfig.from_dictionary(text).network_id == _NETWORK
        completed = [s for s in case["steps"] if s["completed_update_id"]]
        if completed:
            assert text is not None or completed[-1] is not case["steps"][-1], case["note"]


def _chunks(text=b"x" * 20000, update_id=b"updateid", total=None):
    bodies = config.split(_NETWORK, text, update_id, _CONTROLLER)
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
    body = config.split(_NETWORK, b"text", b"updateid", _WHO["m0"])[0]
    chunk = Chunk.from_bytes(body, 0, len(body))
    raises(ValueError, Assembly().add, chunk, b"aaaaa", _CONTROLLER)
    raises(ValueError, Assembly().add, chunk, b"aaaaa", _WHO["m0"])


def test_a_config_with_credentials_reads_back():
    member = _WHO["m0"]
    made = NetworkConfig(_NETWORK, member.address)
    made.com = COM.issue(_CONTROLLER, _NETWORK, 5000, 1800000, member)
    made.tags = [Tag.issue(_CONTROLLER, _NETWORK, 5000, i, i, member.address) for i in (1, 2)]
    made.capabilities = [Capability.issue(_CONTROLLER, _NETWORK, 5000, 1, b"\1\0", 1,
                                          member.address)]
    read = NetworkConfig.from_dictionary(made.to_dictionary())
    assert read.com.verify(_CONTROLLER) and read.com.raw == made.com.raw
    assert [tag.verify(_CONTROLLER) for tag in read.tags] == [True, True]
    assert read.capabilities[0].verify(_CONTROLLER)
