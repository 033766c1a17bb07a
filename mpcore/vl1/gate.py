"""A rate gate: each key passes once per interval (spec/peers-and-paths.md 11)."""


class Gate:
    """Lets a key pass at most once every `interval_ms`; remembers at most `limit` keys."""

    def __init__(self, interval_ms, limit):
        self._interval_ms = interval_ms
        self._limit = limit
        self._passed_ms = {}

    def allow(self, now, key):
        """True when `key` may pass now, which is then remembered."""
        passed_ms = self._passed_ms
        last_ms = passed_ms.get(key)
        if last_ms is not None and now - last_ms < self._interval_ms:
            return False
        if last_ms is None and len(passed_ms) >= self._limit:
            self._make_room(now)
        passed_ms[key] = now
        return True

    def _make_room(self, now):
        passed_ms = self._passed_ms
        for key in [k for k in passed_ms if now - passed_ms[k] >= self._interval_ms]:
            del passed_ms[key]
        if len(passed_ms) >= self._limit:
            del passed_ms[min(passed_ms, key=lambda k: passed_ms[k])]
