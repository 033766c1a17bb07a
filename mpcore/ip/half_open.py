"""A connection that a peer has begun and not yet completed: SYN-RECEIVED without a socket.

A flood of SYNs costs TCP_HALF_OPEN of these records; beyond them syn_cookies.py answers.
"""

from array import array

from micropython import const

from mpcore.ip import options
from mpcore.ip.headers import tcp_read

_SYN = const(0x02)
_RST = const(0x04)
_ACK = const(0x10)
_MAX_WINDOW = const(0xFFFF)
_FIRST_MS = const(1000)
_HEADER = const(20)


class HalfOpen:
    """What is known of it: the listener, the addresses ((ip, port) each), `wire` with both initial
    sequence numbers (see headers_struct.tcp_read), and the peer's Offer."""

    pinned = None               # the interface at which the peer's address is pinned for it

    def __init__(self, stack, key, listener, local, remote, wire, offer):
        self._stack = stack
        self._key = key
        self.listener = listener
        self._local = local
        self._remote = remote
        self._wire = wire
        self._offer = offer
        self._begun_ms = None
        self._timeout_ms = _FIRST_MS

    def end(self):
        """It is over without a connection."""
        del self._stack.tcp.half_open[self._key]
        if self.pinned is not None:
            self.pinned.unpin(self._remote[0])

    def answer(self, now):
        """Send the SYN, ACK, again too if need be."""
        if self._begun_ms is None:
            self._begun_ms = now
            self._due_ms = now + self._timeout_ms
            self._stack.schedule(self._due_ms)
        self.send(now)

    def answer_soon(self, now):
        """Send it at the next poll: at the end of a packet's walk in, the credentials that a first
        answer takes along are too much for a board's stack."""
        self._begun_ms = self._due_ms = now
        self._timeout_ms >>= 1          # which poll() doubles
        self._stack.schedule(now)

    def send(self, now):
        """Send the SYN, ACK: what the listener would use of the peer's offer."""
        stack, listener, wire, offer = self._stack, self.listener, self._wire, self._offer
        route = stack.route(self._remote[0], self._local[0])
        if route is None:
            return stack.count("tcp_no_route")
        stamps = None
        if offer.stamp is not None and listener.wants_timestamps():
            stamps = now + wire[0] & 0xFFFFFFFF, offer.stamp
        extra = options.offer(route.segment() - route.family.HEADER - _HEADER,
                              listener.scale() if offer.scale is not None else None, offer.sack,
                              stamps)
        stack.tcp.send(now, self._local, self._remote, wire, 0, 1, _SYN | _ACK,
                       min(listener.receive_ring, _MAX_WINDOW), extra, listener.ttl)

    def poll(self, now):
        """Answer again, or give up after the listener's connect_ms."""
        if now >= self._due_ms:
            if now - self._begun_ms >= self.listener.connect_ms:
                self._stack.count("tcp_gave_up")
                return self.end()
            self._timeout_ms <<= 1
            self._due_ms = now + self._timeout_ms
            self.answer(now)
        self._stack.schedule(self._due_ms)

    def receive(self, now, buf, off, n):
        """A segment of it: the one that completes the handshake makes a connection, which is
        given that segment (RFC 9293 3.10.7.4, RFC 5961)."""
        stack = self._stack
        tcp = stack.tcp
        out = array("i", [0] * 4)
        header = tcp_read(self._wire, buf, off, n, 0, 1, out)
        if header <= 0:
            return stack.count("tcp_checksum" if header else "tcp_malformed")
        seq, ack, flags = 1 + out[0], out[1], out[2]
        if flags & (_SYN | _RST | _ACK) == _SYN and seq == 0:
            self.answer(now)
        elif flags & _RST:
            if seq == 1:
                self.end()
        elif flags & _SYN:
            # A peer that began anew answers this by a RST, which makes room for its next SYN.
            tcp.send(now, self._local, self._remote, self._wire, 1, 1, _ACK)
        elif not flags & _ACK:
            stack.count("tcp_stray")
        elif ack != 1:
            tcp.send(now, self._local, self._remote, self._wire, ack, -self._wire[1], _RST)
        elif not 0 < seq <= 1 + min(self.listener.receive_ring, _MAX_WINDOW):
            stack.count("tcp_out_of_window")
        elif tcp.has_room(self.listener):
            del tcp.half_open[self._key]
            self.complete(now, seq, flags, out[3], buf, off, header, n)

    def complete(self, now, seq, flags, window, buf, off, header, n):
        """Make the connection, and give it the segment with the valid ACK, at position `seq`."""
        self._stack.tcp.make_room()
        child = self.listener.child(now, self._key, self._local, self._remote, self._wire)
        if self.pinned is not None:
            child.pinned = self.pinned
        once = self._timeout_ms == _FIRST_MS
        child.open_passive(now, self.listener, self._wire[1], self._offer,
                           self._begun_ms if once else None)
        child.receive(now, seq, 1, flags, window, buf, off, header, n)

    def refuse(self, now):
        """The listener is closed."""
        self._stack.tcp.send(now, self._local, self._remote, self._wire, 1, 1, _RST | _ACK)
