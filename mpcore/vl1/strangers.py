"""What is remembered of those whose HELLO came and who are not known (spec/security.md 3)."""

from micropython import const

from mpcore import limits
from mpcore.vl1.gate import Gate

_INTERVAL_MS = const(1000)      # for one endpoint
_BURST = const(20)              # hashes that may be computed at once ...
_REFILL_MS = const(250)         # ... and how fast the allowance grows again
_PATIENCE_MS = const(1000)      # with a root that was asked who somebody is
_ASK_AGAIN_MS = const(60000)


class Strangers:
    """Limits what they may cost us."""

    def __init__(self):
        self._sources = Gate(_INTERVAL_MS, limits.HELLO_GATE_SOURCES)
        self._allowance = _BURST
        self._refilled_ms = 0
        self._asked_ms = {}     # unknown address -> when a root was first asked for it

    def are_asked_for(self, now, address):
        """Whether it is no longer than a second since a root was asked for an address."""
        asked_ms = self._asked_ms
        since_ms = asked_ms.get(address)
        if since_ms is None or now - since_ms >= _ASK_AGAIN_MS:
            if len(asked_ms) >= limits.HELLO_GATE_SOURCES:
                asked_ms.clear()
            asked_ms[address] = since_ms = now
        return now - since_ms < _PATIENCE_MS

    def may_be_checked(self, now, endpoint):
        """Whether there is a hash to spare for who sends from this endpoint; it counts as spent."""
        refill = (now - self._refilled_ms) // _REFILL_MS
        if refill:
            self._allowance = min(self._allowance + refill, _BURST)
            self._refilled_ms = now
        if self._allowance and self._sources.allow(now, endpoint):
            self._allowance -= 1
            return True
        return False
