"""Generator of the kernel for arithmetic modulo 2**255 - 19, and the proof of its bounds.

An element has 20 limbs of 13 bits, balanced around zero, each stored as limb + 32768 in 16 bits.
A product is Karatsuba's: three products of 10 limbs by the same code, which takes a quarter of
what all 20 in a row would, so that a board finds a free block for it. Its columns are added up in
32-bit words, of which only the sums in the end need to fit; `prove` follows the largest magnitude
of every limb through a program and checks that each such sum and each stored limb does. Squares
take the way of products.
"""

BIAS = 32768
LIMBS = 20
HALF = LIMBS // 2
# What lies before the elements: the columns of the three products, 20 words each.
SCRATCH = 3 * 4 * LIMBS
# 2**260 = 32 * 2**255 = 32 * 19: what a column above limb 19 counts at the bottom.
FOLD = 608
SMALL = 121665

# Largest magnitude of the limbs of a product, and of what field25519.put stores.
REDUCED = [4096] * LIMBS
REDUCED[2] += 3

_TOP = f'''\
"""Arithmetic modulo 2**255 - 19 by programs. Written by host_tools/kernels/field.py."""

import micropython
from micropython import const

END = const(0)
MUL = const(1)          # to = x * y
SQUARE = const(2)       # to = x, squared y times
ADD = const(3)          # to = x + y, limb by limb
SUB = const(4)          # to = x - y, limb by limb
CARRY = const(5)        # to = x with limbs as small as a product's
SMALL = const(6)        # to = x * {SMALL}
SWAP = const(7)         # elements to, to + 1 with x, x + 1 where the scalar's bit is 1
AGAIN = const(8)        # from the start, until all bits are taken


@micropython.viper
def fold(a: int, d: int, low: ptr32):
    """Add up the columns of three products of halves from `low` on, into the element at d.

    The columns' words are of 32 bits, read without their sign where words have more: there each
    sum is made positive, by 2**31 that `up` adds and what it makes of the carry, which `over` is.
    """
    p = ptr16(d)
    mixed = ptr32(int(low) + {4 * LIMBS})
    high = ptr32(int(low) + {8 * LIMBS})
    mask = low[{LIMBS - 1}]
    up = mask + 1 >> 1
    over = up >> 13
    up = up - over
'''

_RUN = f'''

@micropython.viper
def run(a: int, d: int, low: ptr32, program: ptr8, scalar: ptr8, bit: int):
    """Run a program of four-byte instructions: operation, number of `to`, of x, and of y.

    a, d: anything; as the first arguments they live in registers, as does low: {SCRATCH} bytes to
    work in, which hold the columns of the three products of halves, and after them the elements,
    20 limbs each, plus {BIAS}, so that they read the same on any word size. scalar, bit: the bits
    that SWAP takes, from number `bit` of the little-endian scalar down to 0. Nothing branches on a
    limb or a bit.
    """
    start = int(low)
    base = start + {SCRATCH}
    high = ptr32(start + {8 * LIMBS})
    low[{LIMBS - 1}] = 0 - 1
    both = {BIAS}
    both = (both << 16) + both      # of two limbs, which are added as one word
    pc = int(program)
    while True:
        i = ptr8(pc)
        op = i[0]
        to = base + i[1] * {2 * LIMBS}
        x = base + i[2] * {2 * LIMBS}
        y = base + i[3] * {2 * LIMBS}
        pc += 4
        if op <= SQUARE:
            if op == END:
                return
            times = 1
            if op == SQUARE:
                times = i[3]
                y = x
            while times:
                times -= 1
                r = ptr32(x)
                s = ptr32(y)
'''

_REST = f'''\
        elif op == CARRY or op == SMALL:
            p = ptr16(to)
            q = ptr16(x)
            factor = 1
            if op == SMALL:
                factor = {SMALL}
            d = 0
            k = 0
            while k < {LIMBS}:
                d = (q[k] - {BIAS}) * factor + d
                a = d + 4096 >> 13
                p[k] = d - (a << 13) + {BIAS}
                d = a
                k += 1
            d = d * {FOLD} + p[0] - {BIAS}
            a = d + 4096 >> 13
            p[0] = d - (a << 13) + {BIAS}
            d = a + p[1] - {BIAS}
            a = d + 4096 >> 13
            p[1] = d - (a << 13) + {BIAS}
            p[2] = p[2] + a
        elif op == SWAP:
            if bit < 0:
                return
            a = 0 - (scalar[bit >> 3] >> (bit & 7) & 1)
            bit -= 1
            r = ptr32(to)
            s = ptr32(x)
            k = 0
            while k < {LIMBS}:
                d = (r[k] ^ s[k]) & a
                r[k] = r[k] ^ d
                s[k] = s[k] ^ d
                k += 1
        elif op == AGAIN:
            pc = int(program)
'''


def _products():
    """The columns of a product of halves, into the words from `low` on."""
    out = []
    for column in range(2 * HALF - 1):
        terms = [i for i in range(HALF) if 0 <= column - i < HALF]
        for i in terms:
            carry = " + d" if i != terms[0] else ""
            out += [f"a = a{i}", f"d = b{column - i} * a{carry}"]
        out += [f"low[{column}] = d"]
    return out


def _sums():
    """What each column of the whole product is, made of those of the three."""
    last = HALF - 1
    return [*(f"low[{k}]" for k in range(HALF)),
            *(f"s{k} + mixed[{k}] - low[{k}]" for k in range(last)),
            f"mixed[{last}] - low[{last}] - high[{last}]",
            *(f"mixed[{k + HALF}] - s{k} - high[{k + HALF}]" for k in range(last)),
            *(f"high[{k}]" for k in range(last, 2 * HALF - 1))]


