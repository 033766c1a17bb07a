"""The header of a VL1 packet, read and written where it lies (spec/packet.md 1)."""

import sys

if sys.implementation.name == "micropython":
    from mpcore.vl1.header_kernel import expected, write
else:
    def expected(buf, off, n, ours, theirs):
        """Is buf[off:off + n] a whole, encrypted packet that `theirs` (address) sent straight to
        us, `ours`? Then its cipher, 1 or 3, else 0, and nothing is judged of it."""
        if (n < 28 or buf[off + 8:off + 13] != ours or buf[off + 13:off + 18] != theirs
                or buf[off + 18] & 0x47):
            return 0
        cipher = buf[off + 18] >> 3 & 7
        return cipher if cipher in (1, 3) else 0

    def write(buf, off, ids, at, destination, source, flags, verb):
        """Write a header but for the MAC; the packet ID is ids[at:at + 8]. The cipher's bits of
        `flags` are left to who armors the packet."""
        buf[off:off + 19] = ids[at:at + 8] + destination + source + bytes((flags,))
        buf[off + 27] = verb
