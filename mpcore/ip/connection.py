"""One end of a TCP connection as a machine: segments and time in, segments out (RFC 9293).

Positions in the sequence space are counted from the initial sequence numbers and never wrap: a
SYN has position 0, the first byte of data 1. Only the headers on the wire hold 32-bit numbers.

Sending. What the application gives leaves at once (no Nagle): a segment goes out when it is
full, or holds everything that is queued (then it carries PSH), or at least half of the largest
window the peer ever offered; else it waits for the window to open, or for a timer: then what
the window allows is sent, or one byte beyond a closed one.

Acknowledging. A single segment with data is acknowledged after 20 ms, every second one, a FIN
and the SYN that answers ours at the next poll, unless an answer has carried the ACK by then:
those whom the data woke run before that poll. What tells the peer of a loss is acknowledged at
once: a segment out of order, a filled gap, a duplicate.

Giving up. Without any progress a connection fails with ETIMEDOUT after `give_up_ms` (100 s), an
attempt to connect after `connect_ms` (30 s), at the next timeout. A peer with a closed window
that still answers probes is waited for.

Not implemented: window scaling, timestamps, SACK, urgent data, keepalive, TCP Fast Open.
"""

from micropython import const

from mpcore.ip import errors
from mpcore.ip.congestion import Congestion, RoundTrip
from mpcore.ip.headers import tcp_write
from mpcore.ip.ring import ReceiveRing, Ring
from mpcore.limits import TCP_RECEIVE_RING, TCP_SEND_RING

PROTOCOL = const(6)

# States. From ESTABLISHED on the connection is synchronized; from CLOSING on both sides have
# said all.
CLOSED = const(0)
LISTEN = const(1)
SYN_SENT = const(2)
SYN_RECEIVED = const(3)
ESTABLISHED = const(4)
CLOSE_WAIT = const(5)
FIN_WAIT_1 = const(6)
FIN_WAIT_2 = const(7)
CLOSING = const(8)
LAST_ACK = const(9)
TIME_WAIT = const(10)

_FIN = const(0x01)
_SYN = const(0x02)
_RST = const(0x04)
_PSH = const(0x08)
_ACK = const(0x10)

_HEADER = const(20)
_HEADER_WORD = const(0x5000)       # a header of 20 bytes, as the first bits of the control word
_SYN_HEADER = const(24)
_SYN_HEADER_WORD = const(0x6000)
_DEFAULT_MSS = const(536)
_MIN_MSS = const(64)
_MAX_WINDOW = const(0xFFFF)
_DELAYED_ACK_MS = const(20)
_SOON = const(2)                   # owed so much, an ACK is due at the next poll ...
_AT_ONCE = const(1000)             # ... and here it is not to be delayed
_TIME_WAIT_MS = const(5000)
_ORPHAN_MS = const(20000)
_GIVE_UP_MS = const(100000)
_CONNECT_MS = const(30000)


