"""A question to a DNS server over TCP, for an answer that is too long for UDP (RFC 7766)."""

import struct

from micropython import const

from mpcore.dns.message import PORT
from mpcore.ip.tcp import TcpSocket
from mpcore.limits import DNS_ANSWER

_TIMEOUT_MS = const(5000)       # for all of it
_CHUNK = const(512)


class TcpQuery:
    """query: the message. wake: as for Resolver. Once poll() has returned None, `answer` is the
    bytes that came, or None without an answer of at most limits.DNS_ANSWER bytes."""

    def __init__(self, stack, server, query, wake):
        self.server = server
        self.answer = None
        self.due_ms = None
        self._unsent = struct.pack(">H", len(query)) + query
        self._received = b""
        self._tcp = TcpSocket(stack)
        self._tcp.on_event = wake

    def poll(self, now):
        """Do what is due; returns when to call again, None once it is over."""
        try:
            if self.due_ms is None:
                self.due_ms = now + _TIMEOUT_MS
                self._tcp.connect(now, self.server, PORT)
            if now < self.due_ms and not self._is_over(now):
                return self.due_ms
        except OSError:
            pass
        self.close(now)
        return None

    def close(self, now):
        """Give the socket back."""
        self._tcp.abort(now)

    def _is_over(self, now):
        """Send and receive what there is; returns whether nothing more is to come."""
        while self._unsent:
            n = self._tcp.send(now, self._unsent)
            if not n:
                return False
            self._unsent = self._unsent[n:]
        data = self._tcp.recv(now, _CHUNK)
        while data:
            self._received += data
            if len(self._received) >= 2:
                length = int.from_bytes(self._received[:2], "big")
                if length > DNS_ANSWER:
                    return True
                if len(self._received) >= 2 + length:
                    self.answer = self._received[2:2 + length]
                    return True
            data = self._tcp.recv(now, _CHUNK)
        return data is not None
