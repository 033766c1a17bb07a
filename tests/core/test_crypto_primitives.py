"""Primitives against the real implementation's values (spec/crypto.md 1).

Every case is put to the facade and to the portable twin. Where these differ, on CPython, the
kernels of the twin are emulated, which is slow: there it gets a few small cases.
"""

from mpcore import crypto
from mpcore.crypto import portable
from support import raises, vectors

_VECTORS = vectors("primitives.json")
_SAME = crypto.salsa20_xor is portable.salsa20_xor
_h = bytes.fromhex


def _cases(name, size, every=5):
    """Pairs of an implementation and a case; size: the field whose length decides."""
    for number, case in enumerate(_VECTORS[name]):
        yield crypto, case
        if not _SAME and number % every == 0 and len(case[size]) <= 400:
            yield portable, case


def _salsa(twin, rounds, case, lead):
    """Keystream into a buffer with `lead` bytes before it, which must stay as they are."""
    buf = bytearray(lead + case["length"] + 1)
    twin.salsa20_xor(_h(case["key"]), _h(case["iv"]), 0, buf, lead, case["length"], rounds)
    assert buf[:lead] == bytes(lead) and buf[-1] == 0
    return buf[lead:-1].hex()


def test_salsa20_keystream():
    for name, rounds in (("salsa20_12", 12), ("salsa20_20", 20)):
        for twin, case in _cases(name, "keystream"):
            for lead in (0, 1, 4):
                assert _salsa(twin, rounds, case, lead) == case["keystream"]


def test_salsa20_from_a_later_block():
    for name, rounds in (("salsa20_12", 12), ("salsa20_20", 20)):
        case = _VECTORS[name][-1]
        for twin in (crypto, portable):
            buf = bytearray(case["length"] - 128)
            twin.salsa20_xor(_h(case["key"]), _h(case["iv"]), 2, buf, 0, len(buf), rounds)
            assert buf.hex() == case["keystream"][256:]


def test_poly1305():
    for twin, case in _cases("poly1305", "message", 13):
        message = _h(case["message"])
        for lead in (0, 3):
            buf = bytes(lead) + message + b"\xff"
            assert twin.poly1305(_h(case["key"]), buf, lead, len(message)).hex() == case["mac"]


