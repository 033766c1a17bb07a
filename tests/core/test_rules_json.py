"""Rules from JSON to bytes (spec/vl2-rules.md 8), and the checks of a controller's records."""

from mpcore.roles import records
from mpcore.roles.rules_json import compile_rules
from tests.core.support import raises

_NETWORK = bytes.fromhex("e77cecac115881ef")


def _compiled(*rules):
    return compile_rules(list(rules), 64).hex()


def test_the_examples_of_the_spec():
    assert _compiled({"type": "MATCH_IP_PROTOCOL", "ipProtocol": 1},
                     {"type": "ACTION_TEE", "address": "e77cecac11", "length": 64}) == \
        "240101" "020e000000e77cecac11000000000040"
    assert _compiled({"type": "MATCH_IP_PROTOCOL", "ipProtocol": 17},
                     {"type": "ACTION_WATCH", "address": "ea88ee793a"}) == \
        "240111" "030e000000ea88ee793a000000000000"
    assert _compiled({"type": "MATCH_IP_DEST_PORT_RANGE", "start": 7000, "end": 7010},
                     {"type": "ACTION_REDIRECT", "address": "e77cecac11"}) == \
        "28041b581b62" "040e000000e77cecac11000000000000"
    assert _compiled({"type": "MATCH_ETHERTYPE", "etherType": 34525, "not": True},
                     {"type": "MATCH_TAGS_DIFFERENCE", "id": 1000, "value": 5, "or": True},
                     {"type": "ACTION_ACCEPT"}) == \
        "a50286dd" "6c08000003e800000005" "0100"
    assert _compiled({"type": "ACTION_BREAK"}, {"type": "ACTION_DROP"}) == "0500" "0000"


def test_other_matches():
    for rule, expected in (
            ({"type": "MATCH_SOURCE_ZEROTIER_ADDRESS", "zt": "0102030405"}, "18050102030405"),
            ({"type": "MATCH_MAC_DEST", "mac": "aa:bb:cc:dd:ee:ff"}, "1e06aabbccddeeff"),
            ({"type": "MATCH_IPV4_SOURCE", "ip": "10.0.0.0/8"}, "1f050a00000008"),
            ({"type": "MATCH_IPV6_DEST", "ip": "fd00::/8"}, "2211fd" + "00" * 15 + "08"),
            ({"type": "MATCH_IP_TOS", "mask": 252, "start": 8, "end": 40}, "2303fc0828"),
            ({"type": "MATCH_ICMP", "icmpType": 8, "icmpCode": 0}, "2603080001"),
            ({"type": "MATCH_ICMP", "icmpType": 8, "icmpCode": None}, "2603080000"),
            ({"type": "MATCH_IP_DEST_PORT_RANGE", "start": 22}, "280400160016"),
            ({"type": "MATCH_CHARACTERISTICS", "mask": "0000000000000002"},
             "29080000000000000002"),
            ({"type": "MATCH_CHARACTERISTICS", "mask": 2}, "29080000000000000002"),
            ({"type": "MATCH_RANDOM", "probability": 4294967295}, "2b04ffffffff")):
        assert _compiled(rule) == expected, rule


def test_wrong_rules_are_named():
    for rule in ({"type": "MATCH_NOTHING"}, {"type": "MATCH_ETHERTYPE"}, {}, {"type": ["x"]},
                 {"type": "MATCH_ETHERTYPE", "etherType": 65536},
                 {"type": "MATCH_ETHERTYPE", "etherType": "800"},
                 {"type": "MATCH_IPV4_SOURCE", "ip": "fd00::/8"},
                 {"type": "MATCH_IPV4_SOURCE", "ip": "10.0.0.0/33"},
                 {"type": "MATCH_IPV4_SOURCE", "ip": "10.0.0.0"},
                 {"type": "MATCH_MAC_DEST", "mac": "aa:bb"},
                 {"type": "ACTION_TEE", "address": 5}):
        error = raises(ValueError, compile_rules, [rule], 64)
        assert str(rule.get("type")) in str(error)
    raises(ValueError, compile_rules, [{"type": "ACTION_DROP"}] * 3, 2)
    raises(ValueError, compile_rules, "no list", 2)
    raises(ValueError, compile_rules, ["no rule"], 2)


