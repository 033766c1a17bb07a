"""The sending half of a TCP connection: segments, their loss and their timers.

What the application gives leaves at once (no Nagle, unless `nodelay` is False): a segment goes
out when it is full, or holds everything that is queued (then it carries PSH), or at least half of
the largest window the peer ever offered; else it waits for the window to open, or for a timer:
then what the window allows is sent, or one byte beyond a closed one. With `nodelay` False a
segment that is not full waits while an earlier such one is not acknowledged.

Loss is told by SACKs and time (recovery.py, RFC 8985), to a peer without SACKs by three duplicate
ACKs (RFC 5681, 6582), and in the end by the timeout (RFC 6298).
"""

import micropython
from micropython import const

from mpcore.ip import errors
from mpcore.ip.headers import flow_write, tcp_write
from mpcore.ip.states import (CLOSING, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, LAST_ACK,
                              SYN_RECEIVED, SYN_SENT)

PROTOCOL = const(6)

# Flags. Each file that reads segments has its own: an underscored const() costs nothing in its
# file, an imported name a look-up at every use.
_FIN = const(0x01)
_SYN = const(0x02)
_RST = const(0x04)
_PSH = const(0x08)
_ACK = const(0x10)
_HEADER = const(20)
_DEFAULT_MSS = const(536)
_TIMESTAMPS_SIZE = const(12)    # as options.py has it, which is loaded when there are some


