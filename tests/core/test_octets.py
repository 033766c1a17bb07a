"""Bytes in place, of mpcore.octets and of its twin by slices, at every alignment."""

from mpcore import octets, octets_slices

DATA = bytes([(i * 167 + 13) & 0xFF for i in range(200)])
EACH = octets, octets_slices


def test_copy():
    for each in EACH:
        for n in list(range(20)) + [63, 64, 65, 100]:
            for at in range(5):
                for off in range(5):
                    for source in DATA, bytearray(DATA), memoryview(DATA):
                        target = bytearray(120)
                        each.copy(target, at, source, off, n)
                        assert target == bytes(at) + DATA[off:off + n] + bytes(120 - at - n)
                        each.copy(memoryview(target), at, bytes(120), 0, n)
                        assert target == bytes(120)


def test_copy_within_a_buffer():
    for each in EACH:
        buf = bytearray(DATA)
        each.copy(buf, 150, buf, 20, 50)
        assert buf == DATA[:150] + DATA[20:70]


def test_equal():
    for each in EACH:
        for off in range(5):
            for n in list(range(10)) + [64]:
                other = bytearray(DATA[off:off + n])
                for buf in DATA, bytearray(DATA), memoryview(DATA):
                    for as_what in bytes, bytearray, memoryview:
                        assert each.equal(buf, off, as_what(other)) == 1
                    for at in range(n):
                        other[at] ^= 1
                        assert each.equal(buf, off, bytes(other)) == 0
                        other[at] ^= 1
