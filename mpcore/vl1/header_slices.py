"""mpcore.vl1.header by slices: for CPython, and for boards without room for the kernel."""


def expected(buf, off, n, ours, theirs):
    if (n < 28 or buf[off + 8:off + 13] != ours or buf[off + 13:off + 18] != theirs
            or buf[off + 18] & 0x47):
        return 0
    cipher = buf[off + 18] >> 3 & 7
    return cipher if cipher in (1, 3) else 0


def write(buf, off, ids, at, destination, source, flags, verb):
    buf[off:off + 19] = ids[at:at + 8] + destination + source + bytes((flags,))
    buf[off + 27] = verb
