"""X25519 (RFC 7748; spec/identity.md 5): Montgomery's ladder in one kernel call."""

from mpcore.crypto import field25519 as field
from mpcore.crypto.field_kernel import ADD, AGAIN, MUL, SMALL, SUB, SWAP, run

# Elements: x2, z2, x3, z3, four temporaries, x1. Names as in RFC 7748 5.
_LADDER = field.program(
    (SWAP, 0, 2, 0),
    (ADD, 4, 0, 1), (SUB, 5, 0, 1),                     # A, B
    (ADD, 6, 2, 3), (SUB, 7, 2, 3),                     # C, D
    (MUL, 2, 7, 4), (MUL, 3, 6, 5),                     # DA, CB
    (MUL, 6, 4, 4), (MUL, 7, 5, 5),                     # AA, BB
    (ADD, 4, 2, 3), (SUB, 5, 2, 3),
    (MUL, 2, 4, 4), (MUL, 4, 5, 5), (MUL, 3, 8, 4),     # x3, z3
    (MUL, 0, 6, 7), (SUB, 5, 6, 7),                     # x2, E
    (SMALL, 4, 5, 0), (ADD, 4, 4, 6), (MUL, 1, 5, 4),   # z2
    (AGAIN, 0, 0, 0),
)
_QUOTIENT = field.program(*field.INVERT, (MUL, 0, 0, 4))     # x2 / z2


def x25519(private, public):
    scalar = bytearray(private)
    scalar[0] &= 0xF8
    scalar[31] = scalar[31] & 0x7F | 0x40
    u = int.from_bytes(public, "little") & (1 << 255) - 1
    elements = field.new(9)
    for number, value in enumerate((1, 0, u, 1)):
        field.put(elements, number, value)
    field.put(elements, 8, u)
    # The lowest bit of a clamped scalar is 0, so nothing is left to swap at the end.
    run(0, 0, elements, _LADDER, scalar, 254)
    field.work(elements, _QUOTIENT)
    return field.get(elements, 0).to_bytes(32, "little")
