"""What a peer has by its SACKs, and which of the holes to fill next (RFC 6675, simplified).

Loaded when a peer's first SACK comes.
"""

from micropython import const

from mpcore.limits import TCP_SACKS

_DUPLICATES = const(3)


class Scoreboard:
    """ranges: [start, end) of the positions that the peer has beyond SND.UNA: sorted, disjoint,
    at most TCP_SACKS. filled: up to where holes were sent again in this recovery."""

    def __init__(self):
        self.ranges = []
        self.filled = 0

    def add(self, start, end):
        """The peer has this range. True when that is news."""
        ranges = []
        for low, high in self.ranges:
            if low <= start and end <= high:
                return False
            if start <= high and low <= end:
                start, end = min(start, low), max(end, high)
            else:
                ranges.append((low, high))
        if len(ranges) >= TCP_SACKS:
            return False
        ranges.append((start, end))
        ranges.sort()
        self.ranges = ranges
        return True

    def advance(self, una):
        """Everything before `una` was acknowledged."""
        while self.ranges and self.ranges[0][1] <= una:
            self.ranges.pop(0)

    def timed_out(self, una):
        """All that is not in a range counts as lost. A peer that asks for what it said it has is
        not believed any more (RFC 2018 8)."""
        self.filled = 0
        if self.ranges and self.ranges[0][0] <= una:
            self.ranges = []

    def sacked(self, end):
        """How many bytes before `end` the peer has."""
        return sum(min(high, end) - low for low, high in self.ranges if low < end)

    def lost(self, una, mss):
        """Holes before this position count as lost: three ranges, or two segments and more, have
        arrived behind them; the first segment in any case."""
        count = octets = 0
        for i in range(len(self.ranges) - 1, -1, -1):
            low, high = self.ranges[i]
            count += 1
            octets += high - low
            if count >= _DUPLICATES or octets > 2 * mss:
                return max(low, una + mss)
        return una + mss

    def highest(self):
        """The end of the last range."""
        return self.ranges[-1][1] if self.ranges else 0

    def hole(self, at, end):
        """The first range [start, stop) that the peer lacks at or after `at`, before `end`; None
        when there is none."""
        for low, high in self.ranges:
            if at < low:
                return (at, min(low, end)) if at < end else None
            at = max(at, high)
        return (at, end) if at < end else None
