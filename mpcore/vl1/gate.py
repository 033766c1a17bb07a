"""A rate gate: each key passes once per interval (spec/peers-and-paths.md 11)."""

from micropython import const

from mpcore import limits

_FEW = const(4)     # keys that are not worth looking through


class Gate:
    """Lets a key pass at most once every `interval_ms`; remembers at most `limit` keys, and mostly
    only those that may not pass again yet."""

    _room = _FEW                # a node has some ten gates: what is the same for most is here
    _limit = limits.PEERS

    def __init__(self, interval_ms, limit):
        self._interval_ms = interval_ms
        self._passed_ms = {}
        if limit != limits.PEERS:
            self._limit = limit

    def allow(self, now, key):
        """True when `key` may pass now, which is then remembered."""
        passed_ms = self._passed_ms
        last_ms = passed_ms.get(key)
        if last_ms is not None and now - last_ms < self._interval_ms:
            return False
        if last_ms is None and len(passed_ms) >= self._room:
            passed_ms = self._make_room(now)
        passed_ms[key] = now
        return True

    def forget(self, key):
        """What `key` stands for is over, so that it will not ask again: it takes no more room."""
        self._passed_ms.pop(key, None)

    def _make_room(self, now):
        """Forget who may pass again, and the oldest where that are not enough. To look through all
        is worth it again when they are twice as many as stay now."""
        passed_ms = self._passed_ms = {key: last_ms for key, last_ms in self._passed_ms.items()
                                       if now - last_ms < self._interval_ms}
        if len(passed_ms) >= self._limit:
            del passed_ms[min(passed_ms, key=lambda k: passed_ms[k])]
        room = min(self._limit, max(_FEW, 2 * len(passed_ms)))
        if room != self._room:
            self._room = room
        return passed_ms
