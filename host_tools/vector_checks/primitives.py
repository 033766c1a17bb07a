"""primitives.json: ciphers, hashes, MACs and LZ4 (spec/crypto.md)."""

from mpcore import crypto, limits
from mpcore.vl1.packet import HEADER

from host_tools.vector_checks import attempt, each, is_optional, refused, same, unhex

_ROOM = limits.MAX_PACKET - HEADER
_OFFSET = 4        # of the data in the buffers given to functions that work in place


def checks(data):
    for section, rounds in (("salsa20_12", 12), ("salsa20_20", 20)):
        for label, entry in each(data, section):
            yield label, _salsa, entry, rounds
    for label, entry in each(data, "salsa20_12_successive_calls"):
        yield label, _successive, entry
    for section, function in (
            ("poly1305", _poly1305), ("sha2", _sha2), ("hmac_sha384", _hmac), ("kbkdf", _kbkdf),
            ("aes256_block", _aes_block), ("aes256_ctr", _aes_ctr), ("aes256_gmac", _gmac),
            ("aes_gmac_siv", _gmac_siv), ("lz4_packet_payload", _payload),
            ("lz4_blocks", _block)):
        for label, entry in each(data, section):
            yield label, function, entry


def _in_place(data):
    return bytearray(_OFFSET) + data


def _keystream(entry, counter, n, rounds):
    buf = _in_place(bytes(n))
    crypto.salsa20_xor(unhex(entry["key"]), unhex(entry["iv"]), counter, buf, _OFFSET, n, rounds)
    same(bytes(buf[:_OFFSET]), bytes(_OFFSET), "what is in front of the data")
    return buf[_OFFSET:].hex()


def _salsa(entry, rounds):
    same(_keystream(entry, 0, entry["length"], rounds), entry["keystream"], "keystream")


def _successive(entry):
    counter = 0
    for call in entry["calls"]:
        n = call["length"]
        same(_keystream(entry, counter, n, 12), call["keystream"], f"keystream from {counter}")
        counter += (n + 63) // 64


def _poly1305(entry):
    message = _in_place(unhex(entry["message"]))
    mac = crypto.poly1305(unhex(entry["key"]), message, _OFFSET, len(message) - _OFFSET)
    same(mac.hex(), entry["mac"], "MAC")


def _sha2(entry):
    message = unhex(entry["message"])
    same(crypto.sha512(message).hex(), entry["sha512"], "SHA-512")
    same(crypto.sha384(message).hex(), entry["sha384"], "SHA-384")


def _hmac(entry):
    mac = crypto.hmac_sha384(unhex(entry["key"]), unhex(entry["message"]))
    same(mac.hex(), entry["mac"], "MAC")


def _kbkdf(entry):
    key = unhex(entry["key"])
    made = crypto.kbkdf(key, entry["label"], entry["context"], entry["iter"])
    same(made.hex(), entry["out"], "key")
    same(crypto.hmac_sha384(key, unhex(entry["hmac_message"])), made, "HMAC of the message")


def _aes_block(entry):
    block = crypto.Aes256(unhex(entry["key"])).encrypt_block(unhex(entry["plaintext"]))
    same(bytes(block).hex(), entry["ciphertext"], "ciphertext")


def _aes_ctr(entry):
    aes = crypto.Aes256(unhex(entry["key"]))
    buf = _in_place(unhex(entry["plaintext"]))
    n = len(buf) - _OFFSET
    aes.ctr_xor(unhex(entry["iv"]), buf, _OFFSET, n)
    same(buf[_OFFSET:].hex(), entry["ciphertext"], "ciphertext")
    aes.ctr_xor(unhex(entry["iv"]), buf, _OFFSET, n)
    same(buf[_OFFSET:].hex(), entry["plaintext"], "plaintext")


def _gmac(entry):
    tag = crypto.gmac(unhex(entry["key"]), unhex(entry["iv"]), unhex(entry["data"]))
    same(tag.hex(), entry["tag"], "tag")


def _gmac_siv(entry):
    siv = crypto.AesGmacSiv(unhex(entry["k0"]), unhex(entry["k1"]))
    iv, aad = unhex(entry["iv"]), unhex(entry["aad"])
    buf = _in_place(unhex(entry["plaintext"]))
    n = len(buf) - _OFFSET
    tag = siv.seal(iv, aad, buf, _OFFSET, n)
    same(bytes(tag).hex(), entry["tag"], "tag")
    same(buf[_OFFSET:].hex(), entry["ciphertext"], "ciphertext")
    same(siv.open(tag, aad, buf, _OFFSET, n), True, "authenticity")
    same(buf[_OFFSET:].hex(), entry["plaintext"], "plaintext")
    buf[_OFFSET:] = unhex(entry["ciphertext"])
    same(siv.open(unhex(entry["bad_tag"]), aad, buf, _OFFSET, n), False,
         "authenticity of a wrong tag")


def decompress(block):
    """What a packet's compressed payload holds; ValueError when it is malformed.

    Of an empty payload VL1 only drops the flag.
    """
    if not block:
        return block
    out = bytearray(_ROOM)
    n = crypto.lz4_decompress(_in_place(block), _OFFSET, len(block), out, 0, _ROOM)
    if not n:
        raise ValueError("nothing in it")
    return bytes(out[:n])


def _payload(entry):
    data = unhex(entry["uncompressed"])
    if "block" in entry:
        same(decompress(unhex(entry["block"])), data, "decompressed block")
    out = bytearray(len(data))
    n = crypto.lz4_compress(_in_place(data), _OFFSET, len(data), out, 0, len(data) - 1)
    if n:
        same(decompress(bytes(out[:n])), data, "own block, decompressed")


def _block(entry):
    block = unhex(entry["block"])
    if is_optional(entry):
        attempt(decompress, block)
    elif entry["ok"]:
        same(decompress(block).hex(), entry["uncompressed"], "decompressed block")
    else:
        refused("block", decompress, block)
