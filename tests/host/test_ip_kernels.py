"""The viper kernels, with their pointers emulated, agree with the struct twin."""

import random
from array import array

import pytest

from mpcore.ip import headers_kernel, headers_struct
from mpcore.port import micropython_shim

RANDOM = random.Random(2)


@pytest.fixture(autouse=True, params=[32, 64])
def words(request):
    micropython_shim.machine_words(request.param)
    yield
    micropython_shim.machine_words(None)


def random_bytes(n):
    return bytearray(RANDOM.choice((b"\0", b"\xff", RANDOM.randbytes(1)))[0] for _ in range(n))


def test_add():
    for n in list(range(30)) + [2800, 10000]:
        for off in (0, 1):
            buf = random_bytes(n + 2)
            total = RANDOM.randrange(0x20000)
            assert (headers_kernel.add(buf, off, n, total)
                    == headers_struct.add(buf, off, n, total)), (off, n)


def test_ipv4():
    for _ in range(100):
        arguments = (RANDOM.randrange(65536), RANDOM.randrange(1 << 20), RANDOM.randrange(65536),
                     RANDOM.randrange(256), RANDOM.randrange(256), bytes(random_bytes(4)), bytes(random_bytes(4)))
        ours, theirs = bytearray(30), bytearray(30)
        headers_kernel.ipv4_write(ours, 3, *arguments)
        headers_struct.ipv4_write(theirs, 3, *arguments)
        assert ours == theirs
        outs = array("i", [9] * 4), array("i", [9] * 4)
        for n in (20, 19, 27, arguments[0]):
            assert (headers_kernel.ipv4_read(ours, 3, n, arguments[-1], outs[0])
                    == headers_struct.ipv4_read(ours, 3, n, arguments[-1], outs[1]))
            assert outs[0] == outs[1]


def test_tcp():
    for _ in range(100):
        wire = array("I", (RANDOM.randrange(1 << 32), RANDOM.randrange(1 << 32), 80, 50000,
                           RANDOM.randrange(0x30000)))
        n = RANDOM.randrange(20, 90)
        off = RANDOM.randrange(8)
        ours = random_bytes(off + n)
        theirs = bytearray(ours)
        seq, ack = RANDOM.randrange(1 << 30), RANDOM.randrange(-100, 1 << 30)
        arguments = off, n, seq, ack, 0x5000 | RANDOM.randrange(64), RANDOM.randrange(65536)
        headers_kernel.tcp_write(wire, ours, *arguments)
        headers_struct.tcp_write(wire, theirs, *arguments)
        assert ours == theirs
        outs = array("i", [9] * 4), array("i", [9] * 4)
        una, nxt = RANDOM.randrange(1 << 30), RANDOM.randrange(1 << 30)
        assert headers_kernel.tcp_read(wire, ours, off, n, una, nxt, outs[0]) == 20
        assert headers_struct.tcp_read(wire, ours, off, n, una, nxt, outs[1]) == 20
        assert outs[0] == outs[1]
