"""Revocations on their way from a controller to members (spec/controller.md 6)."""

from micropython import const

from mpcore import limits
from mpcore.vl1 import packet
from mpcore.vl1.gate import Gate
from mpcore.vl2 import credentials

_INTERVAL_MS = const(1100)       # members drop what comes within 1000 ms of the last one
_IN_ONE_PACKET = const(50)       # of 152 bytes each


class Revocations:
    """Sends each member all that waits for it in one packet, at most one a second."""

    def __init__(self, vl1):
        self._vl1 = vl1
        self._gate = Gate(_INTERVAL_MS, limits.SESSIONS)
        self._waiting = {}       # address -> [Revocation]

    def add(self, address, revocation):
        """A member (address) shall learn of a revocation; `send` does it."""
        self._waiting.setdefault(address, []).append(revocation)

    def send(self, now):
        """Send what may be sent now."""
        for address in list(self._waiting):
            if self._gate.allow(now, address):
                waiting = self._waiting.pop(address)
                payload = credentials.pack(revocations=waiting[:_IN_ONE_PACKET])
                self._vl1.send(now, address, packet.NETWORK_CREDENTIALS, payload, compress=True)
                if len(waiting) > _IN_ONE_PACKET:
                    self._waiting[address] = waiting[_IN_ONE_PACKET:]
