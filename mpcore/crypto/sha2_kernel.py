"""SHA-512's compression in viper (FIPS 180-4); a 64-bit word is two of 32, high half first."""

import micropython


@micropython.viper
def compress(a: int, b: int, w: ptr32, v: ptr32, state: ptr32, k: ptr32, m: ptr8, off: int,
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
