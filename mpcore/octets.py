"""Bytes compared and copied, without an object being made for it.

What is asked for must lie within the buffers: MicroPython's kernels check nothing.
"""

import sys

if sys.implementation.name == "micropython":
    from mpcore.octets_kernel import copy, equal
else:
    def equal(buf, off, other):
        """Whether `other` is what buf holds at off, as a number."""
        return int(buf[off:off + len(other)] == other)

    def copy(target, at, source, off, n):
        """target[at:at + n] = source[off:off + n]; the two do not overlap."""
        target[at:at + n] = memoryview(source)[off:off + n]