def _columns():
    """First the columns above limb 19, then those they fold into."""
    sums = _sums()
    out = [f"s{k} = low[{k + HALF}] - high[{k}]" for k in range(HALF - 1)] + ["d = over"]
    for column in [*range(LIMBS, 2 * LIMBS - 1), *range(LIMBS)]:
        if column == 0:
            out += [f"g{LIMBS - 1} = d - over", "d = over"]
        out += [f"d = ({sums[column]} + up & mask) + d"]
        if column >= LIMBS:
            out += [f"g{column - LIMBS} = d & 0x1fff", "d = d >> 13"]
        else:
            out += [f"d = g{column} * {FOLD} + d", "a = d + 4096 >> 13",
                    f"g{column} = d - (a << 13)", "d = a"]
    return out + ["d = d - over"]


def _lines(indent, statements):
    return "".join(" " * indent + s + "\n" for s in statements)


def source():
    every, half, words = range(LIMBS), range(HALF), range(HALF // 2)
    text = _TOP + _lines(4, [
        *_columns(),
        f"d = d * {FOLD} + g0", "a = d + 4096 >> 13", "g0 = d - (a << 13)",
        "d = a + g1", "a = d + 4096 >> 13", "g1 = d - (a << 13)", "g2 = g2 + a",
        *(f"p[{i}] = g{i} + {BIAS}" for i in every)])
    # The lower halves, their sums with the upper ones, and the upper ones.
    text += _RUN + _lines(16, [
        *(line for at, own in enumerate("rs") for i in words for line in (
            f"a = {own}[{i}]",
            f"high[{i + at * HALF // 2}] = {own}[{i + HALF // 2}] + a - both")),
        "p = ptr16(x)", "q = ptr16(y)", f"x = x + {LIMBS}", f"y = y + {LIMBS}",
        f"x_next = start + {8 * LIMBS}", f"y_next = x_next + {LIMBS}",
        "part = 0", "while part < 3:"]) + _lines(20, [
        *(f"a{i} = p[{i}] - {BIAS}" for i in half),
        *(f"b{i} = q[{i}] - {BIAS}" for i in half),
        *_products(),
        f"low = ptr32(int(low) + {4 * LIMBS})",
        "p = ptr16(x_next)", "q = ptr16(y_next)", "x_next = x", "y_next = y",
        "part += 1"]) + _lines(16, [
        "low = ptr32(start)", "fold(0, to, start)", "x = to", "y = to"])
    for op, sign, bias in (("ADD", "+", "-"), ("SUB", "-", "+")):
        text += _lines(8, [f"elif op == {op}:"])
        text += _lines(12, ["r = ptr32(x)", "s = ptr32(y)", "t = ptr32(to)",
                            *(f"t[{i}] = r[{i}] {sign} s[{i}] {bias} both" for i in half)])
    return text + _REST


def prove(program, bounds):
    """Follow magnitudes through one pass of a program; {element: limbs' bounds} is updated.

    Raises AssertionError where a sum could leave 32 bits or a limb its 16.
    """
    from mpcore.crypto import field_kernel as op

    for at in range(0, len(program), 4):
        code, to, x, y = program[at:at + 4]
        if code == op.MUL:
            bounds[to] = _product(bounds[x], bounds[y])
        elif code == op.SQUARE:
            bounds[to] = _product(bounds[x], bounds[x])
            assert _within(_product(bounds[to], bounds[to]), bounds[to])
        elif code in (op.ADD, op.SUB):
            bounds[to] = [a + b for a, b in zip(bounds[x], bounds[y])]
            assert max(bounds[to]) < BIAS
        elif code in (op.CARRY, op.SMALL):
            factor = SMALL if code == op.SMALL else 1
            bounds[to] = _carried([factor * limb for limb in bounds[x]])
        elif code == op.SWAP:
            for i in (0, 1):
                both = [max(pair) for pair in zip(bounds[to + i], bounds[x + i])]
                bounds[to + i] = bounds[x + i] = both


def _within(limbs, limits):
    return all(a <= b for a, b in zip(limbs, limits))


def _word(magnitude):
    """A sum that must fit a signed word even when it is rounded."""
    assert magnitude + 4096 < 1 << 31
    return magnitude


def _product(x, y):
    columns = [sum(x[i] * y[k - i] for i in range(LIMBS) if 0 <= k - i < LIMBS)
               for k in range(2 * LIMBS - 1)]
    assert max(columns) <= (1 << 31) - (1 << 18)    # with what comes to it for the carry's sake
    assert all(max(map(sum, zip(each[:HALF], each[HALF:]))) < BIAS for each in (x, y))
    carry = 0
    for column in columns[LIMBS:]:
        carry = (_word(column + carry) >> 13) + 1
    high = [0x1FFF] * (LIMBS - 1) + [carry]
    return _carried([column + FOLD * g for column, g in zip(columns, high)])


def _carried(columns):
    """One chain of rounded carries, the fold of the last, and two more carries."""
    carry = 0
    for column in columns:
        carry = _word(column + carry) + 4096 >> 13
    carry = _word(carry * FOLD + 4096) + 4096 >> 13
    carry = _word(carry + 4096) + 4096 >> 13
    limbs = [4096] * LIMBS
    limbs[2] += carry
    assert _within(limbs, REDUCED)
    return limbs