def test_poly1305_at_the_modulus():
    # RFC 8439 A.3, 7 to 11: sums at and around 2**130 - 5, where the last reduction decides.
    for r, s, message, mac in (
            ("02", "", "ff" * 16, "03" + "00" * 15),
            ("02", "ff" * 16, "02" + "00" * 15, "03" + "00" * 15),
            ("01", "", "ff" * 16 + "f0" + "ff" * 15 + "11" + "00" * 15, "05" + "00" * 15),
            ("01", "", "ff" * 16 + "fb" + "fe" * 15 + "01" * 16, "00" * 16),
            ("02", "", "fd" + "ff" * 15, "fa" + "ff" * 15)):
        key = _h(r) + bytes(15) + (_h(s) or bytes(16))
        for twin in (crypto, portable):
            assert twin.poly1305(key, _h(message), 0, len(message) // 2).hex() == mac


def test_sha2():
    for twin, case in _cases("sha2", "message"):
        assert twin.sha512(_h(case["message"])).hex() == case["sha512"]
        assert twin.sha384(_h(case["message"])).hex() == case["sha384"]


def test_hmac_and_key_derivation():
    for twin, case in _cases("hmac_sha384", "message", 15):
        assert twin.hmac_sha384(_h(case["key"]), _h(case["message"])).hex() == case["mac"]
    for twin, case in _cases("kbkdf", "key"):
        derived = twin.kbkdf(_h(case["key"]), case["label"], case["context"], case["iter"])
        assert derived.hex() == case["out"]


def test_aes_blocks():
    for twin, case in _cases("aes256_block", "plaintext", 1):
        aes = twin.Aes256(_h(case["key"]))
        assert aes.encrypt_block(_h(case["plaintext"])).hex() == case["ciphertext"]
        assert aes.decrypt_block(_h(case["ciphertext"])).hex() == case["plaintext"]


def test_aes_without_the_platform():
    from mpcore.crypto.soft_aes import aes
    for case in _VECTORS["aes256_block"]:
        block = aes(_h(case["key"]), 1)
        assert block.encrypt(_h(case["plaintext"])).hex() == case["ciphertext"]
        assert block.decrypt(_h(case["ciphertext"])).hex() == case["plaintext"]


def test_aes_counter_mode():
    for twin, case in _cases("aes256_ctr", "plaintext", 2):
        for lead in (0, 1):
            buf = bytearray(bytes(lead) + _h(case["plaintext"]))
            twin.Aes256(_h(case["key"])).ctr_xor(_h(case["iv"]), buf, lead, len(buf) - lead)
            assert buf.hex() == "00" * lead + case["ciphertext"]


def test_gmac():
    for twin, case in _cases("aes256_gmac", "data", 2):
        assert twin.gmac(_h(case["key"]), _h(case["iv"]), _h(case["data"])).hex() == case["tag"]


def test_aes_gmac_siv():
    for twin, case in _cases("aes_gmac_siv", "plaintext", 7):
        siv = twin.AesGmacSiv(_h(case["k0"]), _h(case["k1"]))
        aad = _h(case["aad"])
        buf = bytearray(b"\xee" + _h(case["plaintext"]))
        n = len(buf) - 1
        tag = siv.seal(_h(case["iv"]), aad, buf, 1, n)
        assert tag.hex() == case["tag"]
        assert buf.hex() == "ee" + case["ciphertext"]
        assert siv.open(tag, aad, buf, 1, n)
        assert buf.hex() == "ee" + case["plaintext"]
        assert not siv.open(_h(case["bad_tag"]), aad, bytearray(_h(case["ciphertext"])), 0, n)


def test_lz4_blocks():
    for twin, case in _cases("lz4_blocks", "block", 1):
        if case.get("optional") or twin is not crypto and len(case.get("uncompressed", "")) > 2000:
            continue
        block = b"\xff" + _h(case["block"])
        room = 10024 - 28
        out = bytearray(room + 2)
        args = (block, 1, len(block) - 1, out, 1, room)
        if case["ok"]:
            n = twin.lz4_decompress(*args)
            assert out[1:1 + n].hex() == case["uncompressed"]
            assert out[0] == 0 and not any(out[1 + n:])
        else:
            raises(ValueError, twin.lz4_decompress, *args)
            assert out[0] == 0 and out[-1] == 0


def test_lz4_reads_what_the_reference_compressed():
    for twin, case in _cases("lz4_packet_payload", "uncompressed", 3):
        if case["compressed_by_reference"]:
            plain, block = _h(case["uncompressed"]), _h(case["block"])
            out = bytearray(len(plain))
            n = twin.lz4_decompress(block, 0, len(block), out, 0, len(plain))
            assert n == len(plain) and out == plain
            raises(ValueError, twin.lz4_decompress, block, 0, len(block), out, 0, n - 1)


def test_lz4_compresses():
    for twin, case in _cases("lz4_packet_payload", "uncompressed", 3):
        plain = _h(case["uncompressed"])
        block = bytearray(len(plain) + len(plain) // 255 + 18)
        length = twin.lz4_compress(b"\0" + plain, 1, len(plain), block, 2, len(block) - 2)
        assert length
        if case["compressed_by_reference"] and len(plain) > 200:
            assert length < len(plain)
        out = bytearray(len(plain))
        assert portable.lz4_decompress(block, 2, length, out, 0, len(out)) == len(plain)
        assert out == plain
        assert twin.lz4_compress(plain, 0, len(plain), block, 0, length) == length
        assert twin.lz4_compress(plain, 0, len(plain), block, 0, length - 1) == 0


def test_constant_time_equal():
    for twin in (crypto, portable):
        assert twin.constant_time_equal(b"abcd", b"abcd")
        assert not twin.constant_time_equal(b"abcd", b"abce")
        assert not twin.constant_time_equal(b"abcd", b"abc")
        assert twin.constant_time_equal(b"", b"")
