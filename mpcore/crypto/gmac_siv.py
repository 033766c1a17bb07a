"""GMAC and AES-GMAC-SIV (spec/crypto.md 6)."""

import array

from mpcore.crypto.aes import Aes256
from mpcore.crypto.aes_kernels import ghash, multiples


def _folds():
    folds = array.array("H", bytes(32))
    for bits in range(16):
        for k in range(4):
            if bits >> k & 1:
                folds[bits] ^= 0xE100 >> 3 - k
    return folds


_FOLD = _folds()
_UNUSED = array.array("I", bytes(4))


class _Gmac:
    """AES-256-GMAC under one key; 256 bytes of table."""

    def __init__(self, key):
        self._aes = Aes256(key)
        self._table = array.array("I", bytes(256))
        multiples(self._table, self._aes.encrypt_block(bytes(16)))
        self._state = bytearray(16)

    def tag(self, iv, aad, buf, off, n):
        """GMAC of aad, padded with zeros to whole blocks, followed by buf[off:off+n]."""
        state = self._state
        for i in range(16):
            state[i] = 0
        self._take(aad, 0, len(aad))
        self._take(buf, off, n)
        lengths = ((len(aad) + 15 & ~15) + n << 3).to_bytes(8, "big") + bytes(8)
        self._take(lengths, 0, 16)
        pad = self._aes.encrypt_block(iv + b"\0\0\0\1")
        return bytes(a ^ b for a, b in zip(state, pad))

    def _take(self, m, off, n):
        ghash(0, _UNUSED, self._table, _FOLD, self._state, m, off, n)


def gmac(key, iv, data):
    return _Gmac(key).tag(iv, b"", data, 0, len(data))


class AesGmacSiv:
    def __init__(self, k0, k1):
        self._gmac = _Gmac(k0)
        self._aes = Aes256(k1)

    def _mac(self, iv, aad, buf, off, n):
        tag = self._gmac.tag(bytes(iv) + bytes(4), aad, buf, off, n)
        return bytes(a ^ b for a, b in zip(tag[:8], tag[8:]))

    def _ctr_xor(self, tag, buf, off, n):
        start = bytearray(tag)
        start[12] &= 0x7F
        self._aes.ctr_xor(start, buf, off, n)

    def seal(self, iv, aad, buf, off, n):
        tag = self._aes.encrypt_block(bytes(iv) + self._mac(iv, aad, buf, off, n))
        self._ctr_xor(tag, buf, off, n)
        return tag

    def open(self, tag, aad, buf, off, n):
        self._ctr_xor(tag, buf, off, n)
        opened = self._aes.decrypt_block(bytes(tag))
        mac = self._mac(opened[:8], aad, buf, off, n)
        difference = 0
        for i in range(8):
            difference |= mac[i] ^ opened[8 + i]
        return not difference
