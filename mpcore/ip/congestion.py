"""When to retransmit (RFC 6298, 8985) and how much may be in flight (RFC 5681, 6582, 6928, and
the Reno-friendly window of 9438 4.3)."""

import micropython
from micropython import const

_FIRST_MS = const(1000)
_MIN_MS = const(200)
_MAX_MS = const(60000)
_AFTER_SYN_LOSS_MS = const(3000)
_NEVER = const(0x3FFFFFFF)
_INITIAL = const(14600)
_TAIL_MS = const(150)             # beyond two round trips: for a delayed ACK, and a busy peer

# RFC 9438 4.3: a loss leaves beta of the window. Then it grows by alpha segments a round trip, not
# one, which makes it as large in the mean as Reno's: alpha = 3 (1 - beta) / (1 + beta).
_BETA_TENTHS = const(7)
_ALPHA_17THS = const(9)


class RoundTrip:
    """Retransmission timeout from round-trip samples, 200 ms to 60 s. (RFC 6298 2.4 would have 1 s
    at least, for clocks of its time; peers' delayed ACKs stay below 200 ms.)

    Karn: the owner gives no sample for a retransmitted segment, and a backed-off timeout lasts
    until the next sample. Only, progress without one leaves no more than one doubling: on a bad
    link samples are rare, and the timeout would grow to a minute of silence.

    tail_ms: after so long without an ACK the end of a flight is probed (RFC 8985 7.2).
    """

    def __init__(self):
        self.timeout_ms = self._rto_ms = _FIRST_MS  # in force, and without back-off
        self.tail_ms = _FIRST_MS
        self._srtt8 = None      # 8 * SRTT
        self._var4 = 0          # 4 * RTTVAR

    def back_off(self):
        self.timeout_ms = min(self.timeout_ms << 1, _MAX_MS)

    def backed_off(self):
        return self.timeout_ms > self._rto_ms

    def progress(self):
        """New data was acknowledged."""
        if self.timeout_ms > self._rto_ms:
            self.timeout_ms = min(self._rto_ms << 1, _MAX_MS)

    def restore(self):
        """Leave the back-off: the peer opened its window."""
        self.timeout_ms = self._rto_ms

    def syn_was_lost(self):
        """The connection is there, but its SYN was retransmitted (RFC 6298 5.7)."""
        self.timeout_ms = self._rto_ms = _AFTER_SYN_LOSS_MS

    @micropython.native
    def sample(self, ms):
        if self._srtt8 is None:
            self._srtt8 = ms << 3
            self._var4 = ms << 1
        else:
            error = ms - (self._srtt8 >> 3)
            self._srtt8 += error
            self._var4 += (error if error > 0 else -error) - (self._var4 >> 2)
        srtt = self._srtt8 >> 3
        rto = srtt + (self._var4 or 1)
        if rto < _MIN_MS:
            rto = _MIN_MS
        elif rto > _MAX_MS:
            rto = _MAX_MS
        self.timeout_ms = self._rto_ms = rto
        self.tail_ms = 2 * srtt + _TAIL_MS

    def smoothed(self):
        """The usual round trip in ms; 0 when none is known."""
        return (self._srtt8 or 0) >> 3


