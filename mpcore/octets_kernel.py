"""mpcore.octets for MicroPython's viper compiler."""

import micropython


@micropython.viper
def equal(buf: ptr8, off: int, other) -> int:
    b = ptr8(int(buf) + off)
    o = ptr8(other)
    n = int(len(other))
    i = 0
    while i < n:
        if b[i] != o[i]:
            return 0
        i += 1
    return 1


@micropython.viper
def copy(target: ptr8, at: int, source: ptr8, off: int, n: int):
    t = int(target) + at
    s = int(source) + off
    if (t ^ s) & 3 == 0:
        while n and t & 3:
            ptr8(t)[0] = ptr8(s)[0]
            t += 1
            s += 1
            n -= 1
        while n >= 16:
            to = ptr32(t)
            words = ptr32(s)
            to[0] = words[0]
            to[1] = words[1]
            to[2] = words[2]
            to[3] = words[3]
            t += 16
            s += 16
            n -= 16
    while n >= 4:
        b = ptr8(t)
        c = ptr8(s)
        b[0] = c[0]
        b[1] = c[1]
        b[2] = c[2]
        b[3] = c[3]
        t += 4
        s += 4
        n -= 4
    while n:
        ptr8(t)[0] = ptr8(s)[0]
        t += 1
        s += 1
        n -= 1
