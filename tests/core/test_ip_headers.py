"""Checksums and header fields, at every alignment, against a plain computation."""

from array import array

from ip_link import checksum
from mpcore.ip import headers

DATA = bytes([(i * 167 + 13) & 0xFF for i in range(3000)])
BASE = 0xFFFFFFF0


def test_add_at_every_alignment_and_length():
    for n in list(range(40)) + [1399, 1400, 2800]:
        for off in range(8):
            expected = 0xFFFF - checksum(DATA[off:off + n])
            got = headers.add(DATA, off, n, 0)
            assert got == expected, (off, n)


def test_add_continues_a_sum():
    total = headers.add(DATA, 0, 12, 0x1FFFE)
    assert headers.add(DATA, 12, 21, total) == headers.add(DATA, 0, 33, 0x1FFFE)
    ones = b"\xff" * 2800
    for off in range(2):
        assert headers.add(ones, off, 2799, 0xFFFF) == 0xFF00
    assert headers.add(bytes(64), 1, 40, 0) == 0


def test_pseudo_header_of_both_families():
    four, six = DATA[1:5], DATA[5:21]
    assert headers.pseudo(four, four, 17) == 0xFFFF - checksum(four + four + b"\0\x11")
    assert headers.pseudo(six, six, 6) == 0xFFFF - checksum(six + six + b"\0\x06")


def test_ipv4_write_and_read():
    source, destination = b"\x0a\x00\x00\x01", b"\xff\xfe\xfd\xfc"
    out = array("i", [0] * 4)
    for off in (0, 3, 5, 6):
        buf = bytearray(b"\xee" * 64)
        headers.ipv4_write(buf, off, 40, 0x12345, 0x2001, 7, 17, source, destination)
        assert buf[:off] == b"\xee" * off and buf[off + 20:] == b"\xee" * (44 - off)
        header = bytes(buf[off:off + 20])
        assert checksum(header) == 0
        assert header[:10] == b"\x45\x00\x00\x28\x23\x45\x20\x01\x07\x11"
        assert header[12:] == source + destination
        assert headers.ipv4_read(buf, off, 40, destination, out) == 20
        assert list(out) == [40, 17, 0x2001, 1]
        assert headers.ipv4_read(buf, off, 41, destination[:3] + b"\xfd", out) == 20
        assert list(out) == [40, 17, 0x2001, 0]
        assert headers.ipv4_read(buf, off, 39, destination, out) == 0
        buf[off + 8] -= 1
        assert headers.ipv4_read(buf, off, 40, destination, out) == -1


def test_ipv4_read_refuses_malformed_headers():
    out = array("i", [0] * 4)
    own = bytes(4)
    for n in range(20):
        assert headers.ipv4_read(b"\x45\0\0\x14" + bytes(40), 0, n, own, out) == 0
    for first in (0x55, 0x44, 0x65, 0x4F):
        assert headers.ipv4_read(bytes((first, 0, 0, 20)) + bytes(40), 0, 44, own, out) == 0
    assert headers.ipv4_read(b"\x45\0\0\x13" + bytes(40), 0, 44, own, out) == 0


def test_tcp_write_and_read_across_the_wrap_of_sequence_numbers():
    out = array("i", [0] * 4)
    here = array("I", (BASE, 0x7FFFFFF0, 80, 50000, 0x1234))
    there = array("I", (0x7FFFFFF0, BASE, 50000, 80, 0x1234))
    for off in (0, 3, 6):
        for seq, ack in ((0, 0), (15, 16), (16, 40), (1000000, 70000)):
            for extra in (0, 1, 100, 101):
                buf = bytearray(off) + bytearray(20) + DATA[:extra]
                headers.tcp_write(here, buf, off, 20 + extra, seq, ack, 0x5018, 0xABCD)
                assert buf[off:off + 4] == b"\x00\x50\xc3\x50"
                wire = (BASE + seq & 0xFFFFFFFF, 0x7FFFFFF0 + ack & 0xFFFFFFFF)
                assert int.from_bytes(buf[off + 4:off + 8], "big") == wire[0]
                assert int.from_bytes(buf[off + 8:off + 12], "big") == wire[1]
                assert bytes(buf[off + 12:off + 16]) == b"\x50\x18\xab\xcd"
                assert bytes(buf[off + 18:off + 20]) == b"\0\0"
                n = 20 + extra
                assert headers.tcp_read(there, buf, off, n, ack + 5, seq - 7, out) == 20
                assert list(out) == [7, -5, 0x18, 0xABCD]
                buf[off + n - 1] ^= 0x40
                assert headers.tcp_read(there, buf, off, n, ack, seq, out) == -1


def test_tcp_read_refuses_malformed_headers():
    out = array("i", [0] * 4)
    wire = array("I", [0] * 5)
    for n in range(20):
        assert headers.tcp_read(wire, bytes(12) + b"\x50" + bytes(20), 0, n, 0, 0, out) == 0
    for offset in (0, 0x10, 0x40, 0x60, 0xF0):
        assert headers.tcp_read(wire, bytes(12) + bytes((offset,)) + bytes(20), 0, 20, 0, 0,
                                out) == 0
