"""mpcore.octets by slices: for CPython, and for boards without room for the kernel."""


def equal(buf, off, other):
    return int(buf[off:off + len(other)] == other)


def copy(target, at, source, off, n):
    target[at:at + n] = memoryview(source)[off:off + n]
