"""Salsa20 on big integers, for CPython where libsodium does not offer the wanted round count. All
blocks of a message are computed at once.
"""

import array

from mpcore.crypto.salsa_diagonals import DIAGONALS, mixed

_SIGMA = b"expand 32-byte k"


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
             for diagonal in DIAGONALS]
    numbers = array.array("Q", range(counter, counter + blocks))
    low = array.array("Q", [n & 0xFFFFFFFF for n in numbers])
    high = array.array("Q", [n >> 32 for n in numbers])
    state[2] |= int.from_bytes(low.tobytes(), "little")             # word 8 leads the diagonal
    state[1] |= int.from_bytes(high.tobytes(), "little") << row     # word 9

    out = array.array("I", bytes(64 * blocks))
    for start, end, diagonal in zip(state, mixed(state, blocks, mask, rounds), DIAGONALS):
        lanes = array.array("I", (start + end & mask).to_bytes(32 * blocks, "little"))
        for i, w in enumerate(diagonal):
            out[w::16] = lanes[2 * blocks * i:2 * blocks * (i + 1):2]
    return out.tobytes()
