"""The kernels themselves: as generated, in bounds of buffer and word, on either word size."""

import json
from pathlib import Path

import pytest

from host_tools.kernels import field as proof
from host_tools.kernels.__main__ import GENERATED, TARGET
from mpcore.crypto import (
    curve25519, edwards25519, field25519, field_elements, field_kernel, portable)
from mpcore.crypto.slices import finish
from mpcore.port import micropython_shim as micropython

VECTORS = Path(__file__).parents[1] / "vectors"


@pytest.mark.parametrize("name", GENERATED)
def test_generated_files_are_what_their_generator_writes(name):
    assert (TARGET / name).read_text() == GENERATED[name]()


def test_operations_are_called_as_the_kernel_calls_them():
    names = [name for name in dir(field_kernel) if name.isupper()]
    assert len(names) == 9
    for name in names:
        assert getattr(field_elements, name) == getattr(field_kernel, name)


class Prover:
    """Takes the place of the field kernel: runs nothing, follows the bounds of all elements."""

    def __init__(self, monkeypatch):
        self.arrays = []
        self.programs = 0
        monkeypatch.setattr(field25519, "run", self.run)
        monkeypatch.setattr(curve25519, "run", self.run)
        monkeypatch.setattr(field25519, "put", self.put)
        monkeypatch.setattr(field25519, "get", lambda elements, number: 1)

    def bounds(self, elements):
        for known, bounds in self.arrays:
            if known is elements:
                return bounds
        self.arrays.append((elements, {}))
        return self.arrays[-1][1]

    def put(self, elements, number, value):
        assert 0 <= value < 1 << 256
        self.bounds(elements)[number] = list(proof.REDUCED)

    def run(self, a, d, elements, program, scalar, bit):
        self.programs += 1
        bounds = self.bounds(elements)
        proof.prove(program, bounds)
        if bit:     # a loop: its second turn may start with nothing larger than the first
            after = {number: list(limbs) for number, limbs in bounds.items()}
            proof.prove(program, bounds)
            assert bounds == after


def test_no_program_of_x25519_overflows(monkeypatch):
    prover = Prover(monkeypatch)
    finish(curve25519.x25519_slices(bytes(32), bytes(32)))
    assert prover.programs == 43 + 5


def test_no_program_of_ed25519_overflows(monkeypatch):
    prover = Prover(monkeypatch)
    digits = bytes(0x11 * i for i in range(16)) * 2     # every entry of the tables, either sign
    scalars = [int.from_bytes(one, "little") - edwards25519._EIGHTS
               for one in (digits, digits[::-1][1:] + b"\x88")]
    finish(edwards25519._sum(*[(scalar, (1, 1)) for scalar in scalars]))
    finish(edwards25519._decode(bytes((2,)) + bytes(31)))
    assert prover.programs == 2 * 8 + 64 + 5 + 5


def test_what_is_stored_is_balanced():
    elements = field25519.new(2)
    for value in (0, 1, 18, field25519.P - 1, field25519.P, (1 << 255) - 1, (1 << 256) - 1,
                  0x1FFF << 117, 0x1000 << 13, 0xFFF << 26):
        field25519.put(elements, 1, value)
        assert field25519.get(elements, 1) == value % field25519.P
        assert all(abs(limb - proof.BIAS) <= 4096 for limb in elements[-20:])
    assert not any(elements[:-20])


def test_a_program_that_may_overflow_is_found():
    from mpcore.crypto.field_kernel import ADD, CARRY, MUL
    four = ((ADD, 1, 0, 0), (ADD, 1, 1, 1))
    for steps, sound in (
            (four + ((MUL, 2, 1, 1),), False),
            (four + ((CARRY, 1, 1, 0), (MUL, 2, 1, 1)), True),
            (four + ((ADD, 1, 1, 1),), False)):
        bounds = {0: list(proof.REDUCED)}
        if sound:
            proof.prove(field25519.program(*steps), bounds)
        else:
            with pytest.raises(AssertionError):
                proof.prove(field25519.program(*steps), bounds)


