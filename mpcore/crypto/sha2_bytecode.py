"""The twin of sha2_kernel.py: on integers of 64 bits, some thirty times slower (FIPS 180-4)."""

import struct

from micropython import const

_ONES = (1 << 64) - 1
_ROUNDS = const(80)


def _turned(x, *counts):
    """The XOR of a word turned right by each of these counts."""
    result = 0
    for n in counts:
        result ^= x >> n ^ x << 64 - n
    return result & _ONES


def compress(a, b, w, v, state, k, m, off, blocks):
    for at in range(off, off + 128 * blocks, 128):
        words = list(struct.unpack(">16Q", m[at:at + 128]))
        before = [state[i] << 32 | state[i + 1] for i in range(0, 16, 2)]
        a, b, c, d, e, f, g, h = before
        for i in range(_ROUNDS):
            if i >= 16:
                x, y = words[1], words[14]
                words.append((_turned(x, 1, 8) ^ x >> 7) + (_turned(y, 19, 61) ^ y >> 6)
                             + words[0] + words[9] & _ONES)
                words.pop(0)
            one = (h + _turned(e, 14, 18, 41) + ((f ^ g) & e ^ g)
                   + (k[2 * i] << 32 | k[2 * i + 1]) + words[min(i, 15)])
            two = _turned(a, 28, 34, 39) + ((a | b) & c | a & b)
            a, b, c, d, e, f, g, h = one + two & _ONES, a, b, c, d + one & _ONES, e, f, g
        for i, (old, new) in enumerate(zip(before, (a, b, c, d, e, f, g, h))):
            total = old + new & _ONES
            state[2 * i] = total >> 32
            state[2 * i + 1] = total & 0xFFFFFFFF
