"""The cryptographic facade on CPython: PyNaCl, `cryptography` and the system's libsodium.

The functions and classes are described at their portable twins, in mpcore/crypto/portable.py.
"""

import ctypes
import ctypes.util
import hashlib
import hmac

import nacl._sodium
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.poly1305 import Poly1305
from nacl import bindings, exceptions

from mpcore.crypto import salsa_lanes
from mpcore.crypto.cipher_suite import CipherSuite
from mpcore.crypto.lz4_slices import lz4_compress, lz4_decompress
from mpcore.crypto.slices import in_one

SLICED = False

constant_time_equal = hmac.compare_digest


def _salsa2012():
    """crypto_stream_salsa2012 of the system's libsodium, or None: PyNaCl's own copy lacks it."""
    name = ctypes.util.find_library("sodium")
    try:
        return ctypes.CDLL(name).crypto_stream_salsa2012 if name else None
    except (OSError, AttributeError):
        return None


_BYTES = ctypes.c_char_p
_SIZE = ctypes.c_ulonglong
_stream12 = _salsa2012()
if _stream12:
    _stream12.argtypes = (_BYTES, _SIZE, _BYTES, _BYTES)
_stream20_xor = ctypes.CDLL(nacl._sodium.__file__).crypto_stream_salsa20_xor_ic
_stream20_xor.argtypes = (_BYTES, _BYTES, _SIZE, _BYTES, _SIZE, _BYTES)


def _keystream(key, iv, counter, n):
    """At least n bytes of Salsa20/12 keystream from block `counter`."""
    if _stream12 and not counter:
        out = ctypes.create_string_buffer(n)
        _stream12(out, n, iv, key)
        return out.raw
    return salsa_lanes.keystream(key, iv, counter, n + 63 >> 6, 12)


def _xor(buf, off, n, stream):
    mixed = int.from_bytes(buf[off:off + n], "little") ^ int.from_bytes(stream[:n], "little")
    buf[off:off + n] = mixed.to_bytes(n, "little")


def salsa20_xor(key, iv, counter, buf, off, n, rounds):
    if rounds == 20:
        place = (ctypes.c_char * n).from_buffer(buf, off)
        _stream20_xor(place, place, n, bytes(iv), counter, bytes(key))
    else:
        _xor(buf, off, n, _keystream(bytes(key), bytes(iv), counter, n))


def poly1305(key, buf, off, n):
    return Poly1305.generate_tag(bytes(key), bytes(memoryview(buf)[off:off + n]))


def sha512(data):
    return hashlib.sha512(data).digest()


def sha384(data):
    return hashlib.sha384(data).digest()


def hmac_sha384(key, data):
    return hmac.digest(key, data, "sha384")


def kbkdf(key, label, context, iteration):
    return hmac_sha384(key, iteration.to_bytes(4, "big") + b"ZT" + bytes((label, 0, context))
                       + b"\0\0\1\x80")


def x25519(private, public):
    try:
        return bindings.crypto_scalarmult(bytes(private), bytes(public))
    except exceptions.RuntimeError:
        return bytes(32)    # libsodium refuses points of small order; the reference does not


def x25519_public(private):
    return bindings.crypto_scalarmult_base(bytes(private))


def ed25519_public(seed):
    return bindings.crypto_sign_seed_keypair(bytes(seed))[0]


def ed25519_sign(seed, message):
    secret = bindings.crypto_sign_seed_keypair(bytes(seed))[1]
    return bindings.crypto_sign(bytes(message), secret)[:64]


def ed25519_verify(public, message, signature):
    if len(public) != 32 or len(signature) != 64:
        return False
    try:
        bindings.crypto_sign_open(bytes(signature) + bytes(message), bytes(public))
        return True
    except exceptions.BadSignatureError:
        return False


x25519_slices = in_one(x25519)
ed25519_verify_slices = in_one(ed25519_verify)
sha512_slices = in_one(sha512)


class Aes256:
    def __init__(self, key):
        self._algorithm = algorithms.AES(bytes(key))
        ecb = Cipher(self._algorithm, modes.ECB())
        self.encrypt_block = ecb.encryptor().update
        self.decrypt_block = ecb.decryptor().update

    def ctr_xor(self, iv, buf, off, n):
        ctr = Cipher(self._algorithm, modes.CTR(bytes(iv))).encryptor()
        buf[off:off + n] = ctr.update(bytes(memoryview(buf)[off:off + n]))


def gmac(key, iv, data):
    return AESGCM(bytes(key)).encrypt(bytes(iv), b"", bytes(data))


class AesGmacSiv:
    def __init__(self, k0, k1):
        self._gcm = AESGCM(bytes(k0))
        self._aes = Aes256(k1)

    def _mac(self, iv, aad, buf, off, n):
        message = b"".join((aad, bytes(-len(aad) % 16), memoryview(buf)[off:off + n]))
        tag = self._gcm.encrypt(bytes(iv) + bytes(4), b"", message)
        return bytes(a ^ b for a, b in zip(tag[:8], tag[8:]))

    def _ctr_xor(self, tag, buf, off, n):
        self._aes.ctr_xor(tag[:12] + bytes((tag[12] & 0x7F,)) + tag[13:], buf, off, n)

    def seal(self, iv, aad, buf, off, n):
        tag = self._aes.encrypt_block(bytes(iv) + self._mac(iv, aad, buf, off, n))
        self._ctr_xor(tag, buf, off, n)
        return tag

    def open(self, tag, aad, buf, off, n):
        self._ctr_xor(tag, buf, off, n)
        opened = self._aes.decrypt_block(tag)
        return constant_time_equal(opened[8:], self._mac(opened[:8], aad, buf, off, n))


class PacketCipher(CipherSuite):
    def __init__(self, shared):
        super().__init__(shared)
        self._key = int.from_bytes(self._shared[:32], "little")

    def _make_siv(self, label0, label1):
        return AesGmacSiv(kbkdf(self._shared, label0, 0, 0)[:32],
                          kbkdf(self._shared, label1, 0, 0)[:32])

    def _packet_keystream(self, buf, off, n, encrypted):
        """Keystream of one packet under its own key (spec/crypto.md 4.1)."""
        head = int.from_bytes(buf[off:off + 18], "little")
        mangling = head | (buf[off + 18] & 0xF8) << 144 | n << 152
        key = (self._key ^ mangling).to_bytes(32, "little")
        return _keystream(key, bytes(buf[off:off + 8]), 0, 64 + n - 27 if encrypted else 32)

    def seal(self, buf, off, n, encrypt):
        stream = self._packet_keystream(buf, off, n, encrypt)
        if encrypt:
            _xor(buf, off + 27, n - 27, stream[64:])
        buf[off + 19:off + 27] = poly1305(stream[:32], buf, off + 27, n - 27)[:8]

    def open(self, buf, off, n, decrypt):
        stream = self._packet_keystream(buf, off, n, decrypt)
        mac = poly1305(stream[:32], buf, off + 27, n - 27)
        if not constant_time_equal(mac[:8], bytes(buf[off + 19:off + 27])):
            return False
        if decrypt:
            _xor(buf, off + 27, n - 27, stream[64:])
        return True

    def mask_hello(self, buf, off, start, n):
        iv = bytes(buf[off:off + 7]) + bytes((buf[off + 7] & 0xF8,))
        salsa20_xor(self._shared[:32], iv, 0, buf, off + start, n, 12)
