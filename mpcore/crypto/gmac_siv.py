"""GMAC and AES-GMAC-SIV (spec/crypto.md 6)."""

import array

import micropython

from mpcore.crypto.aes import Aes256


@micropython.viper
def _table(table: ptr32, h: ptr8):
    """table[4*i:4*i+4] = i * H for the 16 polynomials i of degree below 4, highest bit first.

    In GCM's order of bits a multiplication by x is a shift to the right.
    """
    a = h[0] << 24 | h[1] << 16 | h[2] << 8 | h[3]
    b = h[4] << 24 | h[5] << 16 | h[6] << 8 | h[7]
    c = h[8] << 24 | h[9] << 16 | h[10] << 8 | h[11]
    d = h[12] << 24 | h[13] << 16 | h[14] << 8 | h[15]
    ones = 0x3fffffff
    ones = ones + ones + 1
    reduction = 0xe1
    reduction = reduction << 24
    i = 8
    while i:
        p = ptr32(int(table) + i * 16)
        p[0] = a
        p[1] = b
        p[2] = c
        p[3] = d
        t = 0 - (d & 1)
        d = d >> 1 & ones | c << 31
        c = c >> 1 & ones | b << 31
        b = b >> 1 & ones | a << 31
        a = (a >> 1 & ones) ^ (t & reduction)
        i = i >> 1
    i = 2
    while i < 16:
        j = 1
        while j < i:
            p = ptr32(int(table) + i * 16)
            q = ptr32(int(table) + j * 16)
            r = ptr32(int(table) + (i + j) * 16)
            r[0] = p[0] ^ q[0]
            r[1] = p[1] ^ q[1]
            r[2] = p[2] ^ q[2]
            r[3] = p[3] ^ q[3]
            j += 1
        i = i << 1


@micropython.viper
def _ghash(z: int, p: ptr32, table: ptr32, fold: ptr16, state: ptr8, m: ptr8, off: int, n: int):
    """Take m[off:off+n], padded with zeros to whole blocks, into the 16-byte state.

    z, p: anything; as the first arguments they live in registers. fold: what four bits that are
    shifted out at the low end add at the high end.
    """
    m = ptr8(int(m) + off)
    while n > 0:
        i = 0
        while i < 16 and i < n:
            state[i] = state[i] ^ m[i]
            i += 1
        m = ptr8(int(m) + 16)
        n -= 16
        a = 0
        b = 0
        c = 0
        z = 0
        i = 32
        while i:
            i -= 1
            x = state[i >> 1]
            if i & 1:
                x = x << 4
            p = ptr32(int(table) + (x & 0xf0))
            t = fold[z & 0xf] << 16
            z = (z >> 4 & 0xfffffff | c << 28) ^ p[3]
            c = (c >> 4 & 0xfffffff | b << 28) ^ p[2]
            b = (b >> 4 & 0xfffffff | a << 28) ^ p[1]
            a = (a >> 4 & 0xfffffff) ^ t ^ p[0]
        i = 4
        while i:
            i -= 1
            state[i] = a
            state[4 + i] = b
            state[8 + i] = c
            state[12 + i] = z
            a = a >> 8
            b = b >> 8
            c = c >> 8
            z = z >> 8


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
        _table(self._table, self._aes.encrypt_block(bytes(16)))
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
        _ghash(0, _UNUSED, self._table, _FOLD, self._state, m, off, n)


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
