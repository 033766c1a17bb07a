"""Armor of whole packets against the real implementation's (spec/crypto.md 4 to 6)."""

from mpcore import crypto
from mpcore.crypto import portable
from support import raises, vectors

_VECTORS = vectors("packets.json")
_BY_NAME = {case["name"]: case for case in _VECTORS["packets"]}
_SAME = crypto.PacketCipher is portable.PacketCipher
_KEYS = [bytes.fromhex(pair["key"]) for pair in _VECTORS["pairs"]]
_START = 1
_h = bytes.fromhex


def _cases(name, every):
    """Pairs of the ciphers of every peer and a case, fewer and small ones where emulated."""
    native = [crypto.PacketCipher(key) for key in _KEYS]
    kernels = [portable.PacketCipher(key) for key in _KEYS]
    for number, case in enumerate(_VECTORS[name]):
        yield native, case
        if not _SAME and number % every == 0 and len(case.get("wire", "")) <= 400:
            yield kernels, case


def _buffer(text, start=_START):
    return bytearray(b"\xaa" * start + _h(text) + b"\xbb" * 3)


def _dearmored(ciphers, case, start=_START):
    """What is in the buffer after dearmoring, or None; nothing around it may change."""
    pair = case["with_pair"] if "with_pair" in case else case.get("pair")
    if pair is None:
        pair = _BY_NAME[case["of"]]["pair"]
    buf = _buffer(case["wire"], start)
    n = len(buf) - start - 3
    authentic = ciphers[pair].dearmor(buf, start, n)
    assert authentic in (True, False)
    assert buf[:start] == b"\xaa" * start and buf[-3:] == b"\xbb" * 3
    return bytes(buf[start:-3]) if authentic else None


def test_armor():
    for ciphers, case in _cases("packets", 7):
        # 1 is where packets are; the others are correct too.
        for start in (1, 0, 2, 3) if len(case["wire"]) < 300 else (1,):
            buf = _buffer(case["plaintext"], start)
            n = len(buf) - start - 3
            ciphers[case["pair"]].armor(buf, start, n, case["cipher"])
            assert buf[start:-3].hex() == case["wire"], case["name"]
            assert buf[:start] == b"\xaa" * start and buf[-3:] == b"\xbb" * 3


def test_dearmor():
    for ciphers, case in _cases("packets", 7):
        for start in (1, 2) if len(case["wire"]) < 300 else (1,):
            plain = _dearmored(ciphers, case, start)
            assert plain[27:] == _h(case["plaintext"])[27:], case["name"]
            assert plain[:8] == _h(case["wire"])[:8]


def test_hops_may_change():
    for ciphers, case in _cases("hops", 7):
        assert _dearmored(ciphers, case)[27:] == _h(_BY_NAME[case["of"]]["plaintext"])[27:]


def test_nothing_else_may_change():
    for ciphers, case in _cases("tampered", 7):
        assert _dearmored(ciphers, case) is None, case["change"]


def test_other_ciphers_are_refused():
    for ciphers, case in _cases("other_ciphers", 1):
        assert _dearmored(ciphers, case) is None


def test_too_short_for_a_packet():
    cipher = crypto.PacketCipher(_KEYS[0])
    for flags in (0x00, 0x88, 0x18):
        assert not cipher.dearmor(bytearray(18) + bytes((flags,)) + bytes(8), 0, 27)


def test_armor_writes_the_cipher_and_keeps_the_fragmented_flag():
    for twin in (crypto, portable):
        cipher = twin.PacketCipher(_KEYS[0])
        for number, flags in ((0, 0x40), (1, 0xC8), (3, 0x58)):
            buf = bytearray(40)
            buf[18] = 0xF8 & ~flags | 0x40
            cipher.armor(buf, 0, 40, number)
            assert buf[18] == flags
            assert cipher.dearmor(buf, 0, 40)


def test_compressed_packets():
    for ciphers, case in _cases("compressed", 5):
        plain = _dearmored(ciphers, case)
        assert plain[27:] == _h(case["plaintext_compressed"])[27:]
        out = bytearray(10024)
        args = (plain, 28, len(plain) - 28, out, 28, 10024 - 28)
        if case.get("decompresses") is False:
            raises(ValueError, crypto.lz4_decompress, *args)
        elif case["compressed"]:
            n = crypto.lz4_decompress(*args)
            assert out[28:28 + n] == _h(case["plaintext"])[28:]


def test_mask_of_hello():
    for ciphers, case in _cases("crypt_field", 1):
        buf = _buffer(case["before"])
        for text in (case["after"], case["before"]):
            ciphers[case["pair"]].mask_hello(buf, _START, case["start"], case["length"])
            assert buf == _buffer(text)