class Connection:
    """The machine. Who drives it: Tcp gives segments and time, TcpSocket the application's calls.

    on_event, error, local, remote, give_up_ms, connect_ms, send_ring and receive_ring are
    described at TcpSocket.
    """

    def __init__(self, stack):
        self._stack = stack
        self.state = CLOSED
        self.error = 0
        self.on_event = None
        self.local = (None, 0)
        self.remote = None
        self.give_up_ms = _GIVE_UP_MS
        self.connect_ms = _CONNECT_MS
        self.send_ring = TCP_SEND_RING
        self.receive_ring = TCP_RECEIVE_RING
        self._key = None
        self._parent = None
        self._tx = self._rx = None
        self._closed = False            # the application is done with it
        self._blocked = True            # it found no room to write

    def open(self, now, key, local, remote, wire):
        """Begin to be a connection. local, remote: (ip, port); wire: see headers_struct.tcp_read;
        key: under which the stack finds us."""
        self.local, self.remote, self.wire, self._key = local, remote, wire, key
        wire[0] = self._stack.tcp.initial_sequence(now, key)
        self._stack.tcp.connections[key] = self
        self._route = None
        self._generation = -1
        self.snd_una = self.snd_nxt = self._snd_max = 0
        self._snd_wnd = self._snd_wnd_max = self._snd_wl1 = self._snd_wl2 = 0
        self.rcv_nxt = 0
        self._rcv_edge = min(self.receive_ring, _MAX_WINDOW)    # end of the window we offered
        self._fin_at = None             # position of the peer's FIN
        self._ended = False             # it has been reached
        self._fin = False               # ours is to be sent after what is queued
        self._news = False              # it is to be told when the segment has been dealt with
        self._mss = _DEFAULT_MSS
        self._trip = RoundTrip()
        self._congestion = None
        self._timed = None              # position whose ACK gives a round-trip sample
        self._timed_ms = self._sent_ms = self._progress_ms = now
        self._probing = False
        self._owed = 0                  # segments with data not yet acknowledged, or more
        self._ack_ms = self._rtx_ms = self._end_ms = None

    def open_active(self, now):
        """Send the SYN."""
        self.state = SYN_SENT
        self._send_syn(now, _SYN)

    def open_passive(self, now, parent, irs, window, mss):
        """Answer a peer's SYN. parent.child_established(self) or parent.child_lost() will be
        called when it is known what becomes of it."""
        self._parent = parent
        self._synchronize(irs, window, mss)
        self.state = SYN_RECEIVED
        self._send_syn(now, _SYN | _ACK)

    def receive(self, now, seq, ack, flags, window, buf, off, header, n):
        """One segment at buf[off:off + n], its checksum verified; seq and ack are positions.

        The order of the checks is that of RFC 9293 3.10.7.4, sharpened by RFC 5961.
        """
        state = self.state
        if state == SYN_SENT:
            return self._receive_syn_sent(now, seq, ack, flags, window, buf, off, header)
        n -= header
        fin = flags & _FIN
        nxt = self.rcv_nxt
        if seq > self._rcv_edge or (seq < nxt and seq + n + fin <= nxt):
            return self._receive_outside(now, flags, n + fin)
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
        elif (ack > self._snd_max + self._probing
              or ack < self.snd_una - self._snd_wnd_max):
            return self._challenge(now)
        una = self.snd_una
        if self._probing:
            self._progress_ms = now
        if ack > una:
            self._acked(now, ack)
        elif (ack == una < self._snd_max and not n and not fin and window == self._snd_wnd
              and not self._probing and self._congestion.duplicate(una, self._snd_max)):
            self._retransmit(now)
        if self._snd_wl1 < seq or (self._snd_wl1 == seq and self._snd_wl2 <= ack):
            self._snd_wl1, self._snd_wl2 = seq, ack
            if window != self._snd_wnd:
                self._set_window(window)
        if n or fin:
            self._take(now, seq, buf, off + header, n, fin)
        self._settle(now)

    def poll(self, now):
        """Run what is due, schedule the rest."""
        if self._ack_ms is not None and now >= self._ack_ms:
            self._ack(now)
        if self._rtx_ms is not None and now >= self._rtx_ms:
            self._timed_out(now)
        if self._end_ms is not None and now >= self._end_ms:
            self.finish(0)
        for due in (self._ack_ms, self._rtx_ms, self._end_ms):
            if due is not None:
                self._stack.schedule(due)

    def fit_path(self, now, seq, mtu):
        """Send smaller segments, and what was in flight again, if `seq` (32 bits) is in flight."""
        if self._tx is None or seq - self.snd_una & 0xFFFFFFFF >= self._snd_max - self.snd_una:
            return self._stack.count("icmp_stray")
        route = self._find_route()
        if route is not None and mtu - route.family.HEADER - _HEADER < self._mss:
            self._mss = mtu - route.family.HEADER - _HEADER
            self._timed = None
            self.snd_nxt = self.snd_una
            self._output(now)

    def leads_to(self, interface, ip):
        """Do our segments leave by this interface to this neighbour?"""
        route = self._stack.route(self.remote[0], self.local[0])
        return route is not None and route.interface is interface and route.next_hop == ip

    def end_writing(self, now):
        """Have a FIN follow what is queued."""
        self.state = FIN_WAIT_1 if self.state == ESTABLISHED else LAST_ACK
        self._fin = True
        self._output(now)

    def end_orphan(self, now):
        """In FIN_WAIT_2 with nobody to read any more: the peer is not waited for for ever."""
        self._end_later(now, _ORPHAN_MS)

    def reset(self, now):
        """Drop the connection at once; the peer is told by a RST."""
        self._closed = True
        self.on_event = self._rx = None
        if SYN_RECEIVED <= self.state < TIME_WAIT:
            self._emit(now, self._snd_max, 0, _RST | _ACK)
        self.finish(0)

    def finish(self, error):
        """The connection is over. What was received can still be read."""
        tcp = self._stack.tcp
        if self.state == TIME_WAIT:
            tcp.time_waits.remove(self)
        if self._parent is not None:
            self._parent.child_lost()
            self._parent = None
        self.state = CLOSED
        self.error = error
        self._ack_ms = self._rtx_ms = self._end_ms = self._tx = None
        if self._key is not None:
            del tcp.connections[self._key]
            self._key = None
        if self.on_event is not None:
            self.on_event()

    # --- opening ---

    def _send_syn(self, now, flags):
        if self._timed is None and self._snd_max == 0:
            self._timed, self._timed_ms = 1, now
        self.snd_nxt = self._snd_max = 1
        self._arm(now)
        self._emit(now, 0, 0, flags)

    def _synchronize(self, irs, window, mss):
        """The peer's SYN gives its sequence number, its window and its segment size."""
        self.wire[1] = irs
        self.rcv_nxt = 1
        self._rcv_edge += 1
        self._snd_wnd = self._snd_wnd_max = window
        self._snd_wl1 = self._snd_wl2 = 0
        self._mss = min(mss, self._link_mss())
        self._congestion = Congestion(self._mss)

    def _establish(self):
        """Our SYN was acknowledged: only now memory is spent."""
        self.state = ESTABLISHED
        self._tx = Ring(self.send_ring)
        self._rx = ReceiveRing(min(self.receive_ring, _MAX_WINDOW))
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
            self._synchronize(seq & 0xFFFFFFFF, window, mss_option(buf, off, header))
            if acked:
                self._establish()
                self._acked(now, ack)
                self._owed = _SOON
                self._settle(now)
            else:
                self.state = SYN_RECEIVED
                self._send_syn(now, _SYN | _ACK)

    def _link_mss(self):
        route = self._find_route()
        if route is None:
            return _DEFAULT_MSS
        return route.mtu - route.family.HEADER - _HEADER

    # --- receiving ---

    def _receive_outside(self, now, flags, length):
        """A segment with nothing in the window: what is old is acknowledged again."""
        if flags & _RST:
            return
        self._stack.count("tcp_out_of_window")
        if self.state == SYN_RECEIVED and flags & (_SYN | _ACK) == _SYN:
            return self._send_syn(now, _SYN | _ACK)
        if self.state == TIME_WAIT:
            self._end_later(now, _TIME_WAIT_MS)
        if length:
            self._ack(now)
        else:
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
        """An ACK that a true peer will act upon and a forger learns nothing from (RFC 5961)."""
        if self._stack.tcp.challenge_allowed(now):
            self._ack(now)
        else:
            self._stack.count("tcp_challenge_limited")

    def _take(self, now, seq, buf, start, n, fin):
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
            self._owed += _AT_ONCE if seq > nxt or self._rx.gaps else 1
            end = self._rx.store(nxt, seq, buf, start, n)
            if end is None:
                self._stack.count("tcp_gaps_full")
            elif end > nxt:
                self.rcv_nxt = end
                self._news = True
        elif seq > nxt or not fin:
            self._owed = _AT_ONCE
        if self._fin_at == self.rcv_nxt:
            self.rcv_nxt += 1
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
        if self._owed >= _AT_ONCE:
            self._ack(now)
        elif self._owed:
            due_ms = now if self._owed >= _SOON else now + _DELAYED_ACK_MS
            if self._ack_ms is None or due_ms < self._ack_ms:
                self._ack_ms = due_ms
                self._stack.schedule(due_ms)

    def _edge(self):
        """The right edge to offer: moves when that is worth a segment (RFC 9293 3.8.6.2.2)."""
        ring = self._rx
        edge = self.rcv_nxt + ring.size - ring.used
        gain = edge - self._rcv_edge
        if gain >= self._mss or gain >= ring.size >> 1:
            return edge
        return self._rcv_edge

    # --- sending ---

    def _output(self, now, small=False):
        """Send what the windows allow, by the rule in the module's description.

        small: a part of the queue may go even though a window opened only a little.
        """
        used = self._tx.used
        mss = self._mss
        limit = min(self._snd_wnd, self._congestion.limit())
        while True:
            flight = self.snd_nxt - self.snd_una
            unsent = used - flight
            n = min(unsent, mss, limit - flight)
            fin = self._fin and n == unsent >= 0
            if n < 0 or not (n or fin):
                break
            if n < unsent and n < mss and n < self._snd_wnd_max >> 1 and not small:
                break
            seq = self.snd_nxt
            flags = _ACK
            if n and n == unsent:
                flags |= _PSH
            self.snd_nxt += n
            if fin:
                flags |= _FIN
                self.snd_nxt += 1
            if self.snd_nxt > self._snd_max:
                if seq == self._snd_max:
                    if self._timed is None:
                        self._timed, self._timed_ms = self.snd_nxt, now
                    if flight == 0:
                        self._progress_ms = now
                self._snd_max = self.snd_nxt
            if flight == 0:
                self._probing = False
                self._arm(now)
            self._sent_ms = now
            self._emit(now, seq, n, flags)
        if self._rtx_ms is None and unsent > 0:
            self._probing = True
            self._progress_ms = now
            self._arm(now)

    def _retransmit(self, now):
        """Send the first unacknowledged segment again; its round trip is not to be measured."""
        self._timed = None
        used = self._tx.used
        n = min(used, self._mss, self._snd_max - self.snd_una)
        flags = _ACK
        if self._fin and n == used and self._snd_max > self.snd_una + used:
            flags |= _FIN
        self._emit(now, self.snd_una, n, flags)

    def _emit(self, now, seq, n, flags):
        """Send one segment with n bytes of the send ring from position `seq`."""
        stack = self._stack
        route = self._route if self._generation == stack.generation else self._find_route()
        if route is None:
            return stack.count("tcp_no_route")
        family = route.family
        buf = stack.buffer
        at = route.interface.start + family.HEADER
        control = _HEADER_WORD | flags
        length = _HEADER
        if flags & _SYN:
            control = _SYN_HEADER_WORD | flags
            length = _SYN_HEADER
            mss = self._link_mss()
            buf[at + 20] = 2
            buf[at + 21] = 4
            buf[at + 22] = mss >> 8
            buf[at + 23] = mss & 0xFF
        if n:
            self._tx.read(seq - self.snd_una, buf, at + _HEADER, n)
            length += n
        window = 0
        if not flags & _RST:
            if self._rx is not None:
                self._rcv_edge = self._edge()
            window = self._rcv_edge - self.rcv_nxt
            if flags & _ACK:
                self._owed = 0
                self._ack_ms = None
        tcp_write(self.wire, buf, at, length, seq, self.rcv_nxt if flags & _ACK else -self.wire[1],
                  control, window)
        family.send(now, route, self.local[0], self.remote[0], PROTOCOL, length)

    def _ack(self, now):
        self._emit(now, self._snd_max, 0, _ACK)

    def _acked(self, now, ack):
        """Everything up to `ack` has arrived."""
        n = ack - self.snd_una
        if self._timed is not None:
            if ack >= self._timed:
                self._trip.sample(now - self._timed_ms)
                self._timed = None
        elif self.snd_una == 0:
            self._trip.syn_was_lost()
        else:
            self._trip.progress()
        if self.snd_una == 0:
            n -= 1
        ring = self._tx
        fin_acked = n > ring.used
        ring.skip(min(n, ring.used))
        self.snd_una = ack
        if self.snd_nxt < ack:
            self.snd_nxt = ack
            self._snd_max = max(self._snd_max, ack)
        self._progress_ms = now
        self._probing = False
        if n and self._congestion.acked(n, ack, self._snd_max - ack) and self._snd_max > ack:
            self._retransmit(now)
        if ack == self._snd_max:
            self._rtx_ms = None
        else:
            self._arm(now)
        if self._blocked:
            self._blocked = False
            self._news = True
        if fin_acked:
            self._fin_acked(now)

    def _fin_acked(self, now):
        self._fin = False
        if self.state == FIN_WAIT_1:
            self.state = FIN_WAIT_2
            if self._closed:
                self.end_orphan(now)
        elif self.state == CLOSING:
            self._time_wait(now)
        elif self.state == LAST_ACK:
            self.finish(0)

    def _set_window(self, window):
        self._snd_wnd = window
        self._snd_wnd_max = max(self._snd_wnd_max, window)
        if self._probing and window:
            self._probing = False
            self._rtx_ms = None
            self._trip.restore()

    # --- timers ---

    def _timed_out(self, now):
        """The retransmission or probe timer ran out."""
        self._rtx_ms = None
        limit = self.connect_ms if self.state <= SYN_RECEIVED else self.give_up_ms
        if now - self._progress_ms >= limit:
            self._stack.count("tcp_gave_up")
            return self.finish(errors.ETIMEDOUT)
        self._trip.back_off()
        self._timed = None
        if self.state == SYN_SENT:
            self._send_syn(now, _SYN)
        elif self.state == SYN_RECEIVED:
            self._send_syn(now, _SYN | _ACK)
        elif self._probing and self._snd_wnd:
            self._probing = False
            self._output(now, True)
        elif self._probing:
            # One byte beyond the window: the answer tells what the window is now.
            self._arm(now)
            self._emit(now, self.snd_una, 1, _ACK)
        else:
            self._stack.count("tcp_timeout")
            self._congestion.timed_out(self.snd_una, self._snd_max)
            self.snd_nxt = self.snd_una
            self._output(now)

    def _time_wait(self, now):
        self.state = TIME_WAIT
        self._tx = None
        self._rtx_ms = None
        self._end_later(now, _TIME_WAIT_MS)
        self._stack.tcp.linger(self)

    def _end_later(self, now, ms):
        self._end_ms = now + ms
        self._stack.schedule(self._end_ms)

    def _arm(self, now):
        self._rtx_ms = now + self._trip.timeout_ms
        self._stack.schedule(self._rtx_ms)

    def _find_route(self):
        self._generation = self._stack.generation
        self._route = self._stack.route(self.remote[0], self.local[0])
        return self._route


def mss_option(buf, off, header):
    """The MSS option of a SYN (RFC 9293 3.2), or the default."""
    at, end = off + _HEADER, off + header
    while at < end and buf[at] != 0:
        if buf[at] == 1:
            at += 1
            continue
        if at + 1 >= end or buf[at + 1] < 2 or at + buf[at + 1] > end:
            break
        if buf[at] == 2 and buf[at + 1] == 4:
            return max(buf[at + 2] << 8 | buf[at + 3], _MIN_MSS)
        at += buf[at + 1]
    return _DEFAULT_MSS
