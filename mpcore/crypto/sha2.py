"""SHA-512, SHA-384, HMAC-SHA-384 and the key derivation on top of it (spec/crypto.md 1).

A 64-bit word is a pair of 32-bit words, high half first, everywhere below.
"""

import array
import struct

import micropython
from micropython import const

from mpcore import limits
from mpcore.crypto.slices import finish


def _pairs(text):
    words = bytes.fromhex(text)
    return array.array("I", struct.unpack(">%dI" % (len(words) // 4), words))


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


@micropython.viper
def _compress(a: int, b: int, w: ptr32, v: ptr32, state: ptr32, k: ptr32, m: ptr8, off: int,
              blocks: int):
    """Take `blocks` blocks of 128 bytes from m[off:] into the state.

    a, b: anything; as the first arguments they live in registers. w: ring of the last 16 schedule
    words; v: the eight working words. A 64-bit sum is made of 16-bit parts of the low halves,
    whose carries then fit in any word size, and of the high halves, which may wrap.
    """
    ones = 0x3fffffff
    ones = ones + ones + 1
    m = ptr8(int(m) + off)
    while blocks:
        blocks -= 1
        i = 0
        while i < 32:
            w[i] = m[0] << 24 | m[1] << 16 | m[2] << 8 | m[3]
            m = ptr8(int(m) + 4)
            i += 1
        i = 0
        while i < 16:
            v[i] = state[i]
            i += 1
        kt = ptr32(k)
        i = 0
        while i < 80:
            j = (i & 15) * 2
            wt = ptr32(int(w) + j * 4)
            if i >= 16:
                p = ptr32(int(w) + (j + 2 & 31) * 4)        # sigma 0: right 1, 8, shift 7
                a = p[0]
                b = p[1]
                h = (a >> 1 & ones ^ b << 31) ^ (a >> 8 & 0xffffff ^ b << 24) ^ a >> 7 & 0x1ffffff
                l = ((b >> 1 & ones ^ a << 31) ^ (b >> 8 & 0xffffff ^ a << 24)
                     ^ (b >> 7 & 0x1ffffff ^ a << 25))
                p = ptr32(int(w) + (j + 28 & 31) * 4)       # sigma 1: right 19, 61, shift 6
                a = p[0]
                b = p[1]
                x = (a >> 19 & 0x1fff ^ b << 13) ^ (b >> 29 & 7 ^ a << 3) ^ a >> 6 & 0x3ffffff
                y = ((b >> 19 & 0x1fff ^ a << 13) ^ (a >> 29 & 7 ^ b << 3)
                     ^ (b >> 6 & 0x3ffffff ^ a << 26))
                p = ptr32(int(w) + (j + 18 & 31) * 4)
                a = p[1]
                b = wt[1]
                c = (l & 0xffff) + (y & 0xffff) + (a & 0xffff) + (b & 0xffff)
                d = ((l >> 16 & 0xffff) + (y >> 16 & 0xffff) + (a >> 16 & 0xffff)
                     + (b >> 16 & 0xffff) + (c >> 16))
                wt[1] = c & 0xffff | d << 16
                wt[0] = h + x + p[0] + wt[0] + (d >> 16)
            a = v[8]                                        # Sigma 1: right 14, 18, 41
            b = v[9]
            h = ((a >> 14 & 0x3ffff ^ b << 18) ^ (a >> 18 & 0x3fff ^ b << 14)
                 ^ (b >> 9 & 0x7fffff ^ a << 23))
            l = ((b >> 14 & 0x3ffff ^ a << 18) ^ (b >> 18 & 0x3fff ^ a << 14)
                 ^ (a >> 9 & 0x7fffff ^ b << 23))
            x = (v[10] ^ v[12]) & a ^ v[12]                 # choice
            y = (v[11] ^ v[13]) & b ^ v[13]
            a = v[15]
            b = wt[1]
            z = kt[1]
            c = (l & 0xffff) + (y & 0xffff) + (a & 0xffff) + (b & 0xffff) + (z & 0xffff)
            d = ((l >> 16 & 0xffff) + (y >> 16 & 0xffff) + (a >> 16 & 0xffff)
                 + (b >> 16 & 0xffff) + (z >> 16 & 0xffff) + (c >> 16))
            tl = c & 0xffff | d << 16
            th = h + x + v[14] + wt[0] + kt[0] + (d >> 16)
            kt = ptr32(int(kt) + 8)
            a = v[0]                                        # Sigma 0: right 28, 34, 39
            b = v[1]
            h = ((a >> 28 & 0xf ^ b << 4) ^ (b >> 2 & 0x3fffffff ^ a << 30)
                 ^ (b >> 7 & 0x1ffffff ^ a << 25))
            l = ((b >> 28 & 0xf ^ a << 4) ^ (a >> 2 & 0x3fffffff ^ b << 30)
                 ^ (a >> 7 & 0x1ffffff ^ b << 25))
            x = (a | v[2]) & v[4] | a & v[2]                # majority
            y = (b | v[3]) & v[5] | b & v[3]
            j = 15
            while j > 1:
                v[j] = v[j - 2]
                j -= 1
            a = v[9]
            c = (a & 0xffff) + (tl & 0xffff)
            d = (a >> 16 & 0xffff) + (tl >> 16 & 0xffff) + (c >> 16)
            v[9] = c & 0xffff | d << 16
            v[8] = v[8] + th + (d >> 16)
            c = (l & 0xffff) + (y & 0xffff) + (tl & 0xffff)
            d = (l >> 16 & 0xffff) + (y >> 16 & 0xffff) + (tl >> 16 & 0xffff) + (c >> 16)
            v[1] = c & 0xffff | d << 16
            v[0] = h + x + th + (d >> 16)
            i += 1
        i = 0
        while i < 16:
            a = state[i + 1]
            b = v[i + 1]
            c = (a & 0xffff) + (b & 0xffff)
            d = (a >> 16 & 0xffff) + (b >> 16 & 0xffff) + (c >> 16)
            state[i + 1] = c & 0xffff | d << 16
            state[i] = state[i] + v[i] + (d >> 16)
            i += 2


_START_512 = _pairs(
    "6a09e667f3bcc908bb67ae8584caa73b3c6ef372fe94f82ba54ff53a5f1d36f1510e527fade682d1"
    "9b05688c2b3e6c1f1f83d9abfb41bd6b5be0cd19137e2179")
_START_384 = _pairs(
    "cbbb9d5dc1059ed8629a292a367cd5079159015a3070dd17152fecd8f70e593967332667ffc00b31"
    "8eb44a8768581511db0c2e0d64f98fa747b5481dbefa4fa4")
_PRODUCTS = const(34)           # of 25519's arithmetic take as long as one block
_BLOCKS = max(1, limits.SLICE // _PRODUCTS)     # in one slice
_W = array.array("I", bytes(128))
_V = array.array("I", bytes(64))


def _slices(start, data):
    state = array.array("I", start)
    n = len(data)
    rest = n & 127
    tail = bytearray(256 if rest >= 112 else 128)
    tail[:rest] = memoryview(data)[n - rest:]
    tail[rest] = 0x80
    struct.pack_into(">Q", tail, len(tail) - 8, n << 3)
    for part, blocks in (data, n >> 7), (tail, len(tail) >> 7):
        for done in range(0, blocks, _BLOCKS):
            _compress(0, 0, _W, _V, state, _K, part, done << 7, min(_BLOCKS, blocks - done))
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
