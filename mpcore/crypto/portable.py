"""The cryptographic facade without any library, for MicroPython: kernels and big integers.

What a node needs rarely is loaded when it is called (mpcore/on_demand.py). Where machine code
stays, X25519 is loaded first of all: its kernel is the largest, and a heap with little in it has
most room for compiling one from source.
"""

from mpcore.port import CODE_IN_HEAP

if not CODE_IN_HEAP:
    import mpcore.crypto.curve25519
from mpcore.crypto.packet_cipher import PacketCipher
from mpcore.crypto.poly import poly1305
from mpcore.crypto.salsa import salsa20_xor
from mpcore.crypto.slices import finish
from mpcore.on_demand import load

SLICED = True       # a key agreement or a signature keeps a board busy for 100 ms and more


def constant_time_equal(a, b):
    """Whether two byte strings are equal, in a time that depends on their lengths alone."""
    if len(a) != len(b):
        return False
    difference = 0
    for x, y in zip(a, b):
        difference |= x ^ y
    return not difference


def x25519_slices(private, public):
    """As x25519, in slices (slices.py)."""
    yield from load("mpcore.crypto.field25519", "mpcore.crypto.curve25519")
    from mpcore.crypto import curve25519
    return (yield from curve25519.x25519_slices(private, public))


def x25519(private, public):
    """The 32 shared bytes of RFC 7748 (spec/identity.md 5); no point is refused."""
    return finish(x25519_slices(private, public))


def x25519_public(private):
    """The 32-byte public key of an X25519 private key."""
    return x25519(private, b"\x09" + bytes(31))


def sha512(data):
    """The 64-byte SHA-512 of data."""
    from mpcore.crypto import sha2
    return sha2.sha512(data)


def sha512_slices(data):
    """As sha512, in slices."""
    yield from load("mpcore.crypto.sha2")
    from mpcore.crypto import sha2
    return (yield from sha2.sha512_slices(data))


def sha384(data):
    """The 48-byte SHA-384 of data."""
    from mpcore.crypto import sha2
    return sha2.sha384(data)


def hmac_sha384(key, data):
    """The 48-byte HMAC of data with SHA-384."""
    from mpcore.crypto import sha2
    return sha2.hmac_sha384(key, data)


def kbkdf(key, label, context, iteration):
    """See mpcore.crypto.sha2."""
    from mpcore.crypto import sha2
    return sha2.kbkdf(key, label, context, iteration)


def ed25519_public(seed):
    """The 32-byte public key of a 32-byte Ed25519 seed (RFC 8032)."""
    from mpcore.crypto import edwards25519
    return edwards25519.public(seed)


def ed25519_sign(seed, message):
    """The 64-byte Ed25519 signature R, S of a message."""
    from mpcore.crypto import edwards25519
    return edwards25519.sign(seed, message)


def ed25519_verify(public, message, signature):
    """Whether a signature is good; False for any other length, S not below the group order, and
    keys or R that are no canonical point or one of small order."""
    return finish(ed25519_verify_slices(public, message, signature))


def ed25519_verify_slices(public, message, signature):
    """As ed25519_verify, in slices. The hash comes first: its code may leave before the rest."""
    if len(public) != 32 or len(signature) != 64:
        return False
    digest = yield from sha512_slices(bytes(signature[:32]) + public + message)
    yield from load("mpcore.crypto.field25519", "mpcore.crypto.edwards25519")
    from mpcore.crypto import edwards25519
    return (yield from edwards25519.verify_slices(public, signature, digest))


def lz4_compress(buf, off, n, out, at, room):
    """See mpcore.crypto.lz4. Where its code would lie in the heap, packets go as they are."""
    if CODE_IN_HEAP:
        return 0
    from mpcore.crypto import lz4
    return lz4.lz4_compress(buf, off, n, out, at, room)


def lz4_decompress(buf, off, n, out, at, room):
    """See mpcore.crypto.lz4."""
    from mpcore.crypto import lz4
    return lz4.lz4_decompress(buf, off, n, out, at, room)


def gmac(key, iv, data):
    """The 16-byte AES-256-GMAC of data under a 32-byte key and a 12-byte nonce."""
    from mpcore.crypto import gmac_siv
    return gmac_siv.gmac(key, iv, data)


def Aes256(key):
    """AES-256 with `encrypt_block(b16)`, `decrypt_block(b16)` and `ctr_xor(iv16, buf, off, n)`,
    which works in place; the last four bytes of the IV count and must not wrap in one call."""
    from mpcore.crypto import aes
    return aes.Aes256(key)


def AesGmacSiv(k0, k1):
    """AES-GMAC-SIV (spec/crypto.md 6) under two 32-byte keys, for GMAC and for AES-CTR.

    `seal(iv8, aad, buf, off, n)` encrypts in place and returns the 16-byte tag; `open(tag, aad,
    buf, off, n)` decrypts in place and returns whether it is authentic.
    """
    from mpcore.crypto import gmac_siv
    return gmac_siv.AesGmacSiv(k0, k1)
