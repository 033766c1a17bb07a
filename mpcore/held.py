"""What streams have received and not yet read: `_held`, bytes, of which those before `_at` are
read. So taking a line at a time copies no line twice. The functions are methods of such classes."""


def take(self, n):
    """Read at most n bytes of those that are held."""
    held, at = self._held, self._at
    if at + n < len(held):
        self._at = at + n
        return held[at:at + n]
    self._held, self._at = b"", 0
    return held[at:] if at else held


def line_end(self):
    """How many of the bytes that are held a line has, and whether it ends among them."""
    end = self._held.find(b"\n", self._at) + 1
    return (end or len(self._held)) - self._at, end > 0
