"""Numbers modulo 2**255 - 19 as elements in one array, and what programs do with them.

The kernel and its twin in bytecode work on these; field25519.py has the rest.
"""

import array

from micropython import const

# Operations, as the kernel has them.
END = const(0)
MUL = const(1)
SQUARE = const(2)
ADD = const(3)
SUB = const(4)
CARRY = const(5)
SMALL = const(6)
SWAP = const(7)
AGAIN = const(8)

P = (1 << 255) - 19

# Balances the limbs: each is 13 bits of the number plus this, less 4096.
_HALVES = sum([4096 << 13 * i for i in range(20)])
_FIRST = const(120)     # where the elements begin, after what the kernel needs to work in


def new(count):
    """An array of `count` elements, 40 bytes each, as the kernel takes it."""
    return array.array("H", bytes(2 * _FIRST + 40 * count))


def put(elements, number, value):
    """Set an element to a value below 2**256."""
    raw = (value + _HALVES).to_bytes(33, "little")
    for i in range(20):
        at = 13 * i >> 3
        word = raw[at] | raw[at + 1] << 8 | raw[at + 2] << 16
        elements[_FIRST + 20 * number + i] = (word >> (13 * i & 7) & 0x1FFF) + 28672


def get(elements, number):
    """The value of an element, 0 to P - 1."""
    value = 0
    for i in range(_FIRST + 20 * number + 19, _FIRST + 20 * number - 1, -1):
        value = (value << 13) + elements[i] - 32768
    return value % P
