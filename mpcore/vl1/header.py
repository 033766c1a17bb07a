"""The header of a VL1 packet, read and written where it lies (spec/packet.md 1).

`expected(buf, off, n, ours, theirs)`: is buf[off:off + n] a whole, encrypted packet that `theirs`
(address) sent straight to us, `ours`? Then its cipher, 1 or 3, else 0: nothing is judged of it.
`write(buf, off, ids, at, destination, source, flags, verb)`: write a header but for the MAC; the
packet ID is ids[at:at + 8]. The cipher's bits of `flags` are left to who armors the packet.
"""

import sys

from mpcore import fallback

if sys.implementation.name == "micropython":
    try:
        from mpcore.vl1.header_kernel import expected, write
    except MemoryError:
        fallback.instead_of("mpcore.vl1.header_kernel")
        from mpcore.vl1.header_slices import expected, write
else:
    from mpcore.vl1.header_slices import expected, write