class Congestion:
    """The congestion window in bytes: Reno's, with the constants of CUBIC's Reno-friendly region
    (RFC 9438 4.3, 4.6).

    At the same losses the mean rate is Reno's, but the teeth of the saw are smaller: 7/10 of the
    window remain, not half, and it grows by 9/17 of a segment a round trip until it is what it was
    before; by one from there on. That suits small windows: half of one often is too little for
    the duplicate ACKs or SACKs by which the next loss would be noticed without a timeout.

    Positions are those of the send sequence; `most` bytes are never exceeded. selective: the peer
    sends SACKs. Then the owner knows what has left the network and what to send again; without
    them that is told by duplicate ACKs, and the window is inflated for what has left (NewReno).

    patience: of the scoreboard (which see), between one flight with losses and the next.
    repeated: bytes sent again since the window was reduced, of which the peer has not told that it
    got them twice.
    """

    repeated = 0
    _reduced = 0, 0, 0, 0   # the first position in flight, and before: window, threshold, _prior

    def __init__(self, mss, most, selective):
        self._mss = mss
        self._most = most
        self._selective = selective
        self.window = self._initial()
        self._threshold = _NEVER
        self._prior = 0         # bytes in use before the last reduction
        self.recover = 0
        self.duplicates = 0
        self.recovering = False
        self.patience = 0

    def _initial(self):
        """RFC 6928."""
        return min(10 * self._mss, max(2 * self._mss, _INITIAL))

    @micropython.native
    def limit(self):
        """What may be in flight; the first two duplicate ACKs let one more out each (RFC 3042)."""
        if self.recovering or self.duplicates > 2:
            return self.window
        return self.window + self.duplicates * self._mss

    def steady(self):
        """Does nothing that arrived tell of a loss?"""
        return not (self.duplicates or self.recovering)

    def idle(self):
        """Nothing was sent for longer than the timeout: the network may have changed."""
        self.window = min(self.window, self._initial())

    @micropython.native
    def acked(self, n, ack, flight):
        """n new bytes are acknowledged, up to `ack`; `flight` bytes remain in flight.

        Returns True when the first of those must be retransmitted at once (partial ACK).
        """
        self.duplicates = 0
        mss = self._mss
        if self.recovering:
            if ack < self.recover:
                if self._selective:
                    return False
                self.window = max(self.window - n, 0) + mss
                return True
            self.recovering = False
            self.window = self._threshold
            if not self._selective:
                self.window = min(self.window, max(flight, mss) + mss)
                return False
            n = mss     # what filled the last hole; the rest has let out other segments
        if self.window < self._threshold:
            # Bytes are counted (RFC 3465); after a timeout some of them had arrived long ago.
            grow = min(n, mss if ack < self.recover else 2 * mss)
        else:
            # A segment, or alpha, for each window of them; only whole ones count as sent.
            whole = self.window - self.window % mss
            grow = mss * min(n, whole) // whole
            if self.window < self._prior:
                grow = grow * _ALPHA_17THS // 17
            grow = max(1, grow)
        self.window = min(self.window + grow, self._most)
        return False

    def duplicate(self, una, highest, more):
        """One duplicate ACK. Returns True when the segment at `una` must be retransmitted.

        more: there is new data to be sent. Without it few segments in flight cannot lead to three
        duplicates: then one less than they are is enough (early retransmit, RFC 5827).
        """
        self.duplicates += 1
        enough = 3
        if not more:
            segments = (highest - una + self._mss - 1) // self._mss
            if 1 < segments < 4:
                enough = segments - 1
        if self.recovering:
            self.window = min(self.window + self._mss, self._most)
        elif self.duplicates >= enough and una > self.recover:
            self.lost(una, highest)
            self.window += 3 * self._mss
            return True
        return False

    def lost(self, una, highest):
        """Segments are lost: recovery begins, and lasts until all that is in flight has arrived.
        The window is reduced once for it. What SACKs let out (RFC 3042) does not count."""
        self.repeated = 0
        self._reduced = una, self.window, self._threshold, self._prior
        self._reduce(highest - una)
        self.window = self._threshold
        self.recover = highest
        self.recovering = True

    def arrived_twice(self, start, end):
        """The peer got this range twice (RFC 3708). When that is true of all that was sent again,
        nothing had been lost, and the reduction is undone."""
        una, window, threshold, prior = self._reduced
        if self.repeated and una < end <= self.recover:
            self.repeated = max(0, self.repeated - (end - start))
            if not self.repeated:
                self.window = max(self.window, window)
                self._threshold = max(self._threshold, threshold)
                self._prior = prior
                self.recovering = False

    def timed_out(self, una, highest):
        """The retransmission timer ran out. What was being repaired by then does not count twice
        (RFC 5681 3.1)."""
        if una >= self.recover:
            self._reduce(highest - una)
        self.repeated = 0
        self._reduced = 0, 0, 0, 0
        self.window = self._mss
        self.recover = highest
        self.recovering = False
        self.duplicates = 0

    def _reduce(self, flight):
        self._prior = min(flight, self.window)
        self._threshold = max(self._prior * _BETA_TENTHS // 10, 2 * self._mss)
