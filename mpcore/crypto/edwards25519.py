"""Ed25519 (RFC 8032): signed digits of four bits, -8 to 7, over tables of multiples."""

from micropython import const

from mpcore import limits
from mpcore.crypto import field25519 as field
from mpcore.crypto.field_elements import ADD, CARRY, MUL, SUB, P
from mpcore.crypto.slices import finish

_ORDER = (1 << 252) + 27742317777372353535851937790883648493
_D = 37095705934669439343138083508754565189542113879843219016388785533085940283555
_ROOT_OF_MINUS_1 = 19681161376707505956807079304988542015446066515923890162744021073123829784752
_BASE = (15112221349535400772501151409588531511454012693041857206046113283949847762202,
         46316835694926478169428394003475163141307993866256225615783033603165251855960)
# y of the points whose order divides 8.
_SMALL_ORDER = (
    0, 1, P - 1,
    2707385501144840649318225287225658788936804267575313519463743609750303402022,
    P - 2707385501144840649318225287225658788936804267575313519463743609750303402022)

# Elements: a point X, Z, Y, T (extended coordinates), temporaries 4 to 9, the constant 2 * d,
# then one or two tables. A table entry is Y - X, Y + X, 2 * d * T, 2 * Z of a multiple 0 to 8.
_X = const(0)
_Z = const(1)
_Y = const(2)
_T = const(3)
_2D = const(10)
_TABLE = const(11)
_ENTRY = const(4)
_TABLE_SIZE = const(36)

# RFC 8032 5.1.4, its names in the comments. F needs a carry: it sums four products and E three,
# whose limbs are up to 4099 each, and 20 * (4 * 4099) * (3 * 4099) is above 2**31. T is not needed
# before another doubling.
_DOUBLE = field.code(
    (MUL, 4, _X, _X), (MUL, 5, _Y, _Y), (MUL, 6, _Z, _Z), (ADD, 6, 6, 6),
    (ADD, 7, 4, 5), (ADD, 8, _X, _Y), (MUL, 8, 8, 8), (SUB, 8, 7, 8),       # H, E
    (SUB, 9, 4, 5), (ADD, 6, 6, 9), (CARRY, 6, 6, 0),                       # G, F
    (MUL, _X, 8, 6), (MUL, _Y, 9, 7), (MUL, _Z, 6, 9),
)
_WINDOW = _DOUBLE * 4 + field.code((MUL, _T, 8, 7))

# Adds a table's entry, which _choose puts in.
_ADD = field.code(
    (SUB, 4, _Y, _X), (MUL, 4, 4, 0), (ADD, 5, _Y, _X), (MUL, 5, 5, 0),
    (MUL, 6, _T, 0), (MUL, 7, _Z, 0),                                       # A, B, C, D
    (SUB, 8, 5, 4), (ADD, 5, 5, 4), (SUB, 4, 7, 6), (ADD, 7, 7, 6),         # E, H, F, G
    (MUL, _X, 8, 4), (MUL, _Y, 7, 5), (MUL, _Z, 4, 7), (MUL, _T, 8, 5),
)
# Makes the point an entry; the first operand of each is where to.
_KEEP = field.code((SUB, 0, _Y, _X), (ADD, 0, _Y, _X), (MUL, 0, _T, _2D), (ADD, 0, _Z, _Z))
_AFFINE = field.program(*field.INVERT, (MUL, _X, _X, 4), (MUL, _Y, _Y, 4))

_WINDOW_COST = const(29)        # products in _WINDOW
_ADD_COST = const(8)

# Added to a scalar, makes its digits 0 to 15: each 8 more than it counts.
_EIGHTS = int.from_bytes(b"\x88" * 32, "little")


def _choose(code, at, entry, negative):
    """Have the _ADD at code[at:] add an entry, or where `negative` is 1 subtract it: the negative
    of a point has Y - X for Y + X, and -T.
    """
    code[at + 7] = entry + negative             # of A
    code[at + 15] = entry + 1 - negative        # of B
    code[at + 19] = entry + 2                   # of C
    code[at + 23] = entry + 3                   # of D
    code[at + 32] = SUB - negative              # F
    code[at + 36] = ADD + negative              # G


