"""Salsa20 on big integers, for CPython where libsodium does not offer the wanted round count.

All blocks of a message are computed at once. The 4x4 state is kept as its four diagonals; each is
one big integer of 64-bit lanes, word after word, block after block. A lane holds 32 bits of state
and 32 bits of room for carries and rotations, so one addition serves every block.
"""

import array

_SIGMA = b"expand 32-byte k"

# Word numbers of the diagonals, one quarter round per column of this table.
_DIAGONALS = ((0, 5, 10, 15), (4, 9, 14, 3), (8, 13, 2, 7), (12, 1, 6, 11))


def keystream(key, iv, counter, blocks, rounds):
    """Return `blocks` * 64 bytes of Salsa20 keystream from block `counter` (spec/crypto.md 1).

    key: 32 bytes; iv: 8 bytes; rounds: 12 or 20.
    """
    words = array.array("I", _SIGMA[:4] + key[:16] + _SIGMA[4:8] + iv + bytes(8)
                        + _SIGMA[8:12] + key[16:] + _SIGMA[12:])
    row = 64 * blocks
    ones = int.from_bytes(b"\1\0\0\0\0\0\0\0" * blocks, "little")
    mask = int.from_bytes(b"\xff\xff\xff\xff\0\0\0\0" * (4 * blocks), "little")
    state = [sum(words[w] * ones << row * i for i, w in enumerate(diagonal))
             for diagonal in _DIAGONALS]
    numbers = array.array("Q", range(counter, counter + blocks))
    low = array.array("Q", [n & 0xFFFFFFFF for n in numbers])
    high = array.array("Q", [n >> 32 for n in numbers])
    state[2] |= int.from_bytes(low.tobytes(), "little")             # word 8 leads the diagonal
    state[1] |= int.from_bytes(high.tobytes(), "little") << row     # word 9

    a, b, c, d = state
    whole = (1 << 4 * row) - 1
    for _ in range(rounds):
        t = a + d & mask
        b ^= (t << 7 | t >> 25) & mask
        t = b + a & mask
        c ^= (t << 9 | t >> 23) & mask
        t = c + b & mask
        d ^= (t << 13 | t >> 19) & mask
        t = d + c & mask
        a ^= (t << 18 | t >> 14) & mask
        # A row round is a column round of the diagonals turned by one, two and three words.
        b, c, d = ((d >> row | d << 3 * row) & whole,
                   (c >> 2 * row | c << 2 * row) & whole,
                   (b >> 3 * row | b << row) & whole)

    out = array.array("I", bytes(64 * blocks))
    for start, end, diagonal in zip(state, (a, b, c, d), _DIAGONALS):
        lanes = array.array("I", (start + end & mask).to_bytes(32 * blocks, "little"))
        for i, w in enumerate(diagonal):
            out[w::16] = lanes[2 * blocks * i:2 * blocks * (i + 1):2]
    return out.tobytes()
