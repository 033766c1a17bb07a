"""Checksums and header fields, at every alignment, against a plain computation.

Of headers_struct.py on both runtimes, and of the kernel where that is what the face has.
"""

from array import array

from ip_link import checksum
from mpcore.ip import headers, headers_struct

DATA = bytes([(i * 167 + 13) & 0xFF for i in range(3000)])
BASE = 0xFFFFFFF0
EACH = headers, headers_struct


def test_add_at_every_alignment_and_length():
    for each in EACH:
        for n in list(range(40)) + [1399, 1400, 2800]:
            for off in range(8):
                expected = 0xFFFF - checksum(DATA[off:off + n])
                got = each.add(DATA, off, n, 0)
                assert got == expected, (off, n)


def test_add_continues_a_sum():
    for each in EACH:
        total = each.add(DATA, 0, 12, 0x1FFFE)
        assert each.add(DATA, 12, 21, total) == each.add(DATA, 0, 33, 0x1FFFE)
        ones = b"\xff" * 2800
        for off in range(2):
            assert each.add(ones, off, 2799, 0xFFFF) == 0xFF00
        assert each.add(bytes(64), 1, 40, 0) == 0


def test_pseudo_header_of_both_families():
    four, six = DATA[1:5], DATA[5:21]
    assert headers.pseudo(four, four, 17) == 0xFFFF - checksum(four + four + b"\0\x11")
    assert headers.pseudo(six, six, 6) == 0xFFFF - checksum(six + six + b"\0\x06")


def test_ipv4_write_and_read():
    for each in EACH:
        source, destination = b"\x0a\x00\x00\x01", b"\xff\xfe\xfd\xfc"
        out = array("i", [0] * 4)
        for off in (0, 3, 5, 6):
            buf = bytearray(b"\xee" * 64)
            each.ipv4_write(buf, off, 40, 0x12345, 0x2001, 7, 17, source, destination)
            assert buf[:off] == b"\xee" * off and buf[off + 20:] == b"\xee" * (44 - off)
            header = bytes(buf[off:off + 20])
            assert checksum(header) == 0
            assert header[:10] == b"\x45\x00\x00\x28\x23\x45\x20\x01\x07\x11"
            assert header[12:] == source + destination
            assert each.ipv4_read(buf, off, 40, destination, out) == 20
            assert list(out) == [40, 17, 0x2001, 1]
            assert each.ipv4_read(buf, off, 41, destination[:3] + b"\xfd", out) == 20
            assert list(out) == [40, 17, 0x2001, 0]
            assert each.ipv4_read(buf, off, 39, destination, out) == 0
            buf[off + 8] -= 1
            assert each.ipv4_read(buf, off, 40, destination, out) == -1


def test_ipv4_read_refuses_malformed_headers():
    for each in EACH:
        out = array("i", [0] * 4)
        own = bytes(4)
        for n in range(20):
            assert each.ipv4_read(b"\x45\0\0\x14" + bytes(40), 0, n, own, out) == 0
        for first in (0x55, 0x44, 0x65, 0x4F):
            assert each.ipv4_read(bytes((first, 0, 0, 20)) + bytes(40), 0, 44, own, out) == 0
        assert each.ipv4_read(b"\x45\0\0\x13" + bytes(40), 0, 44, own, out) == 0


def test_tcp_write_and_read_across_the_wrap_of_sequence_numbers():
    for each in EACH:
        out = array("i", [0] * 4)
        here = array("I", (BASE, 0x7FFFFFF0, 80, 50000, 0x1234))
        there = array("I", (0x7FFFFFF0, BASE, 50000, 80, 0x1234))
        for off in (0, 3, 6):
            for seq, ack in ((0, 0), (15, 16), (16, 40), (1000000, 70000)):
                for extra in (0, 1, 100, 101):
                    buf = bytearray(off) + bytearray(20) + DATA[:extra]
                    each.tcp_write(here, buf, off, 20 + extra, seq, ack, 0x5018, 0xABCD)
                    assert buf[off:off + 4] == b"\x00\x50\xc3\x50"
                    wire = (BASE + seq & 0xFFFFFFFF, 0x7FFFFFF0 + ack & 0xFFFFFFFF)
                    assert int.from_bytes(buf[off + 4:off + 8], "big") == wire[0]
                    assert int.from_bytes(buf[off + 8:off + 12], "big") == wire[1]
                    assert bytes(buf[off + 12:off + 16]) == b"\x50\x18\xab\xcd"
                    assert bytes(buf[off + 18:off + 20]) == b"\0\0"
                    n = 20 + extra
                    assert each.tcp_read(there, buf, off, n, ack + 5, seq - 7, out) == 20
                    assert list(out) == [7, -5, 0x18, 0xABCD]
                    buf[off + n - 1] ^= 0x40
                    assert each.tcp_read(there, buf, off, n, ack, seq, out) == -1


def test_tcp_read_refuses_malformed_headers():
    for each in EACH:
        out = array("i", [0] * 4)
        wire = array("I", [0] * 5)
        for n in range(20):
            assert each.tcp_read(wire, bytes(12) + b"\x50" + bytes(20), 0, n, 0, 0, out) == 0
        for offset in (0, 0x10, 0x40, 0x60, 0xF0):
            assert each.tcp_read(wire, bytes(12) + bytes((offset,)) + bytes(20), 0, 20, 0, 0,
                                    out) == 0


def test_flow_write_and_read():
    here, there = b"\x0a\x00\x00\x01", b"\xff\xfe\xfd\xfc"
    flow = there + here + b"\xc3\x50\x00\x50"     # as the peer's packets have it
    back = here + there + b"\x00\x50\xc3\x50"
    total = headers.pseudo(here, there, 6)
    ours = array("I", (BASE, 0x7FFFFFF0, 80, 50000, total))
    theirs = array("I", (0x7FFFFFF0, BASE, 50000, 80, total))
    out = array("i", [0] * 4)
    for each in EACH:
        for off in (0, 3, 6):
            for extra in (0, 1, 100, 101):
                n = 40 + extra
                buf = bytearray(off) + bytearray(40) + DATA[:extra] + b"more"
                each.flow_write(flow, ours, buf, off, n - 20, 30, 16, 0x5018, 0xABCD, 64)
                assert checksum(bytes(buf[off:off + 20])) == 0
                assert each.ipv4_read(buf, off, n, there, out) == 20
                assert list(out) == [n, 6, 0, 1]
                assert each.tcp_read(theirs, buf, off + 20, n - 20, 11, 30, out) == 20
                assert list(out) == [0, 5, 0x18, 0xABCD]
                assert each.flow_read(back, theirs, buf, off, n + 4, 11, 30, out) == extra
                assert list(out)[:3] == [5, 8, 0xABCD]
                for other in (29, 31, 30 + 0x10000):
                    assert each.flow_read(back, theirs, buf, off, n, 11, other, out) == -1
                assert each.flow_read(back, theirs, buf, off, n - 1, 11, 30, out) == -1
                for at in range(n):
                    if at != 1 and at != 8 and not 4 <= at < 6:     # what no flow looks at
                        buf[off + at] ^= 0x40
                        assert each.flow_read(back, theirs, buf, off, n, 11, 30, out) == -1, at
                        buf[off + at] ^= 0x40
