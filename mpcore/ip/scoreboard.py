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

    def take(self, blocks, una, base, highest):
        """The blocks of a SACK option, 32 bits each; base: what they count from at `una`. True
        when they tell something new."""
        news = False
        for start, end in blocks:
            start = una + (start - base & 0xFFFFFFFF)
            end = una + (end - base & 0xFFFFFFFF)
            if start < end <= highest:
                news = self.add(start, end) or news
        return news

    def repair(self, una, highest, recover, mss, limit, new):
        """In a recovery, which ends at `recover`: which holes to fill now, as a list of (position,
        length), and what may be in flight beyond `limit`, as some of it has left the network.

        new: there is new data to be sent. Without it what is not lost by the rule may as well be.
        """
        end = min(self._lost(una, mss), highest)
        at = max(self.filled, una)
        limit += self.sacked(highest) + self._lacking(at, end)
        holes = []
        while True:
            hole = self.hole(at, end)
            if hole is None and not new and self.ranges:
                hole = self.hole(at, min(self.ranges[-1][1], recover))
            # The first segment is sent whatever the window is: that is what recovery begins with.
            if hole is None or (at > una and highest - una + mss > limit):
                return holes, limit
            n = min(hole[1] - hole[0], mss)
            holes.append((hole[0], n))
            at = self.filled = hole[0] + n
            limit -= n

    def skip(self, at, highest, mss):
        """Pass what the peer has from `at` on; returns where to go on, and the room for a segment
        before what else it has."""
        if at >= highest:
            return at, mss
        hole = self.hole(at, highest)
        if hole is None:
            return highest, mss
        # Up to the end of what was sent the room is no limit: new data may follow in a segment.
        return hole[0], mss if hole[1] == highest else min(hole[1] - hole[0], mss)

    def sacked(self, end):
        """How many bytes before `end` the peer has."""
        return sum(min(high, end) - low for low, high in self.ranges if low < end)

    def _lost(self, una, mss):
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

    def _lacking(self, at, end):
        """How many bytes of [at, end) the peer lacks."""
        return max(end - at, 0) - self.sacked(end) + self.sacked(min(at, end))

    def hole(self, at, end):
        """The first range [start, stop) that the peer lacks at or after `at`, before `end`; None
        when there is none."""
        for low, high in self.ranges:
            if at < low:
                return (at, min(low, end)) if at < end else None
            at = max(at, high)
        return (at, end) if at < end else None
