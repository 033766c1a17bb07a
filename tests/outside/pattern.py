"""Bytes that both ends of a test know: what is lost, doubled or misplaced shows."""

_PERIOD = 65521             # a prime: no segment size divides it
_block = bytes((i * 7 + (i >> 8)) & 0xFF for i in range(_PERIOD))


def pattern(at, n):
    """At most n bytes of the pattern from position `at` on, at least one."""
    at %= _PERIOD
    return _block[at:at + n]


def whole(n):
    """The first n bytes of the pattern."""
    return (_block * (n // _PERIOD + 1))[:n]
