"""What AES in counter mode and GMAC need in machine code (spec/crypto.md 6)."""

import micropython


@micropython.viper
def counters(stream: ptr8, iv: ptr8, first: int, blocks: int):
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
def xor(buf: ptr8, off: int, n: int, stream: ptr8):
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


@micropython.viper
def multiples(table: ptr32, h: ptr8):
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
def ghash(z: int, p: ptr32, table: ptr32, fold: ptr16, state: ptr8, m: ptr8, off: int, n: int):
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
