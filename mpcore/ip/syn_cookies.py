"""Handshakes without memory, when there are too many half-open connections (RFC 4987 3.6).

Our initial sequence number is a cookie: 5 bits of a 64 s clock, 3 bits for the peer's segment
size, 24 bits of a keyed hash over these, the addresses and the peer's initial number. Who returns
it has seen it. Other options are lost. Loaded with the first flood.
"""

import hashlib

from micropython import const

from mpcore.ip.half_open import HalfOpen
from mpcore.ip.options import Offer

_TICK_MS = const(64000)
_SIZES = (64, 536, 1220, 1360, 1440, 1460, 2740, 2760)


class Cookies:
    def __init__(self, stack):
        self._stack = stack
        self._secret = stack.entropy(16)
        self._until_ms = 0              # later no cookie of ours can come back

    def answer(self, now, key, listener, local, remote, wire, offer):
        """Answer a SYN, whose sequence number is in wire[1], by a cookie."""
        size = 0
        while size < 7 and _SIZES[size + 1] <= offer.mss:
            size += 1
        self._until_ms = now + 2 * _TICK_MS
        wire[0] = self._cookie(now // _TICK_MS, size, wire[1], key)
        HalfOpen(self._stack, key, listener, local, remote, wire, Offer(offer.window)).send(now)

    def receive(self, now, key, listener, local, remote, wire, seq, ack, window, buf, off, n):
        """A segment of no known connection. False: it does not return a cookie of ours."""
        if now >= self._until_ms:
            return False
        cookie, irs = ack - 1 & 0xFFFFFFFF, seq - 1 & 0xFFFFFFFF
        tick = now // _TICK_MS
        size = cookie >> 24 & 7
        if cookie not in (self._cookie(tick, size, irs, key),
                          self._cookie(tick - 1, size, irs, key)):
            return False
        if self._stack.tcp.has_room(listener):
            wire[0], wire[1] = cookie, irs
            record = HalfOpen(self._stack, key, listener, local, remote, wire,
                              Offer(window, _SIZES[size]))
            record.complete(now, 1, buf[off + 13], window, buf, off, buf[off + 12] >> 4 << 2, n)
        return True

    def _cookie(self, tick, size, irs, key):
        tick &= 31
        digest = hashlib.sha256(self._secret + key + irs.to_bytes(4, "big")
                                + bytes((tick, size))).digest()
        return tick << 27 | size << 24 | int.from_bytes(digest[:3], "big")
