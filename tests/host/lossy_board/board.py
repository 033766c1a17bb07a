"""The unix board behind a link that loses a fifth of all datagrams, in both directions."""

import random
import sys

from mpcore import port

_LOSS = 0.2


class LossyPort(port.Port):
    def _passes(self):
        if random.random() >= _LOSS:
            return True
        self.counters["lost"] = self.counters.get("lost", 0) + 1
        return False

    def send(self, endpoint, buf, off, n):
        if self._passes():
            super().send(endpoint, buf, off, n)

    def drain(self, receiver, now, *ready):
        return super().drain(Losing(receiver, self._passes), now, *ready)


class Losing:
    """Hands on those datagrams that pass."""

    def __init__(self, receiver, passes):
        self._receiver = receiver
        self._passes = passes

    def receive(self, now, endpoint, buf, off, n):
        if self._passes():
            self._receiver.receive(now, endpoint, buf, off, n)


def connect(config):
    random.seed(11)
    port.Port = LossyPort


# The rest is the real board's, a module of the same name.
sys.path.insert(0, __file__.rsplit("/", 4)[0] + "/boards/unix")
del sys.modules["board"]
from board import led
