"""DNS messages, byte by byte."""

from mpcore.dns import message
from mpcore.dns.message import (A, CNAME, IN, NSEC, PTR, SOA, SRV, TXT, Message, Record, build,
                                is_within, label, name_from, question, read_name)

from support import raises

HEADER = b"\x12\x34\x84\x00\0\1\0\1\0\0\0\0"
BULB = b"\4bulb\5local\0"


def test_names_as_text():
    assert name_from("bulb.local") == name_from("bulb.local.") == BULB
    assert name_from("") == name_from(".") == message.ROOT == b"\0"
    assert name_from("böse.de") == b"\5b\xc3\xb6se\2de\0"
    assert label("My bulb.") == b"\x08My bulb."
    for wrong in ("a..b", ".a", "x" * 64, "ü" * 32 + ".de", "a." * 128):
        raises(ValueError, name_from, wrong)
    assert len(name_from("a." * 127)) == 255


def test_what_lies_within_a_domain():
    assert is_within(BULB, name_from("LOCAL")) and is_within(BULB, BULB)
    assert is_within(BULB, message.ROOT) and is_within(message.ROOT, message.ROOT)
    assert not is_within(name_from("local"), BULB)
    assert not is_within(name_from("bulb.nonlocal"), name_from("local"))
    # Labels count, not bytes: this is one label that only looks like two.
    assert not is_within(b"\x0abulb\5local\0", name_from("local"))


def test_a_message_is_read():
    data = HEADER + BULB + b"\0\1\0\1" + b"\xc0\x0c\0\1\x80\1\0\0\0\x78\0\4\x0a\0\0\1"
    read = Message(data)
    assert (read.id, read.flags, read.rcode) == (0x1234, 0x8400, 0)
    assert list(read) == [question(BULB, A), Record(1, BULB, A, 0x8001, 120, b"\x0a\0\0\1")]
    assert list(read) == list(read)
    assert build(0x1234, 0x8400, [question(BULB, A)],
                 [Record(1, BULB, A, 0x8001, 120, b"\x0a\0\0\1")]) == data


def test_names_in_data_are_made_whole_and_only_old_types_are_compressed():
    instance = b"\1x\5_http" + BULB
    records = [Record(1, BULB, CNAME, IN, 1, b"\1c" + BULB),
               Record(1, BULB, PTR, IN, 2, instance),
               Record(1, instance, SRV, IN, 3, b"\0\0\0\0\0\x50" + BULB),
               Record(1, instance, TXT, IN, 4, b"\3a=1\0"),
               Record(1, BULB, NSEC, IN, 5, BULB + b"\0\1\x40"),
               Record(2, BULB, SOA, IN, 6, BULB + instance + bytes(range(20))),
               Record(3, BULB, 99, IN, 7, b"\xc0\x0c")]
    data = build(1, 0, [question(BULB, A)], records[:5], records[5:6], records[6:])
    assert list(Message(data))[1:] == records
    assert data.count(b"bulb") == 5 and data.count(b"_http") == 2
    compressed = (b"\0\1\0\0\0\1\0\1\0\0\0\0" + BULB + b"\0\1\0\1"
                  + b"\xc0\x0c\0\x21\0\1\0\0\0\3\0\x08\0\1\0\2\0\x50\xc0\x0c")
    assert list(Message(compressed))[1].data == b"\0\1\0\2\0\x50" + BULB


def test_what_is_malformed_is_refused():
    def records(data):
        return list(Message(data))

    one = b"\0\0\0\0\0\0\0\1\0\0\0\0\0"         # a record of the root's name
    for wrong in (b"", HEADER[:11], HEADER, HEADER + BULB, HEADER + BULB + b"\0\1\0",
                  HEADER + BULB + b"\0\1\0\1" + BULB + b"\0\1\0\1\0\0\0\1\0\4\1\2\3",
                  one + b"\0\1\0\1\0\0\0\1\0\5\1\2\3\4\5",      # A of 5 bytes
                  one + b"\0\x1c\0\1\0\0\0\1\0\4\1\2\3\4",      # AAAA of 4
                  one + b"\0\x10\0\1\0\0\0\1\0\0",              # TXT of nothing
                  one + b"\0\x10\0\1\0\0\0\1\0\2\2a",           # TXT cut short
                  one + b"\0\5\0\1\0\0\0\1\0\2\0\0",            # CNAME and something else
                  one + b"\0\5\0\1\0\0\0\1\0\1\3abc\0",         # CNAME that goes on after its end
                  one + b"\0\x21\0\1\0\0\0\1\0\4\0\0\0\0",      # SRV without a name
                  one + b"\0\6\0\1\0\0\0\1\0\4\0\0\0\0"):       # SOA without numbers
        raises(ValueError, records, wrong)


def test_pointers_lead_backwards_only():
    data = b"\1a\0\xc0\0\1b\xc0\3\xc0\x09\xc0\x0e\1c\xc0\5"
    assert read_name(data, 3, len(data)) == (b"\1a\0", 5)
    assert read_name(data, 5, len(data)) == (b"\1b\1a\0", 9)
    assert read_name(data, 13, len(data)) == (b"\1c\1b\1a\0", 17)
    for at in (9, 11, 16):
        raises(ValueError, read_name, data, at, len(data))
    # A label and then itself again: it would never end.
    raises(ValueError, read_name, b"\1a\xc0\0", 0, 4)
    # Backwards and still too long.
    long = b"\x3f" + b"x" * 63
    data = long * 3 + b"\0" + long + b"\xc0\0"
    assert len(read_name(data, 0, len(data))[0]) == 193
    raises(ValueError, read_name, data, 193, len(data))
    raises(ValueError, read_name, b"\x40a\0", 0, 3)


def test_what_is_far_into_a_message_is_not_pointed_to():
    far = [Record(1, name_from("far%d.example" % i), TXT, IN, 1, b"\xff" + bytes(255))
           for i in range(70)]
    data = build(1, 0, (), far + far[-1:])
    assert len(data) > 0x4000 and list(Message(data)) == far + far[-1:]
    assert data.count(b"\5far69") == 2