class Sender:
    """What Connection is made of; it sets what is used here."""

    def fit_path(self, now, seq, mtu):
        """Send smaller segments, and what was in flight again, if `seq` (32 bits) is in flight."""
        if self._tx is None or seq - self.snd_una & 0xFFFFFFFF >= self._snd_max - self.snd_una:
            return self._stack.count("icmp_stray")
        route = self._find_route()
        if route is not None:
            mss = self._fitting(mtu - route.family.HEADER - _HEADER)
            if mss < self._mss:
                self._mss = mss
                self._timed = None
                self.straight = False
                if self._board is not None:
                    self._board.lose_all()
                else:
                    self.snd_nxt = self.snd_una
                self._output(now)

    def fit_route(self):
        """Routes have changed: the new one may have a smaller MTU."""
        route = self._find_route()
        if route is not None and self._congestion is not None:
            mss = self._fitting(route.segment() - route.family.HEADER - _HEADER)
            self._mss = min(self._mss, mss)

    def leads_to(self, interface, ip):
        """Do our segments leave by this interface to this neighbour?"""
        route = self._stack.route(self.remote[0], self.local[0])
        return route is not None and route.interface is interface and route.next_hop == ip

    def outstanding(self):
        """Bytes that the application gave and the peer has not acknowledged."""
        return self._tx.used if self._tx is not None else 0

    # --- segments ---

    @micropython.native
    def _output(self, now, small=False):
        """Send what the windows allow, by the rule in the module's description.

        small: a part of the queue may go even though a window opened only a little.
        """
        una, nxt = self.snd_una, self.snd_nxt
        used = self._tx.used
        board = self._board
        if board is None and nxt - una >= used + self._fin:
            return
        mss = self._mss
        if self._sack and self._rx is not None and self._rx.gaps:
            from mpcore.ip import options

            mss -= options.sacks_size(self._rx.gaps)
        limit = self._congestion.limit()
        if board is not None:
            limit = self._recovery().repair(self, now, limit)
        if limit > self._snd_wnd:
            limit = self._snd_wnd
        while True:
            flight = nxt - una
            unsent = used - flight
            n = min(unsent, mss, limit - flight)
            fin = self._fin and n == unsent >= 0
            if n < 0 or not (n or fin):
                break
            highest = self._snd_max
            if n < mss:
                if n < unsent:
                    if n < self._snd_wnd_max >> 1 and not small:
                        break
                elif not (self.nodelay or fin) and nxt == highest:
                    if self._short > una:
                        break
                    self._short = nxt + n
            seq = nxt
            nxt += n
            flags = _ACK
            if n and n == unsent:
                flags |= _PSH
            if fin:
                flags |= _FIN
                nxt += 1
            self.snd_nxt = nxt
            if nxt > highest:
                if seq == highest:
                    if self._timed is None:
                        self._timed, self._timed_ms = nxt, now
                    if flight == 0:
                        self._progress_ms = now
                self._snd_max = nxt
                if board is not None:
                    board.sent(now, seq, nxt)
            if flight == 0:
                self._probing = False
                self._arm(now)
            self._sent_ms = now
            self._emit(now, seq, n, flags)
            if n == unsent:
                return
        self.snd_nxt = nxt
        if self._rtx_ms is None and unsent > 0:
            self._probing = True
            self.straight = False
            self._progress_ms = now
            self._arm(now)

    def _retransmit(self, now, seq, n):
        """Send n bytes from `seq` on again, and the FIN that follows; their round trip is not to
        be measured."""
        self._timed = None
        end = self.snd_una + self._tx.used
        flags = _ACK
        if self._fin and seq + n >= end and self._snd_max > end:
            flags |= _FIN
        self._emit(now, seq, min(n, end - seq), flags)

    def _retransmit_first(self, now):
        self._retransmit(now, self.snd_una, min(self._mss, self._snd_max - self.snd_una))

    @micropython.native
    def _emit(self, now, seq, n, flags):
        """Send one segment with n bytes of the send ring from position `seq`."""
        stack = self._stack
        route = self._route if self._generation == stack.generation else self._find_route()
        if route is None:
            return stack.count("tcp_no_route")
        family = route.family
        buf = stack.buffer
        start = route.interface.start + family.HEADER
        end = start + _HEADER
        ring = self._rx
        wire = self.wire
        nxt = self.rcv_nxt
        if flags & _SYN:
            offer = self._offer(now, self._link_mss())
            buf[end:end + len(offer)] = offer
            end += len(offer)
        elif self._stamps is not None or (ring is not None and ring.gaps):
            end = self._write_options(now, buf, end, n)
        control = end - start << 10 | flags
        if n:
            self._tx.read(seq - self.snd_una, buf, end, n)
        n += end - start
        window = 0
        if not flags & _RST:
            if ring is not None:
                self._rcv_edge = self._edge()
            window = self._rcv_edge - nxt
            if not flags & _SYN:
                window >>= self._rcv_scale
        if flags & _ACK:
            self._owed = 0
            self._ack_ms = None
            if self._flow is not None:
                start -= family.HEADER
                flow_write(self._flow, wire, buf, start, n, seq, nxt, control, window, self.ttl)
                return family.pass_on(now, route, start, n + family.HEADER)
            tcp_write(wire, buf, start, n, seq, nxt, control, window)
        else:
            tcp_write(wire, buf, start, n, seq, -wire[1], control, window)
        family.send(now, route, self.local[0], self.remote[0], PROTOCOL, n, self.ttl)

    def _write_options(self, now, buf, at, n):
        """Write timestamps, and of the ranges that came out of order what fits beside n bytes of
        data; returns where the options end."""
        from mpcore.ip import options

        used = 0
        if self._stamps is not None:
            at = self._stamps.write(now, buf, at, self.rcv_nxt)
            used = options.TIMESTAMPS_SIZE
        if self._sack and self._rx is not None and self._rx.gaps:
            at = options.write_sacks(buf, at, min(self._mss - n, options.ROOM - used),
                                     self.wire[1], self._rx.gaps)
        return at

    def _ack(self, now):
        self._emit(now, self._snd_max, 0, _ACK)

    @staticmethod
    def _recovery():
        """The module that does the rest about losses, where SACKs tell of them."""
        from mpcore.ip import recovery

        return recovery

    # --- what the peer acknowledged ---

    @micropython.native
    def _acked(self, now, ack):
        """Everything up to `ack` has arrived."""
        una = self.snd_una
        n = ack - una
        trip = self._trip
        if self._timed is not None:
            if ack >= self._timed:
                trip.sample(now - self._timed_ms)
                self._timed = None
        elif una == 0:
            trip.syn_was_lost()
        else:
            ms = self._stamps.round_trip(now) if self._stamps is not None else None
            if ms is None:
                trip.progress()
            else:
                trip.sample(ms)
        if una == 0:
            n -= 1
        ring = self._tx
        fin_acked = n > ring.used
        ring.skip(ring.used if fin_acked else n)
        self.snd_una = ack
        if self.snd_nxt < ack:
            self.snd_nxt = ack
            self._snd_max = max(self._snd_max, ack)
        highest = self._snd_max
        self._progress_ms = now
        self._probing = False
        if self._board is not None:
            self._board.advance(now, ack)
        if n and self._congestion.acked(n, ack, highest - ack) and highest > ack:
            self._retransmit_first(now)
        if ack == highest:
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
        if self._early and self.state >= ESTABLISHED and not self._recovery().look_early(
                self, now):
            return
        self._rtx_ms = None
        self.straight = False
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
            if self._board is not None:
                self._recovery().timed_out(self, now)
            else:
                self.snd_nxt = self.snd_una
            self._output(now)

    @micropython.native
    def _arm(self, now):
        """Have the timer run out at the timeout, or when the tail of a flight is to be probed."""
        ms = self._trip.timeout_ms
        early = False
        ring = self._tx
        if ring is not None and ring.used > self._mss:      # who sends little is not concerned
            early = (self._sack and self._board is None and not self._probing
                     and self.snd_nxt == self._snd_max and self._trip.tail_ms < ms)
            if early:
                ms = self._trip.tail_ms
        self._early = early
        self._rtx_ms = now + ms
        self._stack.schedule(self._rtx_ms)

    # --- the path ---

    def _link_mss(self):
        route = self._find_route()
        if route is None:
            return _DEFAULT_MSS
        return route.segment() - route.family.HEADER - _HEADER

    def _fitting(self, mss):
        """How much of a segment remains for data, beside what every segment has."""
        return mss - _TIMESTAMPS_SIZE if self._stamps is not None else mss

    def _find_route(self):
        self._generation = self._stack.generation
        self._route = self._stack.route(self.remote[0], self.local[0])
        return self._route
