"""AES-256 by blocks and in counter mode, on the electronic code book that `cryptolib` has.

Stock firmware offers no counter mode.
"""

from micropython import const

from mpcore.crypto.aes_kernels import counters, xor

try:
    from cryptolib import aes
except ImportError:
    from mpcore.crypto.soft_aes import aes

_ECB = const(1)
_BATCH = const(16)          # counter blocks encrypted in one call

_stream = bytearray(16 * _BATCH)


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
            counters(_stream, iv, first, blocks)
            view = memoryview(_stream)[:16 * blocks]
            self._encrypt.encrypt(view, view)
            length = min(n, 16 * blocks)
            xor(buf, off, length, _stream)
            first += blocks
            off += length
            n -= length
