"""What a person types: one line with its echo, and whether a statement goes on after it."""

from mpcore import limits

_RUB_OUT = b"\b \b"


class Line:
    """The line being typed. `text`: its bytes. `ended`: the last byte was its "\\r"."""

    def __init__(self):
        self.text = bytearray()
        self.ended = False
        self._escape = 0        # bytes of an escape sequence so far; arrows and such do nothing

    def clear(self):
        self.text[:] = b""
        self._escape = 0
        self.ended = False

    def type(self, byte):
        """One byte that ends nothing; returns its echo, or None."""
        self.ended = False
        if self._escape:
            self._escape += 1
            ends = b"@" <= byte <= b"~" if self._escape > 2 else byte not in b"[O"
            if ends:
                self._escape = 0
            return None
        if byte == b"\x1b":
            self._escape = 1
        elif byte in (b"\x7f", b"\b"):
            if self.text:
                self.text[:] = self.text[:-1]
                return _RUB_OUT
        elif byte == b"\t":
            return self._add(b"    ")
        elif byte >= b" ":
            return self._add(byte)
        return None

    def end(self, byte):
        """The line, which is over; a new one begins."""
        text = bytes(self.text)
        self.clear()
        self.ended = byte == b"\r"
        return text

    def _add(self, data):
        if len(self.text) + len(data) > limits.REPL_LINE:
            return b"\x07"
        self.text.extend(data)
        return data


def wants_more(lines):
    """Whether a statement of these lines (bytes) goes on: in a block until an empty line, in
    brackets until they are closed, after a backslash."""
    last = lines[-1]
    depth = sum([line.count(opens) - line.count(closes) for line in lines
                 for opens, closes in ((b"(", b")"), (b"[", b"]"), (b"{", b"}"))])
    if last.endswith(b"\\") or (depth > 0 and last):
        return True
    block = any([line.rstrip().endswith(b":") or line.startswith(b"@") for line in lines])
    return block and bool(last)
