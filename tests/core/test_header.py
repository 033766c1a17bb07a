"""The header of a VL1 packet, of mpcore.vl1.header and of its twin by slices."""

from mpcore.vl1 import header, header_slices

EACH = header, header_slices
IDS = bytes(range(60, 84))
OURS, THEIRS = b"\x01\x02\x03\x04\x05", b"\xf1\xf2\xf3\xf4\xf5"


def test_write():
    for each in EACH:
        for off in range(4):
            for ids in IDS, bytearray(IDS):
                buf = bytearray(b"\xee" * 40)
                each.write(buf, off, ids, 8, OURS, THEIRS, 0x98, 6)
                assert buf == (b"\xee" * off + IDS[8:16] + OURS + THEIRS + b"\x98" + b"\xee" * 8
                               + b"\x06" + b"\xee" * (12 - off))


def test_expected():
    for each in EACH:
        for off in range(4):
            for flags in range(256):
                buf = bytearray(off + 28)
                each.write(buf, off, IDS, 0, OURS, THEIRS, flags, 6)
                cipher = flags >> 3 & 7
                good = cipher if cipher in (1, 3) and not flags & 0x47 else 0
                for what in buf, bytes(buf), memoryview(buf):
                    assert each.expected(what, off, 28, OURS, THEIRS) == good
            each.write(buf, off, IDS, 0, OURS, THEIRS, 0x88, 6)
            assert each.expected(buf, off, 28, OURS, THEIRS) == 1
            assert each.expected(buf, off, 27, OURS, THEIRS) == 0
            assert each.expected(buf, off, 28, THEIRS, OURS) == 0
            for at in range(off + 8, off + 18):
                buf[at] ^= 1
                assert each.expected(buf, off, 28, OURS, THEIRS) == 0
                buf[at] ^= 1
