"""One end of a TCP connection as a machine: segments and time in, segments out (RFC 9293).

Positions in the sequence space are counted from the initial sequence numbers and never wrap: a
SYN has position 0, the first byte of data 1. Only the headers on the wire hold 32-bit numbers.
How data is sent is in sender.py.

Acknowledging. A short segment with PSH is an interactive write: it is acknowledged at the next
poll, as are every second segment, a FIN, and the SYN that answers ours, unless an answer has
carried the ACK by then: those whom the data woke run before that poll. A single other segment is
acknowledged after 20 ms. What tells the peer of a loss is acknowledged at once: a segment out of
order, a filled gap, a duplicate.

Options. SACK is offered always. Windows are scaled, and segments carry timestamps, only when a
ring is larger than 65535 bytes (timestamps also by the socket's choice): a board does not pay
for them.

Giving up. Without any progress a connection fails with ETIMEDOUT after `give_up_ms` (100 s), an
attempt to connect after `connect_ms` (30 s), at the next timeout. A peer with a closed window
that still answers probes is waited for, unless the application has closed the socket.

Not implemented: urgent data, ECN, TCP Fast Open.
"""

import micropython
from micropython import const

from mpcore.ip import errors
from mpcore.ip.congestion import Congestion, RoundTrip
from mpcore.ip.ring import ReceiveRing, Ring
from mpcore.ip.sender import Sender
from mpcore.ip.states import (CLOSE_WAIT, CLOSED, CLOSING, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2,
                              LAST_ACK, SYN_RECEIVED, SYN_SENT, TIME_WAIT)

_FIN = const(0x01)
_SYN = const(0x02)
_RST = const(0x04)
_PSH = const(0x08)
_ACK = const(0x10)
_SACK = const(5)                  # as options.py has it, which is loaded when there are some

_HEADER = const(20)
_DEFAULT_MSS = const(536)
_MAX_WINDOW = const(0xFFFF)
_TTL = const(64)
_DELAYED_ACK_MS = const(20)
_SOON = const(2)                   # owed so much, an ACK is due at the next poll ...
_AT_ONCE = const(1000)             # ... and here it is not to be delayed
_TIME_WAIT_MS = const(5000)
_ORPHAN_MS = const(20000)
_GIVE_UP_MS = const(100000)
_CONNECT_MS = const(30000)
_CHALLENGES_PER_S = const(10)


