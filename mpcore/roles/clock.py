"""A controller's clock: wall time that never goes back, not even over a restart.

Members refuse a COM that is older than the one they hold, and revocations void what was issued up
to a moment; so credentials need this clock even where the wall clock starts anew (a board without
one) or is set back (spec/controller.md 3).
"""

from micropython import const

_NAME = "controller.d/clock"
_STEP_MS = const(300000)


class Clock:
    """wall(now): ms since 1970. load(name), store(name, data): where the clock's mark is kept."""

    def __init__(self, wall, load, store):
        self._wall = wall
        self._store = store
        self._mark = int(load(_NAME) or b"0")
        self._last = 0
        self._ahead = None

    def tick(self, now):
        """Milliseconds since 1970, later than any earlier tick. Raises OSError as store does."""
        wall = self._wall(now)
        if self._ahead is None:
            # the mark is at most one step behind what was issued before the restart
            self._ahead = max(0, self._mark + _STEP_MS - wall) if wall < self._mark else 0
        time_ms = max(wall + self._ahead, self._last + 1)
        if time_ms - self._mark >= _STEP_MS:
            self._store(_NAME, b"%d" % time_ms)
            self._mark = time_ms
        self._last = time_ms
        return time_ms
