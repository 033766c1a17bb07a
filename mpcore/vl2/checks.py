"""Signatures on what others gave us for one network, checked one after the other."""

from micropython import const

from mpcore import limits
from mpcore.vl1.peer import NEVER

_FORGED_MS = const(1000)         # for so long, nothing is taken from who gave us a forgery


class Checks:
    """What waits for its signature to be checked, which costs much more than sending it.

    settled(now): set by the owner; called when nothing more waits of those who gave it.
    """

    def __init__(self, vl1):
        self._vl1 = vl1
        self._waiting = []      # (giver, trusted, key, slices, done)
        self._current = None    # one of these, in VL1's Work
        self._running = False
        self._forged_ms = {}    # giver -> when we found that it gave us a forgery
        self.settled = _ignore

    def waiting(self, giver):
        """Whether something that this peer (address) gave is still to be checked."""
        return any([item[0] == giver for item in self._all()])

    def add(self, giver, key, slices, done, trusted=False):
        """Have run() call done(now, good) with the result of `slices`, after what waits already.

        giver: address of who sent this. key: the signed bytes with their signature. trusted: the
        giver is the controller, which has room of its own. What there is no room for is dropped,
        as is what waits already.
        """
        kin = [item for item in self._all() if item[1] == trusted]
        if any([item[2] == key for item in kin]):
            return
        if (len(kin) >= limits.CHECKS or sum([len(item[2]) for item in kin]) + len(key)
                > (limits.CONFIG_BYTES if trusted else limits.CHECKS_BYTES)
                or not trusted and sum([item[0] == giver for item in kin])
                >= limits.CHECKS_OF_ONE):
            return self._vl1.count("checks_dropped")
        self._waiting.append((giver, trusted, key, slices, done))

    def run(self, now):
        """Have what was added checked: at once, or by VL1's polls."""
        if self._running:
            return
        self._running = True
        work = self._vl1.work
        while self._waiting and not work.has(self):
            self._current = self._waiting.pop(0)
            if self._current[0] in self._vl1.peers:
                work.start(now, self, self._current[3], self._checked)
            else:
                self._vl1.count("checks_dropped")   # the giver has been forgotten meanwhile
        self._running = False

    def forged(self, now, giver):
        """Its signature is not good: ignore what else this peer gave, and for a while gives."""
        self._vl1.count("credentials_forged")
        self._waiting = [item for item in self._waiting if item[0] != giver]
        self._forged_ms = {giver: forged_ms for giver, forged_ms in self._forged_ms.items()
                           if now - forged_ms < _FORGED_MS}
        self._forged_ms[giver] = now

    def distrusts(self, now, giver):
        """Whether this peer gave us a forgery just now."""
        return now - self._forged_ms.get(giver, NEVER) < _FORGED_MS

    def close(self):
        """The network is left."""
        self._waiting = []
        self._vl1.work.drop(self)

    def _all(self):
        if self._current is not None and self._vl1.work.has(self):
            return [self._current] + self._waiting
        return self._waiting

    def _checked(self, now, good):
        giver, _, _, _, done = self._current
        self._current = None
        try:
            done(now, good)
        finally:
            if not self.waiting(giver):
                self.settled(now)
            self.run(now)


def _ignore(now):
    """Nothing waits for this."""
