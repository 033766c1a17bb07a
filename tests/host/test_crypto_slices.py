"""Arithmetic in slices: the same results, and none of the slices longer than the limit says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpcore import limits
from mpcore.crypto import (curve25519, edwards25519, field25519, field_kernel, native, portable,
                           sha2)
from mpcore.crypto.slices import finish

SEED, MESSAGE = bytes(range(32)), b"message"
PUBLIC = native.ed25519_public(SEED)
SIGNATURE = native.ed25519_sign(SEED, MESSAGE)
AT_MOST = limits.SLICE


class Meter:
    """Takes the place of the kernels: computes nothing and counts, in products."""

    def __init__(self, monkeypatch):
        self.products = 0
        monkeypatch.setattr(field25519, "run", self.run)
        monkeypatch.setattr(curve25519, "run", self.run)
        monkeypatch.setattr(sha2, "compress", self.compress)

    def run(self, a, d, elements, program, scalar, bit):
        passes = bit + 1 if bit else 1
        for at in range(0, len(program), 4):
            operation, times = program[at], program[at + 3]
            if operation in (field_kernel.MUL, field_kernel.SMALL):
                self.products += passes
            elif operation == field_kernel.SQUARE:
                self.products += times
            elif operation in (field_kernel.END, field_kernel.AGAIN):
                break

    def compress(self, a, b, w, v, state, k, m, off, blocks):
        assert off + 128 * blocks <= len(m)
        self.products += sha2._PRODUCTS * blocks

    def slices(self, generator):
        costs = []
        while True:
            self.products = 0
            try:
                next(generator)
            except StopIteration:
                return costs + [self.products]
            costs.append(self.products)


def test_no_slice_of_x25519_is_too_long(monkeypatch):
    costs = Meter(monkeypatch).slices(curve25519.x25519_slices(bytes(32), bytes(32)))
    assert max(costs) <= AT_MOST
    assert len(costs) == 48 and 2750 < sum(costs) < 2850


def test_no_slice_of_ed25519_is_too_long(monkeypatch):
    meter = Meter(monkeypatch)
    decode = edwards25519._decode

    def decoded(encoded):
        yield from decode(encoded)
        return 1, 1             # what has been decoded means nothing, as nothing is computed

    monkeypatch.setattr(edwards25519, "_decode", decoded)
    costs = meter.slices(portable.ed25519_verify_slices(PUBLIC, MESSAGE, SIGNATURE))
    assert max(costs) <= AT_MOST
    assert max(costs) <= AT_MOST and 3500 < sum(costs) < 4000


@pytest.mark.parametrize("size", (0, 111, 112, 1024, 1152, 9740))
def test_no_slice_of_sha512_is_too_long(monkeypatch, size):
    meter = Meter(monkeypatch)
    costs = meter.slices(sha2.sha512_slices(bytes(size)))
    assert max(costs) <= AT_MOST
    assert sum(costs) == sha2._PRODUCTS * ((size + 17 + 127) // 128)


def test_a_slice_does_not_depend_on_what_runs_in_between():
    """Two of each at a time, with a whole packet's worth of the other kernels between slices."""
    other = native.ed25519_public(bytes(32))
    both = [portable.x25519_slices(SEED, other), portable.x25519_slices(bytes(32), PUBLIC),
            portable.ed25519_verify_slices(PUBLIC, MESSAGE, SIGNATURE),
            portable.ed25519_verify_slices(PUBLIC, MESSAGE + b"!", SIGNATURE),
            portable.sha512_slices(bytes(5000))]
    results = {}
    while len(results) < len(both):
        for number, slices in enumerate(both):
            if number not in results:
                try:
                    next(slices)
                except StopIteration as end:
                    results[number] = end.value
        portable.sha512(b"in between")
    assert results == {0: native.x25519(SEED, other), 1: native.x25519(bytes(32), PUBLIC),
                       2: True, 3: False, 4: native.sha512(bytes(5000))}


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=5000))
def test_sha512_in_slices_is_sha512(data):
    assert finish(portable.sha512_slices(data)) == native.sha512(data)


@settings(max_examples=4, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_x25519_in_slices_is_x25519(private, point):
    assert finish(portable.x25519_slices(private, point)) == native.x25519(private, point)


@settings(max_examples=4, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100), st.integers(0, 511))
def test_ed25519_in_slices_is_ed25519(seed, message, bit):
    public, good = native.ed25519_public(seed), native.ed25519_sign(seed, message)
    bad = bytearray(good)
    bad[bit >> 3] ^= 1 << (bit & 7)
    for signature, expected in ((good, True), (bytes(bad), False)):
        assert finish(portable.ed25519_verify_slices(public, message, signature)) is expected
        assert native.ed25519_verify(public, message, signature) is expected


def multiple(scalar):
    """The encoding of a multiple of the base point, by additions of affine points (RFC 8032)."""
    p, d = field25519.P, edwards25519._D

    def add(a, b):
        product = d * a[0] * b[0] * a[1] * b[1] % p
        return ((a[0] * b[1] + a[1] * b[0]) * pow(1 + product, -1, p) % p,
                (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, p) % p)

    total, power = (0, 1), edwards25519._BASE
    for bit in range(scalar.bit_length()):
        if scalar >> bit & 1:
            total = add(total, power)
        power = add(power, power)
    return (total[1] | (total[0] & 1) << 255).to_bytes(32, "little")


@pytest.mark.parametrize("scalar", (
    0, 1, 7, 8, 9, 0x87, 0x88, 0x78 << 240, edwards25519._ORDER - 1, (1 << 252) - 1,
    int("08" * 31, 16), int("f7" * 31, 16)))
def test_every_digit_counts_what_it_should(scalar):
    assert finish(edwards25519._sum((scalar, edwards25519._BASE))) == multiple(scalar)
