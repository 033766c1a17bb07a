from mpcore.vl1 import inet
from support import raises, vectors

_ADDRESSING = vectors("addressing.json")
_SCOPES = {"none": inet.NONE, "multicast": inet.MULTICAST, "loopback": inet.LOOPBACK,
           "pseudoprivate": inet.PSEUDOPRIVATE, "global": inet.GLOBAL,
           "link_local": inet.LINK_LOCAL, "shared": inet.SHARED, "private": inet.PRIVATE}


def test_the_wire_form_of_the_vectors():
    for vector in _ADDRESSING["inet_serialize"]:
        text, wire = vector["text"], bytes.fromhex(vector["bytes"])
        endpoint = None if text is None else inet.parse(text)
        assert inet.encode(endpoint) == wire
        assert inet.decode(wire, 0, len(wire)) == (endpoint, len(wire))
        if text is not None:
            assert inet.text(endpoint) == text


def test_parsing_of_the_vectors():
    for vector in _ADDRESSING["inet_parse"]:
        wire = bytes.fromhex(vector["bytes"])
        if not vector["ok"]:
            raises(ValueError, inet.decode, wire, 0, len(wire))
            continue
        endpoint, length = inet.decode(b"?" + wire, 1, len(wire) + 1)
        assert length == vector["length"]
        assert (endpoint if endpoint is None else inet.text(endpoint)) == vector["text"]


def test_an_address_ends_where_it_is_told_to():
    wire = inet.encode(inet.parse("10.0.0.1/9993"))
    for end in range(len(wire)):
        raises(ValueError, inet.decode, wire, 0, end)
    skipped = b"\x03\x00\x02ab"
    assert inet.decode(skipped, 0, 5) == (None, 5)
    for end in range(5):
        raises(ValueError, inet.decode, skipped, 0, end)


def test_the_scopes_of_the_vectors():
    for vector in _ADDRESSING["ip_scope"]:
        ip = inet.ip_parse(vector["ip"])
        assert inet.scope(ip) == _SCOPES[vector["scope"]], vector
        assert inet.usable_for_path(ip) == vector["usable_for_path"], vector


def test_scopes_at_the_edges_of_their_ranges():
    for text, scope in (
            ("9.255.255.255", inet.GLOBAL), ("100.63.255.255", inet.GLOBAL),
            ("169.253.1.1", inet.GLOBAL), ("192.0.1.255", inet.GLOBAL),
            ("192.0.3.0", inet.GLOBAL), ("198.17.255.255", inet.GLOBAL),
            ("198.18.0.0", inet.PRIVATE), ("198.19.255.255", inet.PRIVATE),
            ("198.20.0.0", inet.GLOBAL), ("223.255.255.255", inet.GLOBAL),
            ("254.0.0.1", inet.PSEUDOPRIVATE), ("::ffff:127.0.0.1", inet.LOOPBACK),
            ("::ffff:10.0.0.1", inet.GLOBAL), ("::2", inet.GLOBAL), ("::1:0:1", inet.GLOBAL),
            ("fe80::2", inet.LINK_LOCAL), ("febf::1", inet.LINK_LOCAL),
            ("fe80:1::1", inet.LINK_LOCAL), ("fec0::1", inet.GLOBAL), ("fbff::1", inet.GLOBAL)):
        assert inet.scope(inet.ip_parse(text)) == scope, text


def test_text_in_the_forms_people_write():
    v4 = b"\x0a\x00\x00\x01\x27\x09"
    v6 = inet.ip_parse("fd00::1") + b"\x27\x09"
    for text, endpoint in (("10.0.0.1/9993", v4), ("10.0.0.1:9993", v4),
                           ("fd00::1/9993", v6), ("[fd00::1]:9993", v6)):
        assert inet.parse(text) == endpoint
    for text in ("", "10.0.0.1", "10.0.0.1/", "10.0.0.1/65536", "10.0.0.1/-1", "10.0.0.1/+1",
                 "10.0.0.1/1/2", "10.0.0/1", "10.0.0.1.2/1", "10.0.0.256/1", "10.0.0.01/1",
                 "10.0.0.1/0x1", "10.0.0. 1/1", "fd00::1:9993", "[10.0.0.1]:1", "[fd00::1]",
                 "[fd00::1/1", "fd00::1::2/1", "1:2:3:4:5:6:7/1", "1:2:3:4:5:6:7:8:9/1",
                 "1:2:3:4:5:6:7::8/1", "12345::/1", "g::/1", ":1::/1", "1.2.3.4::/1", "host/1"):
        raises(ValueError, inet.parse, text)


def test_ipv6_text_is_canonical():
    for text, canonical in (
            ("0:0:0:0:0:0:0:0", "::"), ("0:0:0:0:0:0:0:1", "::1"), ("1::", "1::"),
            ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("2001:db8:0:1:1:1:1:1",) * 2,
            ("1:0:0:2:0:0:0:3", "1:0:0:2::3"), ("::ffff:1.2.3.4",) * 2,
            ("64:ff9b::1.2.3.4", "64:ff9b::102:304"),
            ("0001:02:003:4:5:6:7:8", "1:2:3:4:5:6:7:8")):
        assert inet.ip_text(inet.ip_parse(text)) == canonical
