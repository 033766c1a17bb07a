"""Datagrams that come in fragments, of either family."""

from micropython import const

from mpcore.limits import REASSEMBLIES, REASSEMBLY_BYTES

_TIMEOUT_MS = const(15000)
_PIECES = const(16)


class Reassembler:
    """All datagrams of a stack that are not yet complete."""

    def __init__(self, stack):
        self._stack = stack
        self._datagrams = {}

    def add(self, now, key, at, piece, more):
        """One fragment: a memoryview at offset `at` of the datagram `key`. more: it is not the
        last one. Returns the whole payload when this completes it, else None."""
        n = len(piece)
        if n == 0 or (more and n & 7) or at + n > REASSEMBLY_BYTES:
            return self._stack.count("ip_fragment_malformed")
        datagram = self._datagrams.get(key)
        if datagram is None:
            if len(self._datagrams) >= REASSEMBLIES:
                oldest = min(self._datagrams, key=lambda k: self._datagrams[k].end_ms)
                del self._datagrams[oldest]
                self._stack.count("ip_reassembly_evicted")
            datagram = self._datagrams[key] = _Datagram(now + _TIMEOUT_MS)
            self._stack.schedule(datagram.end_ms)
        if not datagram.add(at, bytes(piece), not more):
            del self._datagrams[key]
            return self._stack.count("ip_fragment_malformed")
        payload = datagram.payload()
        if payload is not None:
            del self._datagrams[key]
        return payload

    def poll(self, now):
        """Forget datagrams that did not become complete."""
        for key, datagram in list(self._datagrams.items()):
            if now >= datagram.end_ms:
                del self._datagrams[key]
                self._stack.count("ip_reassembly_timeout")
            else:
                self._stack.schedule(datagram.end_ms)


class _Datagram:
    """Fragments of one datagram; an overlap spoils it (RFC 5722, here for IPv4 too)."""

    def __init__(self, end_ms):
        self.end_ms = end_ms
        self._pieces = []
        self._total = None

    def add(self, at, piece, last):
        """False when the datagram cannot be trusted any more. An exact duplicate is ignored."""
        end = at + len(piece)
        for other, have in self._pieces:
            if at == other and piece == have:
                return True
            if at < other + len(have) and other < end:
                return False
        if self._total is not None and (last or end > self._total):
            return False
        if last:
            if self._pieces and max(o + len(p) for o, p in self._pieces) > at:
                return False
            self._total = end
        self._pieces.append((at, piece))
        return len(self._pieces) <= _PIECES

    def payload(self):
        """All bytes in order once they are there, else None."""
        if sum(len(piece) for _, piece in self._pieces) != self._total:
            return None
        return b"".join(piece for _, piece in sorted(self._pieces, key=lambda p: p[0]))
