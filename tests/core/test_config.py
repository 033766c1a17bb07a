"""Configs, requests and chunks, against the real implementation's (spec/vl2-config.md)."""

from mpcore.vl1 import inet
from mpcore.vl1.identity import Identity
from mpcore.vl2 import config, config_text, dictionary
from mpcore.vl2.config import NetworkConfig
from mpcore.vl2.credentials import COM, Capability, Ownership, Tag
from tests.core.support import raises, vectors

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
        read = config_text.read(text)
        differs = case.get("differs_when_read_back", {})
        _check(read, case["config"], differs.get("mtu"))
        if "mtu" in differs:
            read.mtu = case["config"]["mtu"]
        assert config_text.write(read) == text, case["name"]


def test_config_parsing():
    for case in _VECTORS["config_parsing"]:
        text = _hex(case["dictionary"])
        if case["ok"]:
            _check(config_text.read(text), case["config"])
        else:
            raises(ValueError, config_text.read, text)


def test_rules_are_kept_as_they_are():
    for case in _VECTORS["configs"]:
        if "rules" in case["config"]:
            read = config_text.read(_hex(case["dictionary"]))
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
    read = config_text.read(config_text.write(made))
    assert list(read.static_ips) == made.static_ips[:32]
    assert list(read.routes) == made.routes[:128]
    assert list(read.specialists) == made.specialists[:256]
    assert len(read.ownerships) == 4
    assert read.name == b"n" * 127


def test_impossible_prefixes_are_left_out():
    made = NetworkConfig(_NETWORK, b"mmmmm")
    made.static_ips = [(b"\x0a\0\0\1", 33), (b"\x0a\0\0\2", 32)]
    made.routes = [(b"\x0a\0\0\0", 99, None, 0, 0), (bytes(16), 0, None, 0, 0)]
    read = config_text.read(config_text.write(made))
    assert read.static_ips == [(b"\x0a\0\0\2", 32)]
    assert read.routes == [(bytes(16), 0, None, 0, 0)]


def test_a_config_with_credentials_reads_back():
    member = _WHO["m0"]
    made = NetworkConfig(_NETWORK, member.address)
    made.com = COM.issue(_CONTROLLER, _NETWORK, 5000, 1800000, member)
    made.tags = [Tag.issue(_CONTROLLER, _NETWORK, 5000, i, i, member.address) for i in (1, 2)]
    made.capabilities = [Capability.issue(_CONTROLLER, _NETWORK, 5000, 1, b"\1\0", 1,
                                          member.address)]
    read = config_text.read(config_text.write(made))
    assert read.com.verify(_CONTROLLER) and read.com.raw == made.com.raw
    assert [tag.verify(_CONTROLLER) for tag in read.tags] == [True, True]
    assert read.capabilities[0].verify(_CONTROLLER)
