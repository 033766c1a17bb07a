"""Credentials, against those of the real implementation (spec/vl2-credentials.md)."""

from mpcore.vl1.identity import Identity
from mpcore.vl2 import credentials
from mpcore.vl2.credentials import COM, Capability, Ownership, Revocation, Tag
from tests.core.support import raises, vectors

_VECTORS = vectors("netconf.json")
_WHO = {i["address"]: Identity.from_text(i["secret_text"]) for i in _VECTORS["identities"]}
_NAMED = {i["name"]: _WHO[i["address"]] for i in _VECTORS["identities"]}
_CONTROLLER = _NAMED["controller"]
_NETWORK = bytes.fromhex(_VECTORS["network"]["network_id"])


def _hex(text):
    return bytes.fromhex(text)


def _controller_of(credential):
    return _WHO[credential.network_id[:5].hex()]


def _coms():
    return {c["name"]: COM.from_bytes(_hex(c["bytes"]))[0] for c in _VECTORS["coms"]}


def _whole(kind, case):
    """The credential of a case, which must take all its bytes and stay what it was."""
    raw = b"xyz" + _hex(case["bytes"]) + b"more"
    credential, length = kind.from_bytes(raw, 3)
    assert length == len(raw) - 7, case["name"]
    assert credential.raw == raw[3:-4], case["name"]
    raises(ValueError, kind.from_bytes, raw, 3, len(raw) - 5)
    return credential


def _common(credential, case):
    assert credential.network_id.hex() == case["network_id"]
    assert credential.id == case["id"]
    if "timestamp" in case:
        assert credential.timestamp == int(case["timestamp"])
        assert credential.issued_to.hex() == case["issued_to"]
    # "signer not known yet" (1) becomes good once the signer's identity is there
    assert credential.verify(_controller_of(credential)) == (case["verify"] >= 0), case["name"]


def test_com_reads_and_verifies():
    for case in _VECTORS["coms"]:
        com = _whole(COM, case)
        values = {int(q[0], 16): q[1] for q in case["qualifiers"]}
        assert com.timestamp == int(values[0], 16)
        assert com.network_id.hex() == values[1]
        assert com.issued_to.hex() == values[2][6:]
        assert com.verify(_controller_of(com)) == (case["verify"] >= 0), case["name"]
        assert not com.verify(_NAMED["m1"])


def test_com_parsing():
    for case in _VECTORS["com_parsing"]:
        raw = _hex(case["bytes"])
        if case["ok"]:
            assert COM.from_bytes(raw)[1] == case["length"], case["note"]
        else:
            raises(ValueError, COM.from_bytes, raw)


def test_com_agreement():
    coms = _coms()
    for case in _VECTORS["com_agreement"]:
        agrees = coms[case["mine"]].agrees(coms[case["theirs"]], _NAMED[case["their_identity"]])
        assert agrees == case["agrees"], case


def test_empty_com_agrees_with_nothing():
    coms = _coms()
    empty = COM.from_bytes(_hex("0100000000000000"))[0]
    assert not empty.agrees(coms["m1"], _NAMED["m1"])
    assert not coms["old3"].agrees(empty, _NAMED["m0"])
    assert not empty.verify(_CONTROLLER)


def test_com_is_issued_as_the_reference_does():
    for case in _VECTORS["coms"]:
        if case["name"] in ("m0", "m1", "m2"):
            stamp = [int(part, 16) for part in case["qualifiers"][0]]
            com = COM.issue(_CONTROLLER, _NETWORK, stamp[1], stamp[2], _NAMED[case["name"]])
            assert com.raw == _hex(case["bytes"])


def test_tags():
    for case in _VECTORS["tags"]:
        tag = _whole(Tag, case)
        _common(tag, case)
        assert tag.value == case["value"]
        if case["verify"] == 0:
            again = Tag.issue(_CONTROLLER, _NETWORK, tag.timestamp, tag.id, tag.value,
                              tag.issued_to)
            assert again.raw == tag.raw


def test_ownership():
    for case in _VECTORS["certificates_of_ownership"]:
        ownership = _whole(Ownership, case)
        _common(ownership, case)
        for question in case["owns"]:
            value = _thing(question)
            assert ownership.owns(value) == question["owned"], (case["name"], question)
        if case["verify"] == 0:
            sizes = {1: 6, 2: 4, 3: 16}
            owned = [_hex(t["value"])[:sizes[t["type"]]] for t in case["things"]]
            again = Ownership.issue(_CONTROLLER, _NETWORK, ownership.timestamp, ownership.id,
                                    owned, ownership.issued_to)
            assert again.raw == ownership.raw


def _thing(question):
    if "mac" in question:
        return _hex(question["mac"].replace(":", ""))
    if "." in question["ip"]:
        return bytes([int(part) for part in question["ip"].split(".")])
    head, tail = question["ip"].split("::")
    return _hex(head) + bytes(13) + bytes((int(tail, 16),))


