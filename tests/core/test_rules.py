import os

from mpcore.vl2 import rules

from tests.core.support import raises, vectors

NAMES = ("no_match", "drop", "accept", "super_accept", "redirect")
ME = b"\x11\x22\x33\x44\x55"
PEER = b"\x28\xe8\xac\xd2\xfa"
MAC = b"\xee\x00\x00\x00\x00\x01"
GROUP = b"\x33\x33\xff\x00\x00\x01"


def frame(ethertype, payload, inbound=False, to=MAC, local=None, remote=None, flags=0, owns=None):
    return rules.Frame(inbound, PEER if inbound else ME, ME if inbound else PEER, ME, MAC, to,
                       ethertype, payload, local or {}, remote, flags, owns, os.urandom)


def judge(text, *args, **more):
    return rules.evaluate(rules.parse(bytes.fromhex(text.replace(" ", ""))), frame(*args, **more))


def ipv4(protocol, body):
    return b"\x45\x00\x00\x00\x00\x00\x00\x00\x40" + bytes((protocol, 0, 0)) + (
        b"\x0a\x00\x00\x01\x0a\x00\x00\x02") + body


def ipv6(protocol, body):
    return b"\x60" + bytes(5) + bytes((protocol, 64)) + b"\xfd" + bytes(14) + b"\x01" + (
        b"\xfd" + bytes(14) + b"\x02") + body


def tags(table):
    return None if table is None else {int(tag): value for tag, value in table.items()}


def test_every_evaluation_of_the_reference_comes_out_the_same():
    h = bytes.fromhex
    for case in vectors("rules.json")["evaluations"]:
        seen = rules.Frame(
            case["inbound"], h(case["source"]), h(case["destination"]), h(case["self"]),
            h(case["mac_source"]), h(case["mac_destination"]), case["ethertype"],
            memoryview(h(case["frame"])), tags(case["local_tags"]), tags(case["remote_tags"]),
            case["network_flags"])
        verdict = rules.evaluate(rules.parse(h(case["rules"])), seen)
        assert NAMES[verdict] == case["result"], case
        assert (seen.redirect and seen.redirect.hex()) == case.get("redirect_to"), case
        wanted = None
        if "copy_to" in case:
            wanted = (h(case["copy_to"]), case["copy_length"], case["copy_is_watch"])
        assert seen.copy == wanted, case


def test_every_rule_is_read_and_written_back():
    for case in vectors("netconf.json")["rules"]:
        data = bytes.fromhex(case["bytes"])
        parsed = rules.parse(data)
        assert len(parsed) == 1 and parsed[0][0] == case["t"]
        assert rules.emit(parsed) == data
        assert rules.unsupported(parsed) is None


def test_parsing_stops_where_the_reference_stops():
    for case in vectors("netconf.json")["rule_parsing"]:
        data = bytes.fromhex(case["bytes"])
        if case["ok"]:
            parsed = rules.parse(data)
            assert [t & 0x3F for t, _ in parsed] == case["t"] and len(parsed) == case["count"]
        else:
            raises(ValueError, rules.parse, data)


def test_a_count_ends_parsing_early_and_must_be_met():
    assert rules.parse(b"\x01\x00\x00\x00", 0, 4, 1) == ((1, b""),)
    raises(ValueError, rules.parse, b"\x01\x00", 0, 2, 2)


def test_an_operand_too_short_for_its_type_is_malformed():
    raises(ValueError, rules.parse, b"\x25\x01\x08")
    raises(ValueError, rules.parse, b"\x02\x0d" + bytes(13))


def test_more_entries_than_the_wire_allows_are_refused():
    assert len(rules.parse(b"\x01\x00" * 1024)) == 1024
    raises(ValueError, rules.parse, b"\x01\x00" * 1025)


def test_what_the_engine_does_not_know_is_named():
    assert rules.unsupported(rules.parse(b"\x25\x02\x08\x00\x01\x00")) is None
    assert rules.unsupported(rules.parse(b"\x01\x00\xbc\x00")) == "rule type 60"
    assert rules.unsupported(rules.parse(b"\x07\x00")) == "rule type 7"


def test_an_empty_set_matches_nothing():
    assert judge("", 0x0800, ipv4(6, b"")) == rules.NO_MATCH


def test_the_usual_default_lets_ip_and_arp_through():
    usual = "a5020800 a5020806 a50286dd 0000 0100"
    for ethertype in (0x0800, 0x0806, 0x86DD):
        assert judge(usual, ethertype, b"") == rules.ACCEPT
    assert judge(usual, 0x88CC, b"") == rules.DROP


