"""AES-256 by blocks and in counter mode, on the electronic code book that `cryptolib` has.

Stock firmware offers no counter mode.
"""

import micropython
from micropython import const

try:
    from cryptolib import aes
except ImportError:
    from mpcore.crypto.soft_aes import aes

_ECB = const(1)
_BATCH = const(16)          # counter blocks encrypted in one call

_stream = bytearray(16 * _BATCH)


@micropython.viper
def _counters(stream: ptr8, iv: ptr8, first: int, blocks: int):
    """Fill in counter blocks: the IV with its last four bytes advanced by first, first + 1, ..."""
    count = (iv[12] << 24 | iv[13] << 16 | iv[14] << 8 | iv[15]) + first
    while blocks:
        blocks -= 1
        i = 0
        while i < 12:
            stream[i] = iv[i]
            i += 1
        stream[12] = count >> 24
        stream[13] = count >> 16
        stream[14] = count >> 8
        stream[15] = count
        count += 1
        stream = ptr8(int(stream) + 16)


@micropython.viper
def _xor(buf: ptr8, off: int, n: int, stream: ptr8):
    p = int(buf) + off
    i = 0
    if p & 3 == 0:
        w = ptr32(p)
        k = ptr32(stream)
        while i < n >> 2:
            w[i] = w[i] ^ k[i]
            i += 1
        i = i << 2
    b = ptr8(p)
    while i < n:
        b[i] = b[i] ^ stream[i]
        i += 1


class Aes256:
    def __init__(self, key):
        self._key = bytes(key)
        self._encrypt = aes(self._key, _ECB)
        self._decrypt = None        # an object of cryptolib works in one direction only

    def encrypt_block(self, block):
        return self._encrypt.encrypt(block)

    def decrypt_block(self, block):
        if not self._decrypt:
            self._decrypt = aes(self._key, _ECB)
        return self._decrypt.decrypt(block)

    def ctr_xor(self, iv, buf, off, n):
        first = 0
        while n > 0:
            blocks = min(n + 15 >> 4, _BATCH)
            _counters(_stream, iv, first, blocks)
            view = memoryview(_stream)[:16 * blocks]
            self._encrypt.encrypt(view, view)
            length = min(n, 16 * blocks)
            _xor(buf, off, length, _stream)
            first += blocks
            off += length
            n -= length
