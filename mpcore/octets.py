"""Bytes compared and copied, without an object being made for it where there is a kernel.

`equal(buf, off, other)`: whether `other` is what buf holds at off, as a number.
`copy(target, at, source, off, n)`: target[at:at + n] = source[off:off + n], which do not overlap.
What is asked for must lie within the buffers: MicroPython's kernels check nothing.
"""

import sys

from mpcore import fallback

if sys.implementation.name == "micropython":
    try:
        from mpcore.octets_kernel import copy, equal
    except MemoryError:
        fallback.instead_of("mpcore.octets_kernel")
        from mpcore.octets_slices import copy, equal
else:
    from mpcore.octets_slices import copy, equal
