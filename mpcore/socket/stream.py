"""The methods of a stream as MicroPython's sockets have them, over receiving and sending."""

import io

from micropython import const

from mpcore import limits
from mpcore.held import line_end, take

_WHOLE_DATAGRAM = const(65536)


class Stream(io.IOBase):
    """A subclass has _receive(n, flags) and _send(data): as recv and send, but None where those
    would raise EAGAIN. _is_stream: not one of datagrams, each of which is read at once."""

    _held = b""
    _at = 0
    _take = take

    def read(self, n=-1):
        """n bytes, less at the end of the stream; without n everything until the end.

        A socket that may not wait returns what is there, None when that is nothing.
        """
        parts = []
        try:
            while n:
                data = self._next(self._chunk() if n < 0 else n)
                if data is None and not parts:
                    return None
                if not data:
                    break
                parts.append(data)
                if n > 0:
                    n -= len(data)
                if not self._is_stream:
                    break
        except OSError:
            self._hold(b"".join(parts))
            raise
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def readinto(self, buf, n=-1):
        """Fill buf, or its first n bytes; returns the length, less at the end of the stream.

        A socket that may not wait reads what is there, and returns None when that is nothing.
        """
        data = self.read(len(buf) if n < 0 else min(n, len(buf)))
        if data is None:
            return None
        buf[:len(data)] = data
        return len(data)

    def readline(self, n=-1):
        """A line with its "\\n", cut after n bytes if given; b"" at the end of the stream.

        A socket that may not wait returns the part of a line that is there, None for nothing.
        """
        parts = []
        try:
            while n:
                if not self._held:
                    data = self._receive(self._chunk())
                    if data is None and not parts:
                        return None
                    if not data:
                        break
                    self._held = data
                size, end = line_end(self)
                if 0 < n < size:
                    size, end = n, False
                parts.append(self._take(size))
                if n > 0:
                    n -= size
                if end:
                    break
        except OSError:
            self._hold(b"".join(parts))
            raise
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, data, off=0, n=None):
        """Send all of data, or data[off:off + n]; returns the length. write(data, n): data[:n].

        A socket that may not wait sends what there is room for, None when that is nothing.
        """
        data = memoryview(data)
        if n is not None:
            data = data[off:off + n]
        elif off:
            data = data[:off]
        sent = 0
        while sent < len(data):
            n = self._send(data[sent:] if sent else data)
            if n is None:
                return sent or None
            sent += n
        return sent

    def _next(self, n, flags=0):
        # At most n bytes, those that are held first.
        return self._take(n) if self._held else self._receive(n, flags)

    def _chunk(self):
        return limits.STREAM_CHUNK if self._is_stream else _WHOLE_DATAGRAM

    def _hold(self, data):
        # Put back what was taken.
        if data:
            self._held, self._at = data + self._held[self._at:], 0