class Connection(Sender):
    """The machine. Who drives it: Tcp gives segments and time, TcpSocket the application's calls.

    The attributes without underscore that are not described here are so at TcpSocket. Those that
    are seldom set are here: they cost RAM only where they are.
    """

    straight = False                # see straight.py
    owing = False                   # it is among those that owe an ACK at the next poll
    timestamps = None
    pinned = None                   # the interface at which the peer's address is pinned for it
    give_up_ms = _GIVE_UP_MS
    connect_ms = _CONNECT_MS
    _deaf = False                   # the application does not want to read any more
    _scaled = False
    _challenged = 0                 # second of the last challenge ACK, and how many in it

    def __init__(self, stack):
        self._stack = stack
        self.state = CLOSED
        self.error = 0
        self.on_event = None
        self.local = (None, 0)
        self.remote = None
        self.nodelay = True
        self.ttl = _TTL
        self.send_ring = stack.tcp.send_ring
        self.receive_ring = stack.tcp.receive_ring
        self._key = None
        self._parent = None
        self._tx = self._rx = None
        self._keepalive = None
        self._closed = False            # the application is done with it
        self._blocked = True            # it found no room to write

    def open(self, now, key, local, remote, wire):
        """Begin to be a connection. local, remote: (ip, port); wire: see headers_struct.tcp_read,
        our initial sequence number in it; key: under which the stack finds us."""
        self.local, self.remote, self.wire, self._key = local, remote, wire, key
        self._stack.tcp.connections[key] = self
        self._flow = key if len(remote[0]) == 4 else None   # what packets of the peer bear
        self._route = None
        self._generation = -1
        self.snd_una = self.snd_nxt = self._snd_max = 0
        self._snd_wnd = self._snd_wnd_max = self._snd_wl1 = self._snd_wl2 = 0
        self.rcv_nxt = 0
        self._rcv_edge = min(self.receive_ring, _MAX_WINDOW)    # end of the window we offered
        self._snd_scale = self._rcv_scale = 0
        self._sack = False              # the peer understands SACK
        self._stamps = None             # Timestamps, if both sides use them
        self._board = None              # Scoreboard, while the peer lacks something
        self._fin_at = None             # position of the peer's FIN
        self._ended = False             # it has been reached
        self._fin = False               # ours is to be sent after what is queued
        self._news = False              # it is to be told when the segment has been dealt with
        self._mss = _DEFAULT_MSS
        self._short = 0                 # end of the last segment that was not full (Nagle)
        self._trip = RoundTrip()
        self._congestion = None
        self._timed = None              # position whose ACK gives a round-trip sample
        self._timed_ms = self._sent_ms = self._progress_ms = now
        self._probing = False
        self._early = False             # the timer looks for losses before the timeout
        self._urgent = False            # what is lost first is sent whatever the window is
        self._owed = 0                  # segments with data not yet acknowledged, or more
        self._ack_ms = self._rtx_ms = self._end_ms = None

    def open_active(self, now):
        """Send the SYN."""
        self.state = SYN_SENT
        self._send_syn(now, _SYN)

    def open_passive(self, now, parent, irs, offer, sent_ms):
        """The SYN of a peer has been answered; the segment that completes the handshake will be
        given to receive(). sent_ms: when our only SYN, ACK left, None if there were several.
        Then parent.child_established(self) is called."""
        self._parent = parent
        self._synchronize(now, irs, offer)
        self.state = SYN_RECEIVED
        self.snd_nxt = self._snd_max = 1
        if sent_ms is not None:
            self._timed, self._timed_ms = 1, sent_ms

    def receive(self, now, seq, ack, flags, window, buf, off, header, n):
        """One segment at buf[off:off + n], its checksum verified; seq and ack are positions.

        The order of the checks is that of RFC 9293 3.10.7.4, sharpened by RFC 5961.
        """
        if self.straight:
            self.straight = False
            self._snd_wl1, self._snd_wl2 = self.rcv_nxt, self.snd_una
        state = self.state
        if state == SYN_SENT:
            return self._receive_syn_sent(now, seq, ack, flags, window, buf, off, header)
        if self._keepalive is not None:
            self._keepalive.heard(now)
        found = None
        stamps = self._stamps
        if header > _HEADER or stamps is not None:
            from mpcore.ip import options

            found = options.read(buf, off + _HEADER, off + header)
            if stamps is not None and not flags & _RST:
                accepted = stamps.accept(now, seq, buf, found)
                if not accepted:
                    return self._receive_untimely(now, accepted)
        n -= header
        fin = flags & _FIN
        nxt = self.rcv_nxt
        if seq > self._rcv_edge or (seq < nxt and seq + n + fin <= nxt):
            if not self._beyond_closed_window(seq, flags):
                return self._receive_outside(now, seq, flags, n + fin)
            if n or fin:
                self._owed = _SOON
            seq, n, fin = nxt, 0, 0
        if flags & _RST:
            return self._receive_reset(now, seq)
        if flags & _SYN:
            return self._challenge(now)
        if not flags & _ACK:
            return self._stack.count("tcp_stray")
        if state == SYN_RECEIVED:
            if ack != 1:
                return self._emit(now, ack, 0, _RST)
            self._establish()
        una, highest, probing = self.snd_una, self._snd_max, self._probing
        if ack > highest + probing or ack < una - self._snd_wnd_max:
            return self._challenge(now)
        window <<= self._snd_scale
        if probing and not self._closed:
            self._progress_ms = now
        if ack > una:
            self._acked(now, ack)
        if self._sack:
            at = found.get(_SACK) if found else None
            if at is not None or self._board is not None:
                self._recovery().judge(self, now, ack, ack > una, buf, at)
        elif (ack == una < highest and not n and not fin and window == self._snd_wnd
              and not probing
              and self._congestion.duplicate(una, highest, self._tx.used > highest - una)):
            self._retransmit_first(now)
        if self._snd_wl1 < seq or (self._snd_wl1 == seq and self._snd_wl2 <= ack):
            self._snd_wl1, self._snd_wl2 = seq, ack
            if window != self._snd_wnd:
                self._set_window(window)
        if n or fin:
            self._take(now, seq, buf, off + header, n, fin, flags & _PSH)
        self._settle(now)
        self.straight = self._is_straight()

    def _is_straight(self):
        """Is nothing under way by which the next segment would have to be judged?"""
        rx = self._rx
        return (self.state == ESTABLISHED and self._flow is not None and rx is not None
                and not rx.gaps and self._board is None and self._stamps is None
                and not (self._probing or self._deaf or self._fin) and self._fin_at is None
                and self.snd_nxt == self._snd_max and self._congestion.steady()
                and not self._trip.backed_off())

    def poll(self, now):
        """Run what is due, schedule the rest."""
        if self._ack_ms is not None and now >= self._ack_ms:
            self._ack(now)
        if self._rtx_ms is not None and now >= self._rtx_ms:
            self._timed_out(now)
        if self._end_ms is not None and now >= self._end_ms:
            self._end(now)
        if self._keepalive is not None and ESTABLISHED <= self.state < TIME_WAIT:
            self._keep_alive(now)
        for due in (self._ack_ms, self._rtx_ms, self._end_ms):
            if due is not None:
                self._stack.schedule(due)

    def acknowledge(self, now):
        """Send the ACK that is owed by now, if no segment has carried it."""
        if self._owed >= _SOON and self.state != CLOSED:
            self._ack(now)

    def keep_alive(self, now, idle_ms, interval_ms=75000, count=9):
        """Ask a peer that was silent for idle_ms (None: never ask), every interval_ms, whether it
        is there; after `count` questions without an answer the connection fails with ETIMEDOUT.
        Accepted sockets inherit it from their listener."""
        if idle_ms is None:
            self._keepalive = None
            return
        from mpcore.ip.keepalive import Keepalive

        self._keepalive = Keepalive(now, idle_ms, interval_ms, count)
        self._stack.schedule(now + idle_ms)

    def end_writing(self, now):
        """Have a FIN follow what is queued."""
        self.state = FIN_WAIT_1 if self.state == ESTABLISHED else LAST_ACK
        self._fin = True
        self.straight = False
        self._output(now)

    def end_orphan(self, now):
        """In FIN_WAIT_2 with nobody to read any more: the peer is not waited for for ever."""
        self._end_later(now, _ORPHAN_MS)

    def reset(self, now):
        """Drop the connection at once; the peer is told by a RST."""
        self._closed = True
        self.straight = False
        self.on_event = self._rx = None
        if SYN_RECEIVED <= self.state < TIME_WAIT:
            self._emit(now, self._snd_max, 0, _RST | _ACK)
        self.finish(0)

    def finish(self, error):
        """The connection is over. What was received can still be read."""
        tcp = self._stack.tcp
        if self.state == TIME_WAIT:
            tcp.time_waits.remove(self)
        self.state = CLOSED
        self.straight = False
        self.error = error
        self._ack_ms = self._rtx_ms = self._end_ms = self._tx = None
        if self._key is not None:
            del tcp.connections[self._key]
            self._key = None
            if self.pinned is not None:
                self.pinned.unpin(self.remote[0])
            for interface in self._stack.interfaces:
                if interface.flow is self:
                    interface.flow = None
        if self.on_event is not None:
            self.on_event()

    # --- opening ---

    def _send_syn(self, now, flags):
        if self._timed is None and self._snd_max == 0:
            self._timed, self._timed_ms = 1, now
        self.snd_nxt = self._snd_max = 1
        self._arm(now)
        self._emit(now, 0, 0, flags)

    def scale(self):
        """The shift of the windows that we offer, or None: we would not gain by it."""
        if self.send_ring <= _MAX_WINDOW and self.receive_ring <= _MAX_WINDOW:
            return None
        shift = 0
        while self.receive_ring >> shift > _MAX_WINDOW:
            shift += 1
        return shift

    def wants_timestamps(self):
        """Do we use timestamps if the peer does?"""
        return self.scale() is not None if self.timestamps is None else self.timestamps

    def _offer(self, now, mss):
        """The options of our SYN; one that answers the peer's SYN has only what that had."""
        from mpcore.ip import options

        stamps = None
        if self.state != SYN_SENT:
            if self._stamps is not None:
                stamps = self._stamps.pair(now)
            return options.offer(mss, self._rcv_scale if self._scaled else None, self._sack,
                                 stamps)
        if self.wants_timestamps():
            stamps = now + self.wire[0] & 0xFFFFFFFF, 0
        return options.offer(mss, self.scale(), True, stamps)

    def _synchronize(self, now, irs, offer):
        """The peer's SYN gives its sequence number, its window and its options."""
        self.wire[1] = irs
        self.rcv_nxt = 1
        self._rcv_edge += 1
        self._snd_wnd = self._snd_wnd_max = offer.window
        self._snd_wl1 = self._snd_wl2 = 0
        self._sack = offer.sack
        scale = self.scale()
        self._scaled = scale is not None and offer.scale is not None
        if self._scaled:
            self._snd_scale, self._rcv_scale = offer.scale, scale
        if offer.stamp is not None and self.wants_timestamps():
            from mpcore.ip.timestamps import Timestamps

            # The initial sequence number is a secret offset of the clock, as RFC 7323 5.4 wants.
            self._stamps = Timestamps(now, self.wire[0], offer.stamp)
        self._mss = self._fitting(min(offer.mss, self._link_mss()))
        self._congestion = Congestion(self._mss, max(self.send_ring, _MAX_WINDOW), offer.sack)

    def _establish(self):
        """Our SYN was acknowledged: only now memory is spent."""
        self.state = ESTABLISHED
        self._tx = Ring(self.send_ring)
        size = self.receive_ring
        size = size if self._scaled else min(size, _MAX_WINDOW)
        self._rx = ReceiveRing(size, min(size >> 1, self._mss))
        self._news = True

    def _receive_syn_sent(self, now, seq, ack, flags, window, buf, off, header):
        acked = flags & _ACK and ack == 1
        if flags & _ACK and not acked:
            if not flags & _RST:
                self._emit(now, ack, 0, _RST)
        elif flags & _RST:
            if acked:
                self.finish(errors.ECONNREFUSED)
        elif flags & _SYN:
            from mpcore.ip import options

            offer = options.read_offer(buf, off + _HEADER, off + header, window)
            self._synchronize(now, seq & 0xFFFFFFFF, offer)
            if acked:
                self._establish()
                self._acked(now, ack)
                self._owed = _SOON
                self._settle(now)
            else:
                self.state = SYN_RECEIVED
                self._send_syn(now, _SYN | _ACK)

    # --- receiving ---

    def _beyond_closed_window(self, seq, flags):
        """Is it from beyond our closed window? A peer that probes may count what we did not take
        (lwIP does). What it acknowledges counts all the same (RFC 9293 3.10.7.4), or two
        echoes with full buffers would wait for each other for ever."""
        nxt = self.rcv_nxt
        return (nxt == self._rcv_edge and self._rx is not None and not flags & (_SYN | _RST)
                and nxt < seq <= nxt + self._rx.size)

    def _receive_outside(self, now, seq, flags, length):
        """A segment with nothing in the window: what is old is acknowledged again."""
        if flags & _RST:
            return
        self._stack.count("tcp_out_of_window")
        if self.state == SYN_RECEIVED and flags & (_SYN | _ACK) == _SYN:
            return self._send_syn(now, _SYN | _ACK)
        if self.state == TIME_WAIT:
            self._end_later(now, _TIME_WAIT_MS)
        if not length:
            self._challenge(now)
        elif self._rx is not None and self._sack and seq < self.rcv_nxt:
            # What came twice is told first (DSACK, RFC 2883).
            gaps = self._rx.gaps
            gaps.insert(0, (seq, seq + length))
            self._ack(now)
            gaps.pop(0)
        else:
            self._ack(now)

    def _receive_untimely(self, now, accepted):
        """A segment that its timestamps forbid: an old duplicate is acknowledged (RFC 7323 5.3),
        one without any is dropped (3.2)."""
        self._stack.count("tcp_timestamps")
        if accepted is False:
            self._challenge(now)

    def _receive_reset(self, now, seq):
        state = self.state
        if seq != self.rcv_nxt:
            self._challenge(now)
        elif state == SYN_RECEIVED:
            self.finish(errors.ECONNREFUSED)
        elif state < CLOSING:
            self.finish(errors.ECONNRESET)
        elif state != TIME_WAIT:
            # Both sides have said all. TIME_WAIT is not to be cut short by anybody (RFC 1337).
            self.finish(0)

    def _challenge(self, now):
        """An ACK that a true peer will act upon and a forger learns nothing from (RFC 5961).

        Limited for each connection: a common limit would tell of other connections.
        """
        second = now // 1000 << 4
        if self._challenged & ~15 != second:
            self._challenged = second
        if self._challenged & 15 >= _CHALLENGES_PER_S:
            return self._stack.count("tcp_challenge_limited")
        self._challenged += 1
        self._ack(now)

    def _take(self, now, seq, buf, start, n, fin, push):
        """Keep the data of a segment that overlaps the window, and its FIN."""
        nxt = self.rcv_nxt
        if seq < nxt:
            start += nxt - seq
            n -= nxt - seq
            seq = nxt
        if n > self._rcv_edge - seq:
            n = self._rcv_edge - seq
            fin = 0
        if self._ended:
            self._owed = _AT_ONCE
            return
        if fin and self._fin_at is None:
            self._fin_at = seq + n
        if n > 0:
            if self._closed:
                # Nobody will read it: say so rather than acknowledge it.
                return self.reset(now)
            if seq > nxt or self._rx.gaps:
                self._owed += _AT_ONCE
            else:
                self._owed += _SOON if push and n < self._mss else 1
            end = self._rx.store(nxt, seq, buf, start, n)
            if end is None:
                self._stack.count("tcp_gaps_full")
            elif end > nxt:
                self.rcv_nxt = end
                self._news = True
                if self._deaf:
                    self._rx.skip(self._rx.used)
        elif seq > nxt or not fin:
            self._owed = _AT_ONCE
        if self._fin_at == self.rcv_nxt:
            self.rcv_nxt += 1
            self._rcv_edge = max(self._rcv_edge, self.rcv_nxt)  # a FIN takes no room in the ring
            self._ended = self._news = True
            self._peer_closed(now)

    def _peer_closed(self, now):
        """The peer's FIN was reached."""
        if self.state == ESTABLISHED:
            self.state = CLOSE_WAIT
            self._owed = max(self._owed, _SOON)
            return
        self._owed = _AT_ONCE           # no answer will carry it
        if self.state == FIN_WAIT_1:
            self.state = CLOSING
        elif self.state == FIN_WAIT_2:
            self._time_wait(now)

    @micropython.native
    def _settle(self, now):
        """What a segment leads to: news for the application, who may answer at once; what may be
        sent by now; an ACK, if none has left with that."""
        if self._news:
            self._news = False
            if self._parent is not None:
                parent, self._parent = self._parent, None
                parent.child_established(self)
            if self.on_event is not None:
                self.on_event()
        if self._tx is not None and (self._tx.used or self._fin):
            self._output(now)
        if self.state == CLOSED:
            return
        if self._owed:
            self._owe(now)

    @micropython.native
    def _owe(self, now):
        """See to the ACK that is owed."""
        owed = self._owed
        if owed >= _AT_ONCE:
            self._ack(now)
        elif owed >= _SOON:
            self._stack.tcp.owe(now, self)
        elif self._ack_ms is None:
            self._ack_ms = now + _DELAYED_ACK_MS
            self._stack.schedule(self._ack_ms)

    @micropython.native
    def _edge(self):
        """The right edge to offer: moves when that is worth a segment (RFC 9293 3.8.6.2.2)."""
        ring = self._rx
        gain = self.rcv_nxt + ring.size - ring.used - self._rcv_edge
        return self._rcv_edge + (gain if gain >= ring.step else 0)

    # --- time ---

    def _keep_alive(self, now):
        due_ms, probe = self._keepalive.poll(now, self.snd_una < self._snd_max)
        if probe:
            # What the peer has acknowledged already makes it answer.
            self._emit(now, self.snd_una - 1, 0, _ACK)
        elif probe is False:
            self._stack.count("tcp_gave_up")
            return self.finish(errors.ETIMEDOUT)
        self._stack.schedule(due_ms)

    def _end(self, now):
        """What was to end by now: TIME_WAIT, the wait for the FIN of a peer whom nobody hears, or
        the time that the application left for the rest to be delivered."""
        if self.state == TIME_WAIT or self.state == FIN_WAIT_2:
            self.finish(0)
        else:
            self.reset(now)

    def _time_wait(self, now):
        self.state = TIME_WAIT
        self._tx = None
        self._rtx_ms = None
        self._end_later(now, _TIME_WAIT_MS)
        self._stack.tcp.linger(self)

    def _end_later(self, now, ms):
        self._end_ms = now + ms
        self._stack.schedule(self._end_ms)
