"""X25519 (RFC 7748; spec/identity.md 5): Montgomery's ladder in a few kernel calls."""

from micropython import const

from mpcore import limits
from mpcore.crypto import field25519 as field
from mpcore.crypto.field25519 import run
from mpcore.crypto.field_elements import ADD, AGAIN, MUL, SMALL, SUB, SWAP

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

_STEP = const(10)               # products and their like in one step of the ladder
_BITS = min(16, max(1, limits.SLICE // _STEP))  # of the scalar in one slice: two bytes at most


def x25519_slices(private, public):
    """The 32 shared bytes, in slices: the ladder's, and the division."""
    scalar = bytearray(private)
    scalar[0] &= 0xF8
    scalar[31] = scalar[31] & 0x7F | 0x40
    # The two points change places where a bit differs from the one above it. The lowest bit of a
    # clamped scalar is 0, so they are in place at the end.
    bits = int.from_bytes(scalar, "little")
    changes = bits ^ bits >> 1
    u = int.from_bytes(public, "little") & (1 << 255) - 1
    elements = field.new(9)
    for number, value in enumerate((1, 0, u, 1)):
        field.put(elements, number, value)
    field.put(elements, 8, u)
    end = 256
    while end:
        start = max(0, end - _BITS)
        part = changes >> start & (1 << end - start) - 1
        run(0, 0, elements, _LADDER, part.to_bytes(2, "little"), end - start - 1)
        end = start
        yield
    yield from field.work_slices(elements, _QUOTIENT)
    return field.get(elements, 0).to_bytes(32, "little")
