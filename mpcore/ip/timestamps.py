"""Timestamps of one connection (RFC 7323): round trips over retransmissions, and old duplicates
told from new segments by their time. Loaded when a connection uses them."""

from mpcore.ip.options import TIMESTAMPS, read_stamps, write_stamps

_OUTDATED_MS = 24 * 24 * 3600 * 1000    # a silence after which the peer's clock may have wrapped


class Timestamps:
    """offset: what our clock shows at time 0; recent: the peer's timestamp to be echoed."""

    def __init__(self, now, offset, recent):
        self._offset = offset
        self._recent = recent
        self._recent_ms = now
        self._acknowledged = 1          # up to where our last ACK went
        self.echoed = None              # what the segment at hand echoes of ours

    def pair(self, now):
        """(TSval, TSecr) for a segment of ours."""
        return now + self._offset & 0xFFFFFFFF, self._recent

    def write(self, now, buf, at, acknowledged):
        """Write the option of a segment that acknowledges up to a position; returns its end."""
        self._acknowledged = acknowledged
        return write_stamps(buf, at, now + self._offset & 0xFFFFFFFF, self._recent)

    def accept(self, now, seq, buf, found):
        """Take over the timestamps of a segment (options.read gave `found`). False: it is older
        than what we have had (PAWS, RFC 7323 5.3), None: it has none, which is not allowed."""
        self.echoed = None
        at = found.get(TIMESTAMPS)
        if at is None:
            return None
        value, self.echoed = read_stamps(buf, at)
        if value - self._recent & 0x80000000 and now - self._recent_ms < _OUTDATED_MS:
            return False
        if seq <= self._acknowledged:
            self._recent = value
            self._recent_ms = now
        return True

    def round_trip(self, now):
        """ms since we sent what the segment at hand echoes, or None when that cannot be."""
        ms = now + self._offset - self.echoed & 0xFFFFFFFF if self.echoed else -1
        return ms if 0 <= ms < 0x80000 else None
