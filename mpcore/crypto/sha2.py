"""SHA-512, SHA-384, HMAC-SHA-384 and the key derivation on top of it (spec/crypto.md 1).

A 64-bit word is a pair of 32-bit words, high half first, everywhere below.
"""

import array
import struct

from micropython import const

from mpcore import fallback, limits
from mpcore.crypto.slices import finish

try:
    from mpcore.crypto.sha2_kernel import compress
except MemoryError:
    fallback.instead_of("mpcore.crypto.sha2_kernel")
    from mpcore.crypto.sha2_bytecode import compress


def _pairs(text):
    """Bytes, which a build has ready in a board's flash. A hash copies them into an array for as
    long as it takes: a board is mostly through with SHA-512 when it has met its peers."""
    words = bytes.fromhex(text)
    count = len(words) // 4
    return struct.pack("<%dI" % count, *struct.unpack(">%dI" % count, words))


_K = _pairs(
    "428a2f98d728ae227137449123ef65cdb5c0fbcfec4d3b2fe9b5dba58189dbbc3956c25bf348b538"
    "59f111f1b605d019923f82a4af194f9bab1c5ed5da6d8118d807aa98a303024212835b0145706fbe"
    "243185be4ee4b28c550c7dc3d5ffb4e272be5d74f27b896f80deb1fe3b1696b19bdc06a725c71235"
    "c19bf174cf692694e49b69c19ef14ad2efbe4786384f25e30fc19dc68b8cd5b5240ca1cc77ac9c65"
    "2de92c6f592b02754a7484aa6ea6e4835cb0a9dcbd41fbd476f988da831153b5983e5152ee66dfab"
    "a831c66d2db43210b00327c898fb213fbf597fc7beef0ee4c6e00bf33da88fc2d5a79147930aa725"
    "06ca6351e003826f142929670a0e6e7027b70a8546d22ffc2e1b21385c26c9264d2c6dfc5ac42aed"
    "53380d139d95b3df650a73548baf63de766a0abb3c77b2a881c2c92e47edaee692722c851482353b"
    "a2bfe8a14cf10364a81a664bbc423001c24b8b70d0f89791c76c51a30654be30d192e819d6ef5218"
    "d69906245565a910f40e35855771202a106aa07032bbd1b819a4c116b8d2d0c81e376c085141ab53"
    "2748774cdf8eeb9934b0bcb5e19b48a8391c0cb3c5c95a634ed8aa4ae3418acb5b9cca4f7763e373"
    "682e6ff3d6b2b8a3748f82ee5defb2fc78a5636f43172f6084c87814a1f0ab728cc702081a6439ec"
    "90befffa23631e28a4506cebde82bde9bef9a3f7b2c67915c67178f2e372532bca273eceea26619c"
    "d186b8c721c0c207eada7dd6cde0eb1ef57d4f7fee6ed17806f067aa72176fba0a637dc5a2c898a6"
    "113f9804bef90dae1b710b35131c471b28db77f523047d8432caab7b40c724933c9ebe0a15c9bebc"
    "431d67c49c100d4c4cc5d4becb3e42b6597f299cfc657e2a5fcb6fab3ad6faec6c44198c4a475817")


_START_512 = _pairs(
    "6a09e667f3bcc908bb67ae8584caa73b3c6ef372fe94f82ba54ff53a5f1d36f1510e527fade682d1"
    "9b05688c2b3e6c1f1f83d9abfb41bd6b5be0cd19137e2179")
_START_384 = _pairs(
    "cbbb9d5dc1059ed8629a292a367cd5079159015a3070dd17152fecd8f70e593967332667ffc00b31"
    "8eb44a8768581511db0c2e0d64f98fa747b5481dbefa4fa4")
_PRODUCTS = const(34)           # of 25519's arithmetic take as long as one block
_BLOCKS = max(1, limits.SLICE // _PRODUCTS)     # in one slice


def _slices(start, data):
    state, constants = array.array("I", start), array.array("I", _K)
    schedule, variables = array.array("I", bytes(128)), array.array("I", bytes(64))
    n = len(data)
    rest = n & 127
    tail = bytearray(256 if rest >= 112 else 128)
    tail[:rest] = memoryview(data)[n - rest:]
    tail[rest] = 0x80
    struct.pack_into(">Q", tail, len(tail) - 8, n << 3)
    for part, blocks in (data, n >> 7), (tail, len(tail) >> 7):
        for done in range(0, blocks, _BLOCKS):
            compress(0, 0, schedule, variables, state, constants, part, done << 7,
                     min(_BLOCKS, blocks - done))
            yield
    return struct.pack(">16I", *state)


def sha512_slices(data):
    """SHA-512, 64 bytes, in slices."""
    return _slices(_START_512, data)


def sha512(data):
    """SHA-512, 64 bytes."""
    return finish(_slices(_START_512, data))


def sha384(data):
    """SHA-384, 48 bytes."""
    return finish(_slices(_START_384, data))[:48]


def hmac_sha384(key, data):
    """HMAC-SHA-384 under a key of at most 128 bytes."""
    padded = bytes(key) + bytes(128 - len(key))
    inner = sha384(bytes(b ^ 0x36 for b in padded) + data)
    return sha384(bytes(b ^ 0x5C for b in padded) + inner)


def kbkdf(key, label, context, iteration):
    """48 bytes derived from a 48-byte key (spec/identity.md 6); label and context: 0 to 255."""
    return hmac_sha384(key, iteration.to_bytes(4, "big") + b"ZT" + bytes((label, 0, context))
                       + b"\0\0\1\x80")
