"""What the station offers and does over TCP: small machines that a socket's events drive.

Portable: the same on CPython and MicroPython.
"""

import binascii
import hashlib
import json

from mpcore.ip.events import WRITE
from pattern import pattern

_CHUNK = 4096


class Conversation:
    """One connection. turn(now) does what its socket has something for; on_end, if given, is
    called with the conversation when it is over."""

    def __init__(self, station, socket, on_end=None):
        self.station = station
        self.socket = socket
        self.error = 0
        self._pending = b""
        self._on_end = on_end
        socket.on_event = self.wake
        station.conversations.append(self)
        self.wake()

    def wake(self):
        self.station.woken.append(self)

    def run(self, now):
        if self in self.station.conversations:
            try:
                self.turn(now)
            except OSError as error:
                self.error = error.errno
                self.station.stack.count("service_error_%d" % error.errno)
                self.end(now)

    def end(self, now):
        self.station.conversations.remove(self)
        self.socket.close(now)
        if self._on_end is not None:
            self._on_end(self)

    def flush(self, now):
        """Whether all that was to be sent is in the socket's hands."""
        while self._pending:
            n = self.socket.send(now, self._pending)
            if n == 0:
                return False
            self._pending = self._pending[n:]
        return True


class Echo(Conversation):
    """Returns what comes."""

    def turn(self, now):
        while self.flush(now):
            data = self.socket.recv(now, _CHUNK)
            if data is None:
                return
            if not data:
                return self.end(now)
            self._pending = data


class Digest(Conversation):
    """Reads to the end, then tells the length and SHA-256 of what came, as JSON."""

    def __init__(self, station, socket, on_end=None):
        self._digest = hashlib.sha256()
        self._length = 0
        self._ended = False
        super().__init__(station, socket, on_end)

    def turn(self, now):
        if not self._ended and self.read(now):
            self._pending = json.dumps(self.result()).encode()
        if self._ended and self.flush(now):
            self.end(now)

    def read(self, now):
        """Whether the end was reached."""
        while not self._ended:
            data = self.socket.recv(now, _CHUNK)
            if data is None:
                break
            self._digest.update(data)
            self._length += len(data)
            self._ended = not data
        return self._ended

    def result(self):
        digest = binascii.hexlify(self._digest.digest()).decode()
        return {"length": self._length, "sha256": digest, "error": self.error}


class Source(Conversation):
    """Reads a number and a newline, and sends as many bytes of the pattern."""

    def __init__(self, station, socket, on_end=None):
        self._asked = b""
        self._at = 0
        self._left = None
        super().__init__(station, socket, on_end)

    def turn(self, now):
        while self._left is None:
            data = self.socket.recv(now, _CHUNK)
            if data is None:
                return
            self._asked += data
            if not data:
                return self.end(now)
            if b"\n" in self._asked:
                self._left = int(self._asked)
        while self.flush(now) and self._left:
            self._pending = pattern(self._at, min(self._left, _CHUNK))
            self._at += len(self._pending)
            self._left -= len(self._pending)
        if not self._pending:
            self.end(now)


class Http(Conversation):
    """Answers one request with its first line."""

    def __init__(self, station, socket, on_end=None):
        self._request = b""
        super().__init__(station, socket, on_end)

    def turn(self, now):
        while b"\r\n\r\n" not in self._request:
            data = self.socket.recv(now, _CHUNK)
            if data is None:
                return
            if not data:
                return self.end(now)
            self._request += data
            if b"\r\n\r\n" in self._request:
                line = self._request.split(b"\r\n")[0]
                self._pending = (b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n"
                                 b"Content-Length: %d\r\n\r\n%s" % (len(line), line))
        if self.flush(now):
            self.end(now)


class Sleeper(Digest):
    """Takes nothing, so that the window closes; woken up, does as Digest does."""

    asleep = True

    def turn(self, now):
        if not self.asleep:
            super().turn(now)


class Caller(Digest):
    """Sends n bytes of the pattern over a socket that is connecting, half-closes, and reads to
    the end."""

    def __init__(self, station, socket, n, on_end):
        self._at = 0
        self._n = n
        self._half = False
        super().__init__(station, socket, on_end)

    def turn(self, now):
        if not self.socket.events() & WRITE and self._at == 0:
            return
        while self.flush(now) and self._at < self._n:
            self._pending = pattern(self._at, min(self._n - self._at, _CHUNK))
            self._at += len(self._pending)
        if not self._pending and not self._half:
            self._half = True
            self.socket.shutdown_write(now)
        if self.read(now) and self._half:
            self.end(now)
