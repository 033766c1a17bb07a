"""mpcore.vl1.header for MicroPython's viper compiler."""

import micropython


@micropython.viper
def expected(buf: ptr8, off: int, n: int, ours: ptr8, theirs: ptr8) -> int:
    if n < 28:
        return 0
    b = ptr8(int(buf) + off)
    flags = b[18]
    cipher = flags >> 3 & 7
    if flags & 0x47 or (cipher != 1 and cipher != 3):
        return 0
    i = 0
    while i < 5:
        if b[13 + i] ^ theirs[i] | b[8 + i] ^ ours[i]:
            return 0
        i += 1
    return cipher


@micropython.viper
def write(buf: ptr8, off: int, ids: ptr8, at: int, destination: ptr8, source: ptr8, flags: int,
          verb: int):
    b = ptr8(int(buf) + off)
    p = ptr8(int(ids) + at)
    i = 0
    while i < 8:
        b[i] = p[i]
        i += 1
    i = 0
    while i < 5:
        b[8 + i] = destination[i]
        b[13 + i] = source[i]
        i += 1
    b[18] = flags
    b[27] = verb