@pytest.fixture(params=(32, 64))
def words(request):
    micropython.machine_words(request.param)
    yield request.param
    micropython.machine_words(None)


def load(name):
    return json.loads((VECTORS / name).read_text())


def test_packets_on_any_word_size(words):
    vectors = load("packets.json")
    ciphers = [portable.PacketCipher(bytes.fromhex(pair["key"])) for pair in vectors["pairs"]]
    sizes = set()
    for case in vectors["packets"]:
        if len(case["wire"]) in sizes or not 80 < len(case["wire"]) < 400:
            continue
        sizes.add(len(case["wire"]))
        for start in (1, 2):
            buf = bytearray(start) + bytes.fromhex(case["plaintext"])
            cipher = ciphers[case["pair"]]
            cipher.armor(buf, start, len(buf) - start, case["cipher"])
            assert buf[start:].hex() == case["wire"]
            assert cipher.dearmor(buf, start, len(buf) - start)


def test_poly1305_with_the_largest_sums_on_any_word_size(words):
    for case in load("primitives.json")["poly1305"][-8:-2]:
        message = bytes.fromhex(case["message"])
        tag = portable.poly1305(bytes.fromhex(case["key"]), message, 0, len(message))
        assert tag.hex() == case["mac"]


def test_hashes_and_aes_on_any_word_size(words):
    vectors = load("primitives.json")
    for case in vectors["sha2"][8:12]:
        assert portable.sha512(bytes.fromhex(case["message"])).hex() == case["sha512"]
    for case in vectors["aes_gmac_siv"][11:17]:
        siv = portable.AesGmacSiv(bytes.fromhex(case["k0"]), bytes.fromhex(case["k1"]))
        buf = bytearray.fromhex(case["plaintext"])
        aad, iv = bytes.fromhex(case["aad"]), bytes.fromhex(case["iv"])
        assert siv.seal(iv, aad, buf, 0, len(buf)).hex() == case["tag"]
        assert buf.hex() == case["ciphertext"]


def test_lz4_on_any_word_size(words):
    plain = b"filament " * 40 + bytes(range(100)) + bytes(400)
    block, out = bytearray(600), bytearray(len(plain))
    n = portable.lz4_compress(plain, 0, len(plain), block, 0, len(block))
    assert 0 < n < 200
    assert portable.lz4_decompress(block, 0, n, out, 0, len(out)) == len(plain)
    assert out == plain


def test_curves_on_any_word_size(words):
    case = load("identity.json")["x25519_edge"][3]
    private, public = bytes.fromhex(case["private"]), bytes.fromhex(case["public"])
    assert portable.x25519(private, public).hex() == case["shared"]
    identity = load("identity.json")["identities"][0]
    seed = bytes.fromhex(identity["private_key"])[32:]
    assert portable.ed25519_public(seed).hex() == identity["public_key"][64:]


def test_emulated_pointers_check_every_access():
    @micropython.viper
    def peek(p: ptr8, offset: int, width: int) -> int:
        if width == 4:
            return ptr32(int(p) + offset)[0]
        if width == 2:
            return ptr16(int(p) + offset)[0]
        return ptr8(int(p) + offset)[0]

    data = bytes(range(8))
    assert peek(data, 4, 4) == 0x07060504
    assert peek(data, 6, 2) == 0x0706
    assert peek(data, 7, 1) == 7
    for offset, width in ((8, 1), (7, 2), (6, 4), (2, 4), (3, 2), (-1, 1)):
        with pytest.raises(IndexError):
            peek(data, offset, width)


def test_emulated_words_wrap(words):
    @micropython.viper
    def arithmetic(p: ptr32) -> int:
        return p[0] + p[0], p[0] << 1, p[0] >> 31, p[0] * p[0]

    total, doubled, sign, square = arithmetic(b"\xff\xff\xff\xff")
    if words == 32:
        assert (total, doubled, sign, square) == (-2, -2, -1, 1)
    else:
        assert (total, doubled, sign) == (0x1FFFFFFFE, 0x1FFFFFFFE, 1)
        assert square == 0xFFFFFFFE00000001 - (1 << 64)
