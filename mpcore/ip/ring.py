"""Rings of bytes: what a TCP connection has not yet been able to pass on."""

import micropython

from mpcore.limits import TCP_GAPS
from mpcore.octets import copy


class Ring:
    """`used` bytes of `bytes`, from `head` on, are its content; more may be written ahead of them.

    Offsets count from the first byte of the content. The owner sees to it that nothing beyond
    `size` is written and nothing beyond what was written is read.
    """

    def __init__(self, size):
        self.size = size
        self.head = 0
        self.used = 0
        self.bytes = bytearray(size)
        self._view = memoryview(self.bytes)

    @micropython.native
    def write(self, at, source, off, n):
        """Copy source[off:off + n] to offset `at`; `used` stays as it is."""
        start = self.head + at
        size = self.size
        if start >= size:
            start -= size
        first = size - start
        if n <= first:
            copy(self.bytes, start, source, off, n)
        else:
            copy(self.bytes, start, source, off, first)
            copy(self.bytes, 0, source, off + first, n - first)

    @micropython.native
    def read(self, at, target, off, n):
        """Copy n bytes from offset `at` to target[off:off + n]; the content stays."""
        start = self.head + at
        size = self.size
        if start >= size:
            start -= size
        first = size - start
        if n <= first:
            copy(target, off, self.bytes, start, n)
        else:
            copy(target, off, self.bytes, start, first)
            copy(target, off + first, self.bytes, 0, n - first)

    @micropython.native
    def peek(self, n):
        """The first n bytes of the content, which stays."""
        start = self.head
        end = start + n
        if end <= self.size:
            return bytes(self._view[start:end])
        return bytes(self.bytes[start:]) + bytes(self.bytes[:end - self.size])

    @micropython.native
    def skip(self, n):
        """Drop the first n bytes of the content."""
        self.used -= n
        head = self.head + n
        self.head = head if head < self.size else head - self.size


class ReceiveRing(Ring):
    """A ring whose content may arrive out of order.

    gaps: the ranges [start, end) of positions that lie beyond the content, the one that changed
    last first; at most TCP_GAPS of them, and more in a ring beyond 64 KB. step: of how many bytes
    of new room the peer is told.
    """

    def __init__(self, size, step):
        super().__init__(size)
        self.step = step
        self.gaps = []
        self._most = max(TCP_GAPS, size >> 14)

    def store(self, expected, position, source, off, n):
        """Put source[off:off + n] at its place; `expected` is the position that follows
        the content. Returns the position that follows it now, or None when there were too many
        gaps to remember this one."""
        end = position + n
        if position == expected and not self.gaps:
            self.write(self.used, source, off, n)
            self.used += n
            return end
        others = []
        start = position
        for gap in self.gaps:
            if start <= gap[1] and gap[0] <= end:
                start, end = min(start, gap[0]), max(end, gap[1])
            else:
                others.append(gap)
        if start > expected:
            if len(others) >= self._most:
                return None
            others.insert(0, (start, end))
            end = expected
        self.write(self.used + position - expected, source, off, n)
        self.used += end - expected
        self.gaps = others
        return end