def _fill(elements, at, x, y):
    """The table of multiples 0 to 8 of a point, in slices."""
    for number, value in enumerate((1, 1, 0, 2)):
        field.put(elements, at + number, value)
    yield
    for number, value in ((_X, x), (_Z, 1), (_Y, y), (_T, x * y % P)):
        field.put(elements, number, value)
    code = bytearray(_ADD + _KEEP + field.END_CODE)
    _choose(code, 0, at + _ENTRY, 0)
    yield
    start = len(_ADD)           # the point itself is kept as it is
    for entry in range(at + _ENTRY, at + _TABLE_SIZE, _ENTRY):
        for i in range(_ENTRY):
            code[len(_ADD) + 4 * i + 1] = entry + i
        field.work(elements, code[start:])
        start = 0
        if entry == at + 4 * _ENTRY:        # half of them
            yield


def _sum(*terms):
    """The encoding of the sum of multiples, in slices; a term is a scalar below the group's order
    and a point.

    All terms share the doublings: one window of four bits at a time.
    """
    elements = field.new(_TABLE + _TABLE_SIZE * len(terms))
    field.put(elements, _2D, 2 * _D % P)
    code = bytearray(_WINDOW + _ADD * len(terms) + field.END_CODE)
    places = []
    for i, (scalar, point) in enumerate(terms):
        at = _TABLE + _TABLE_SIZE * i
        yield from _fill(elements, at, *point)
        places.append(((scalar + _EIGHTS).to_bytes(32, "little"), at,
                       len(_WINDOW) + len(_ADD) * i))
        yield
    for number, value in enumerate((0, 1, 1, 0)):
        field.put(elements, number, value)
    cost = 0
    for nibble in range(63, -1, -1):
        for digits, at, place in places:
            digit = (digits[nibble >> 1] >> 4 * (nibble & 1) & 15) - 8
            negative = digit >> 3 & 1
            _choose(code, place, at + _ENTRY * ((digit ^ -negative) + negative), negative)
        field.work(elements, code)
        cost += _WINDOW_COST + _ADD_COST * len(terms)
        if cost + _WINDOW_COST > limits.SLICE:
            cost = 0
            yield
    yield
    yield from field.work_slices(elements, _AFFINE)
    sign = field.get(elements, _X) & 1
    return (field.get(elements, _Y) | sign << 255).to_bytes(32, "little")


def _decode(encoded):
    """The point x, y of 32 bytes, in slices; None if there is none, or another encoding, or small
    order."""
    y = int.from_bytes(encoded, "little")
    sign = y >> 255
    y &= (1 << 255) - 1
    if y >= P or y in _SMALL_ORDER:
        return None
    u = (y * y - 1) % P
    v = (_D * y * y + 1) % P
    uv3 = u * v * v * v % P
    elements = field.new(8)
    field.put(elements, 1, uv3 * v * v * v * v % P)
    yield
    yield from field.work_slices(elements, field.ROOT)
    yield
    x = uv3 * field.get(elements, 4) % P
    if v * x * x % P != u:
        x = x * _ROOT_OF_MINUS_1 % P
        if v * x * x % P != u:
            return None
    return (x if x & 1 == sign else P - x), y


def _scalar(digest):
    """Little-endian bytes as a number modulo the group's order."""
    return int.from_bytes(digest, "little") % _ORDER


def _expand(seed):
    """The secret scalar modulo the group's order, and the prefix for nonces, 32 bytes."""
    from mpcore.crypto.sha2 import sha512

    digest = bytearray(sha512(seed))
    digest[0] &= 0xF8
    digest[31] = digest[31] & 0x7F | 0x40
    return _scalar(digest[:32]), digest[32:]


_last = (None, None)    # the seed that signed last, and its public key, which is half of the work


def public(seed):
    return finish(_sum((_expand(seed)[0], _BASE)))


def sign(seed, message):
    from mpcore.crypto.sha2 import sha512

    global _last
    if _last[0] != seed:
        _last = (bytes(seed), public(seed))
    secret, prefix = _expand(seed)
    nonce = _scalar(sha512(prefix + message))
    r = finish(_sum((nonce, _BASE)))
    challenge = _scalar(sha512(r + _last[1] + message))
    s = (nonce + challenge * secret) % _ORDER
    return r + s.to_bytes(32, "little")


def verify_slices(public, signature, digest):
    """Whether a signature is good, in slices; public: 32 bytes, signature: 64 bytes R, S, digest:
    the SHA-512 of R, public and the message."""
    r = bytes(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    point = yield from _decode(public)
    if (not point or s >= _ORDER
            or int.from_bytes(r, "little") & (1 << 255) - 1 in _SMALL_ORDER):
        return False
    yield
    return (yield from _sum((_scalar(digest), (P - point[0], point[1])), (s, _BASE))) == r
