"""Salsa20's rounds on big integers, for any number of blocks at once (spec/crypto.md 1).

The 4x4 state is kept as its four diagonals; each is one big integer of 64-bit lanes, word after
word, block after block. A lane holds 32 bits of state and 32 bits of room for carries and
rotations, so one addition serves every block.
"""

# Word numbers of the diagonals, one quarter round per column of this table.
DIAGONALS = ((0, 5, 10, 15), (4, 9, 14, 3), (8, 13, 2, 7), (12, 1, 6, 11))


def mixed(diagonals, blocks, mask, rounds):
    """What so many rounds make of the four diagonals of so many blocks. mask: the low 32 bits of
    every lane."""
    a, b, c, d = diagonals
    row = 64 * blocks
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
    return a, b, c, d