def test_network_fields_are_checked_and_normalised():
    fresh = records.new_network(_NETWORK, 5)
    for fields, name, value in (
            ({"v4AssignMode": "zt"}, "v4AssignMode", {"zt": True}),
            ({"v6AssignMode": "zt,6plane"}, "v6AssignMode",
             {"zt": True, "6plane": True, "rfc4193": False}),
            ({"routes": [{"target": "fd00:0::/8"}]}, "routes",
             [{"target": "fd00::/8", "via": None}]),
            ({"dns": []}, "dns", {}),
            ({"authTokens": [None]}, "authTokens", {}),
            ({"tags": [{"id": 1}]}, "tags", [{"id": 1, "default": None}])):
        updated = records.update_network(fresh, fields)
        assert updated[name] == value
        assert fresh == records.new_network(_NETWORK, 5)
    for fields in ({"name": "x" * 128}, {"name": 5}, {"private": None}, {"multicastLimit": -1},
                   {"mtu": True}, {"v4AssignMode": "dhcp"}, {"v4AssignMode": {"zt": 1}},
                   {"routes": "10.0.0.0/8"}, {"routes": [{"target": "10.0.0.0"}]},
                   {"routes": [{"target": "10.0.0.0/8", "via": "fd00::1"}]},
                   {"routes": [{"via": "10.0.0.1"}]}, {"routes": [5]},
                   {"routes": [{"target": "10.0.0.0/8"}] * 129},
                   {"ipAssignmentPools": [{"ipRangeStart": "10.0.0.9", "ipRangeEnd": "10.0.0.1"}]},
                   {"ipAssignmentPools": [{"ipRangeStart": "10.0.0.9", "ipRangeEnd": "fd00::"}]},
                   {"ipAssignmentPools": [{"ipRangeStart": "10.0.0.9"}]},
                   {"rules": [{"type": "x"}]}, {"capabilities": [{"default": True}]},
                   {"capabilities": [{"id": 1, "rules": [{"type": "x"}]}]},
                   {"tags": [{"id": 1 << 32}]}, {"authTokens": {"x": -1}}, {"authTokens": "x"},
                   {"dns": {"domain": "x" * 128}}, {"dns": {"servers": ["10.0.0.1"] * 5}},
                   {"dns": {"servers": ["here"]}}, {"remoteTraceTarget": "xyz"},
                   {"ssoEnabled": True}, {"revision": 9}, ["name"]):
        raises(ValueError, records.update_network, fresh, fields)


def test_member_fields_are_checked_and_normalised():
    fresh = records.new_member(_NETWORK, b"abcde", 5)
    updated = records.update_member(fresh, {"ipAssignments": ["fd00:0:0::1"], "tags": [[1, 2]]}, 7)
    assert updated["ipAssignments"] == ["fd00::1"] and updated["tags"] == [[1, 2]]
    assert updated["lastAuthorizedTime"] == 0
    joined = records.update_member(updated, {"authorized": True}, 9)
    assert joined["lastAuthorizedTime"] == 9
    assert records.update_member(joined, {"authorized": False}, 11)["lastDeauthorizedTime"] == 11
    for fields in ({"authorized": "yes"}, {"ipAssignments": ["10.0.0.1/24"]},
                   {"ipAssignments": "10.0.0.1"}, {"tags": [[1, 2, 3]]}, {"tags": [1]},
                   {"capabilities": [-1]}, {"identity": "x"}, {"vMajor": 1}):
        raises(ValueError, records.update_member, fresh, fields, 9)