def test_ownership_of_too_many_things_is_never_made_or_read():
    seventeen = [bytes((10, 0, 0, i)) for i in range(17)]
    raises(ValueError, Ownership.issue, _CONTROLLER, _NETWORK, 1, 1, seventeen, b"aaaaa")
    sixteen = Ownership.issue(_CONTROLLER, _NETWORK, 1, 1, seventeen[:16], b"aaaaa").raw
    raises(ValueError, Ownership.from_bytes, sixteen[:29] + b"\x11" + sixteen[30:] + bytes(17))


def test_revocations():
    for case in _VECTORS["revocations"]:
        revocation = _whole(Revocation, case)
        _common(revocation, case)
        assert revocation.threshold == int(case["threshold"])
        assert revocation.credential_id == case["credential_id"]
        assert revocation.credential_type == case["type"]
        assert revocation.flags == int(case["flags"], 16)
        assert revocation.issued_to.hex() == case["target"]
        if case["verify"] == 0:
            again = Revocation.issue(_CONTROLLER, _NETWORK, revocation.id, case["type"],
                                     case["credential_id"], revocation.threshold,
                                     revocation.issued_to, revocation.flags)
            assert again.raw == revocation.raw


def test_capabilities():
    def lookup(address):
        return _WHO.get(address.hex())

    for case in _VECTORS["capabilities"]:
        capability = _whole(Capability, case)
        assert capability.id == case["id"]
        assert capability.timestamp == int(case["timestamp"])
        assert capability.network_id.hex() == case["network_id"]
        assert capability.issued_to.hex() == case["issued_to"]
        assert capability.max_custody == case["max_custody_chain_length"]
        chain = [{"to": to.hex(), "from": giver.hex()} for to, giver, _ in capability.custody]
        assert chain == case["custody"]
        assert capability.verify(_CONTROLLER, lookup) == (case["verify"] == 0), case["name"]
        if len(chain) > 1:
            assert not capability.verify(_CONTROLLER)
        elif case["verify"] == 0:
            count = case["rule_count"] if "rule_count" in case else len(case["rules"])
            again = Capability.issue(_CONTROLLER, _NETWORK, capability.timestamp, capability.id,
                                     capability.rules, count, capability.issued_to)
            assert again.raw == capability.raw


def test_a_chain_longer_than_its_limit_is_refused():
    raw = _hex([c for c in _VECTORS["capabilities"] if c["name"] == "chain3"][0]["bytes"])
    short = Capability.from_bytes(raw[:24] + b"\2" + raw[25:])[0]
    assert short.max_custody == 2 and len(short.custody) == 3
    assert not short.verify(_CONTROLLER, lambda address: _WHO.get(address.hex()))


def test_packet_of_everything_reads_back():
    coms = [_coms()[name] for name in ("m0", "m1")]
    lists = [[kind.from_bytes(_hex(case["bytes"]))[0] for case in _VECTORS[key][:3]]
             for kind, key in ((Capability, "capabilities"), (Tag, "tags"),
                               (Revocation, "revocations"),
                               (Ownership, "certificates_of_ownership"))]
    payload = credentials.pack(coms, *lists)
    found = credentials.unpack(b"##" + payload, 2, len(payload) + 2)
    expected = coms + lists[0] + lists[1] + lists[2] + lists[3]
    assert [c.raw for c in found] == [c.raw for c in expected]
    assert [c.TYPE for c in found] == [1, 1, 2, 2, 2, 3, 3, 3, 6, 6, 6, 4, 4, 4]
    raises(ValueError, credentials.unpack, payload, 0, len(payload) - 1)


def test_old_senders_stop_after_any_section():
    com = _coms()["m0"]
    for tail in (b"\0", b"\0" + bytes(2), b"\0" + bytes(4), b"\0" + bytes(6), b"\0" + bytes(8)):
        payload = com.raw + tail
        assert [c.raw for c in credentials.unpack(payload, 0, len(payload))] == [com.raw]
    raises(ValueError, credentials.unpack, com.raw + b"\0\0", 0, len(com.raw) + 2)


def test_packet_with_the_revocation_of_the_spec():
    payload = _hex(
        "00000000000001" "00000000b0943899e77cecac115881ef0000000000000000000001a2033ada6f"
        "000000000000000128e8acd2fae77cecac11010100 60"
        "bdbc206ec4f6f1537a040a56e239cae2ecc7482238529bfc904ccadab25bdb319f8e59be467daa85a4806166"
        "d3c3d064d4eff036fd112821ae9d75fb395cfa06fd1b0cfd0a7d4ed520aec8b16465f40845d05829d8294172"
        "2e4343fc9a374490" "00000000".replace(" ", ""))
    public = _hex("8111262024f2d2d71d408db3d40bcbd2bcbd58f8bf829a50ac6e109c31ae2872"
                  "55e3627695c9b7a9e72c1e798807db8e938c93735263aac0e72309a170967309")
    controller = Identity(_hex("e77cecac11"), public)
    revocation, = credentials.unpack(payload, 0, len(payload))
    assert revocation.issued_to == _hex("28e8acd2fa")
    assert revocation.credential_type == credentials.COM_TYPE
    assert revocation.flags == credentials.FAST_PROPAGATE
    assert revocation.verify(controller)
    assert credentials.pack(revocations=[revocation]) == payload
