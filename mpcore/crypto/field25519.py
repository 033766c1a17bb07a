"""Numbers modulo 2**255 - 19 for X25519 and Ed25519: elements in one array, worked on by programs.

host_tools/kernels/field.py proves that the programs of both curves stay within their words.
"""

from mpcore import fallback, limits
from mpcore.crypto.field_elements import END, MUL, P, SQUARE, get, new, put     # noqa: F401

try:
    from mpcore.crypto.field_kernel import run
except MemoryError:
    fallback.instead_of("mpcore.crypto.field_kernel")
    from mpcore.crypto.field_bytecode import run

_NO_BITS = b"\0"
END_CODE = bytes((END, 0, 0, 0))


def code(*instructions):
    """The bytes of a part of a program."""
    return b"".join([bytes(i) for i in instructions])


def program(*instructions):
    """The bytes of a program: an END is appended."""
    return code(*instructions) + END_CODE


def work(elements, code):
    """Run a program that takes no scalar."""
    run(0, 0, elements, code, _NO_BITS, 0)


def work_slices(elements, program):
    """As work(), in slices (slices.py)."""
    start = cost = 0
    for at in range(0, len(program), 4):
        products = program[at + 3] if program[at] == SQUARE else 1
        if cost + products > limits.SLICE:
            work(elements, program[start:at] + END_CODE)
            yield
            start, cost = at, 0
        cost += products
    work(elements, program[start:])


# No run of squares is longer than a slice.
# z = element 1; leaves z**11 in 4 and z**(2**250 - 1) in 5; uses 4 to 7.
_POWERS = (
    (MUL, 4, 1, 1), (SQUARE, 5, 4, 2), (MUL, 5, 5, 1), (MUL, 4, 4, 5),
    (MUL, 6, 4, 4), (MUL, 5, 5, 6), (SQUARE, 6, 5, 5), (MUL, 5, 6, 5),
    (SQUARE, 6, 5, 10), (MUL, 6, 6, 5), (SQUARE, 7, 6, 20), (MUL, 6, 7, 6),
    (SQUARE, 6, 6, 10), (MUL, 5, 6, 5), (SQUARE, 6, 5, 50), (MUL, 6, 6, 5),
    (SQUARE, 7, 6, 50), (SQUARE, 7, 7, 50), (MUL, 6, 7, 6), (SQUARE, 6, 6, 50), (MUL, 5, 6, 5),
)
# Element 4 = z**(P - 2), the inverse.
INVERT = _POWERS + ((SQUARE, 5, 5, 5), (MUL, 4, 5, 4))
# Element 4 = z**((P - 5) // 8), of which square roots are made.
ROOT = program(*_POWERS, (SQUARE, 5, 5, 2), (MUL, 4, 5, 1))