def test_each_tcp_flag_is_seen_alone():
    for at, bits in ((7, 8), (6, 4)):
        for i in range(bits):
            mask = bytes(at) + bytes((1 << i,)) + bytes(7 - at)
            text = "2908" + mask.hex() + "0100"
            tcp = bytes(12) + (bytes((0, 1 << i)) if at == 7 else bytes((1 << i, 0)))
            assert judge(text, 0x0800, ipv4(6, tcp)) == rules.ACCEPT
            assert judge(text, 0x86DD, ipv6(6, tcp)) == rules.ACCEPT
            assert judge(text, 0x0800, ipv4(6, bytes(14))) == rules.NO_MATCH
            assert judge(text, 0x0800, ipv4(17, tcp)) == rules.NO_MATCH
            assert judge("a9" + text[2:], 0x0800, ipv4(6, tcp)) == rules.NO_MATCH


def test_tcp_flags_beyond_the_end_are_not_read():
    assert judge("2908 00000000000000ff 0100", 0x0800, ipv4(6, bytes(13))) == rules.NO_MATCH
    assert judge("2908 0000000000000fff 0100", 0x0800, b"\x4f" + ipv4(6, b"")[1:]) == (
        rules.NO_MATCH)


def test_characteristics_of_direction_and_destination():
    assert judge("29088000000000000000 0100", 0x0800, b"", inbound=True) == rules.ACCEPT
    assert judge("29088000000000000000 0100", 0x0800, b"") == rules.NO_MATCH
    assert judge("29084000000000000000 0100", 0x0800, b"", to=GROUP) == rules.ACCEPT
    assert judge("29082000000000000000 0100", 0x0800, b"", to=GROUP) == rules.NO_MATCH
    assert judge("29082000000000000000 0100", 0x0800, b"", to=b"\xff" * 6) == rules.ACCEPT


def test_the_sender_ip_is_authenticated_by_ownership():
    asked = []

    def owns(address):
        asked.append(address)
        return address == b"\x0a\x00\x00\x01"

    spoofed = "a9081000000000000000 0000 0100"
    assert judge(spoofed, 0x0800, ipv4(6, b""), owns=owns) == rules.ACCEPT
    assert judge(spoofed, 0x0806, bytes(14) + b"\x0a\x00\x00\x02" + bytes(10), owns=owns) == (
        rules.DROP)
    solicitation = ipv6(58, b"\x87" + bytes(23))
    assert judge(spoofed, 0x86DD, solicitation, owns=owns) == rules.ACCEPT
    advertisement = ipv6(58, b"\x88" + bytes(7) + b"\xfd" + bytes(14) + b"\x09")
    assert judge(spoofed, 0x86DD, advertisement, owns=owns) == rules.DROP
    assert judge(spoofed, 0x86DD, ipv6(6, b""), owns=owns) == rules.DROP
    assert asked == [b"\x0a\x00\x00\x01", b"\x0a\x00\x00\x02", b"\xfd" + bytes(14) + b"\x09",
                     b"\xfd" + bytes(14) + b"\x01"]


def test_not_does_not_invert_what_cannot_be_judged():
    assert judge("9f050a00000008 0100", 0x0806, bytes(28)) == rules.NO_MATCH
    assert judge("9f050b00000008 0100", 0x0800, ipv4(6, b"")) == rules.ACCEPT
    assert judge("a80400160016 0100", 0x0800, ipv4(1, bytes(8))) == rules.ACCEPT
    assert judge("a80400160016 0100", 0x0806, bytes(28)) == rules.NO_MATCH


def test_random_takes_the_share_that_was_asked_for():
    assert judge("2b04ffffffff 0100", 0x0800, b"") == rules.ACCEPT
    seen = frame(0x0800, b"")
    seen.random = lambda n: b"\x80\x00\x00\x00"
    assert rules.evaluate(rules.parse(bytes.fromhex("2b047fffffff0100")), seen) == rules.NO_MATCH
    assert rules.evaluate(rules.parse(bytes.fromhex("2b04800000000100")), seen) == rules.ACCEPT


def test_an_evaluation_leaves_nothing_for_the_next():
    seen = frame(0x0800, b"abcd")
    tee = rules.parse(bytes.fromhex("020e 000000e77cecac11 00000000 0002 0100".replace(" ", "")))
    assert rules.evaluate(tee, seen) == rules.ACCEPT
    assert seen.copy == (bytes.fromhex("e77cecac11"), 2, False)
    assert rules.evaluate(((1, b""),), seen) == rules.ACCEPT and seen.copy is None
