"""The twins of packet_kernel.py and the kernels in it: on big integers, some fifty times slower.

Their arguments are the kernels', so that some mean nothing here.
"""

import struct

from micropython import const

from mpcore.crypto.salsa_diagonals import DIAGONALS, mixed

_WHOLE = const(4)               # blocks of keystream at once; a number has 32 bytes of each
_P = (1 << 130) - 5
_CLAMP = 0x0ffffffc0ffffffc0ffffffc0fffffff


def set_state(state, key, iv, counter):
    _set_words(state, 1, key[:16])
    _set_words(state, 6, iv)
    state[8] = counter
    state[9] = 0
    _set_words(state, 11, key[16:32])


def set_key(state, shared, buf, off, n, block0):
    mangling = (int.from_bytes(buf[off:off + 18], "little") | (buf[off + 18] & 0xF8) << 144
                | (n & 0xFFFF) << 152)
    key = int.from_bytes(shared[:32], "little") ^ mangling
    set_state(state, key.to_bytes(32, "little"), buf[off:off + 8], 0)
    block0[:64] = bytes(64)


def _set_words(state, at, data):
    for word in struct.unpack("<%dI" % (len(data) >> 2), data):
        state[at] = word
        at += 1


def xor_blocks(t, u, state, block, buf, off, n, double_rounds):
    while n > 0:
        blocks = min(n + 63 >> 6, _WHOLE)
        length = min(n, 64 * blocks)
        stream = _keystream(state, blocks, double_rounds)
        mixed = (int.from_bytes(buf[off:off + length], "little")
                 ^ int.from_bytes(stream[:length], "little"))
        buf[off:off + length] = mixed.to_bytes(length, "little")
        state[8] = state[8] + blocks & 0xFFFFFFFF
        off += length
        n -= length


def _keystream(state, blocks, double_rounds):
    row = 64 * blocks
    ones = sum([1 << 64 * number for number in range(blocks)])
    mask = 0xFFFFFFFF * sum([ones << row * i for i in range(4)])
    start = [sum([state[word] * ones << row * i for i, word in enumerate(diagonal)])
             for diagonal in DIAGONALS]
    start[2] = start[2] + sum([number << 64 * number for number in range(blocks)]) & mask
    out = bytearray(64 * blocks)
    end = mixed(start, blocks, mask, 2 * double_rounds)
    for before, after, diagonal in zip(start, end, DIAGONALS):
        lanes = (before + after & mask).to_bytes(32 * blocks, "little")
        at = 0
        for word in diagonal:
            for to in range(4 * word, 64 * blocks, 64):
                out[to:to + 4] = lanes[at:at + 4]
                at += 8
    return out


def tag(d, e, key, buf, off, n, block, out):
    key = bytes(key)
    r = int.from_bytes(key[:16], "little") & _CLAMP
    total = 0
    end = off + n
    for at in range(off, end, 16):
        length = min(16, end - at)
        part = int.from_bytes(buf[at:at + length], "little") | 1 << 8 * length
        total = (total + part) * r % _P
    total += int.from_bytes(key[16:32], "little")
    out[:16] = (total & (1 << 128) - 1).to_bytes(16, "little")


def write_mac(buf, off, computed):
    buf[off:off + 8] = computed[:8]


def differs(buf, off, computed):
    difference = 0
    for i in range(8):
        difference |= buf[off + i] ^ computed[i]
    return difference
