"""What has become of each part of a flight: when it was last sent, whether the peer has it by its
SACKs, and whether it is lost (RACK, RFC 8985; before that RFC 6675).

A part is lost when something that was sent later has arrived, and the part has been given as long
for its way as that took, and some patience more for packets that overtake each other. So the loss
of a retransmission is noticed as well, without waiting for a timeout.

Loaded with the first loss; while a connection has none it has no scoreboard.
"""

from micropython import const

from mpcore.limits import TCP_RUNS

# What is known of a run.
_AGAIN = const(1)               # it was sent more than once
_LOST = const(2)                # it is not on its way, and has to be sent again
_SACKED = const(4)              # the peer has it
_AWAY = const(6)                # either: it is not in the network

_DUPLICATES = const(3)
_MOST_PATIENCE = const(4)


class Scoreboard:
    """runs: (start, end, ms when it was sent last, what is known) of all that is in flight,
    sorted and without gaps; some TCP_RUNS of them, more with a large ring.

    patience: for how many quarters of a round trip later segments may overtake one that is not
    lost; 0: no segment has been overtaken yet. due_ms: when find_lost() has to look again, or
    None. tail: up to where a probe of the flight's tail repeated it, or None. doubled: the
    range that the peer got twice by its last SACK option, or None.
    """

    def __init__(self, una, highest, sent_ms, trip_ms, patience, ring):
        """All of the flight counts as sent at one time: in the order of its positions.

        trip_ms: the usual round trip; ring: bytes of the send ring.
        """
        self.runs = [(una, highest, sent_ms, 0)] if highest > una else []
        self.patience = patience
        self.due_ms = self.tail = self.doubled = None
        self._most = max(TCP_RUNS, ring >> 11)
        self._trip_ms = self._least_ms = trip_ms
        self._newest_ms, self._newest = sent_ms, una    # sent last of what has arrived
        self._farthest = una                            # position up to which something arrived
        self._warned = una                              # one DSACK a flight counts

    # --- what was sent ---

    def sent(self, now, start, end):
        """New data left, up to a new end of the flight."""
        self._append(self.runs, start, end, now, 0)

    def sent_again(self, now, start, end):
        """A part of the flight left once more. It is not what the peer is known to have."""
        runs = []
        for low, high, ms, state in self.runs:
            if state & _SACKED or high <= start or low >= end:
                self._append(runs, low, high, ms, state)
                continue
            if low < start:
                self._append(runs, low, start, ms, state)
            self._append(runs, max(low, start), min(high, end), now, _AGAIN)
            if high > end:
                self._append(runs, end, high, ms, state)
        self.runs = runs

    def _append(self, runs, start, end, ms, state):
        """Add a run at the end. It joins the one before if that is no different; where there are
        too many, though it was sent at another time: the later one counts."""
        if runs:
            low, high, before_ms, before = runs[-1]
            if before == state and high == start and (
                    before_ms == ms or state & _SACKED or len(self.runs) >= self._most):
                runs[-1] = low, end, max(before_ms, ms), state
                return
        runs.append((start, end, ms, state))

    # --- what arrived ---

    def take(self, now, blocks, ack, una, base, highest):
        """The blocks of a SACK option, 32 bits each, of a segment that acknowledges up to `ack`;
        base: what they count from at `una`. True when they tell something new."""
        news = False
        self.doubled = None
        blocks = [(_signed(start - base) + una, _signed(end - base) + una)
                  for start, end in blocks]
        blocks.sort()       # in the order of the stream nothing seems to be overtaken
        for start, end in blocks:
            if una <= start < end <= highest:
                news = self._mark(now, start, end) or news
            elif 0 < start < end <= ack:
                self._twice(una, highest)
                self.doubled = start, end
        return news

    def advance(self, now, una):
        """Everything before `una` has arrived."""
        runs = []
        for run in self.runs:
            low, high, ms, state = run
            if low >= una:
                runs.append(run)
                continue
            if not state & _SACKED:
                # SACKs get lost: only of the first it is known that it was missing until now.
                self._arrived(now, min(high, una), ms, state, run is self.runs[0])
            if high > una:
                runs.append((una, high, ms, state))
        self.runs = runs

    def _mark(self, now, start, end):
        """The peer has this range. True when that is news."""
        if len(self.runs) >= self._most:
            return False
        news = False
        runs = []
        for low, high, ms, state in self.runs:
            if state & _SACKED or high <= start or low >= end:
                self._append(runs, low, high, ms, state)
                continue
            news = True
            if low < start:
                self._append(runs, low, start, ms, state)
            cut = min(high, end)
            self._arrived(now, cut, ms, state, True)
            self._append(runs, max(low, start), cut, ms, _SACKED)
            if cut < high:
                self._append(runs, cut, high, ms, state)
        self.runs = runs
        return news

    def _arrived(self, now, end, ms, state, late):
        """What was sent at `ms`, and ends at a position, has arrived. late: after what has
        arrived beyond it."""
        trip_ms = now - ms
        if state & _AGAIN:
            if trip_ms < self._least_ms:
                return                  # too soon: it must have been the first one
        else:
            self._least_ms = min(self._least_ms, trip_ms)
            if late and end < self._farthest:
                self.patience = max(self.patience, 1)
        self._farthest = max(self._farthest, end)
        if ms > self._newest_ms or (ms == self._newest_ms and end > self._newest):
            self._newest_ms, self._newest = ms, end
            self._trip_ms = trip_ms

    def _twice(self, una, highest):
        """The peer tells that something arrived twice (DSACK, RFC 2883): more patience was due."""
        self.tail = None
        if una >= self._warned:
            self._warned = highest
            self.patience = min(self.patience + 1, _MOST_PATIENCE)

    # --- what is lost ---

    def find_lost(self, now, mss, repairing):
        """Mark what is lost. True when anything is, by now; sets due_ms.

        repairing: losses of this flight are being repaired already.
        """
        self.due_ms = None
        wait_ms = self._trip_ms
        if self.patience or not (repairing or self._overtaken(mss)):
            wait_ms += max(1, min(max(self.patience, 1) * self._least_ms >> 2, self._trip_ms))
        found = False
        for i, (low, high, ms, state) in enumerate(self.runs):
            # Of what left within one millisecond only new data is known to be in order.
            if not state & _AWAY and (ms < self._newest_ms or (
                    ms == self._newest_ms and high <= self._newest and not state)):
                if ms + wait_ms <= now:
                    self.runs[i] = low, high, ms, state | _LOST
                    found = True
                elif self.due_ms is None or ms + wait_ms > self.due_ms:
                    self.due_ms = ms + wait_ms
        return found

    def _overtaken(self, mss):
        """Has the peer three segments beyond what it lacks?"""
        return sum((high - low + mss - 1) // mss for low, high, _, state in self.runs
                   if state & _SACKED) >= _DUPLICATES

    def timed_out(self, now):
        """The timer ran out: the first segment is lost, and what else was sent a round trip ago.
        A peer that asks for what it said it has is not believed any more (RFC 2018 8)."""
        untrue = bool(self.runs) and self.runs[0][3] & _SACKED
        for i, (low, high, ms, state) in enumerate(self.runs):
            if state & _SACKED:
                if not untrue:
                    continue
                state = 0
            if not i or untrue or ms + self._trip_ms <= now:
                self.runs[i] = low, high, ms, state | _LOST
        self.tail = self.due_ms = None

    def lose_all(self):
        """Nothing of the flight was fit for the path, but what the peer has."""
        self.runs = [(low, high, ms, state if state & _SACKED else state | _LOST)
                     for low, high, ms, state in self.runs]

    def first_lost(self, mss):
        """(start, end) of what to send again first, at most `mss` of it; None when nothing is
        lost."""
        for low, high, _, state in self.runs:
            if state & _AWAY == _LOST:
                return low, min(high, low + mss)
        return None

    def away(self):
        """How many bytes of the flight are not in the network."""
        return sum(high - low for low, high, _, state in self.runs if state & _AWAY)

    def healed(self, una, recover):
        """Is all well again, when everything before `una` has arrived and losses before `recover`
        were being repaired?"""
        return (una >= recover and self.tail is None and self.due_ms is None
                and not any(state for _, _, _, state in self.runs))


def _signed(n):
    """What 32 bits count up or down."""
    return (n + 0x80000000 & 0xFFFFFFFF) - 0x80000000
