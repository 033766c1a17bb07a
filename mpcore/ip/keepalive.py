"""Keepalive (RFC 9293 3.8.4): is a peer that says nothing still there? Loaded when asked for."""


class Keepalive:
    """After idle_ms of silence one probe each interval_ms; `count` of them unanswered are enough.

    A connection that waits for an ACK is not probed: retransmission finds out as well.
    """

    def __init__(self, now, idle_ms, interval_ms, count):
        self.idle_ms = idle_ms
        self.interval_ms = interval_ms
        self.count = count
        self._probes = 0
        self._due_ms = now + idle_ms

    def heard(self, now):
        """A segment came from the peer."""
        self._probes = 0
        self._due_ms = now + self.idle_ms

    def poll(self, now, waits):
        """When to be called again, and what is due: (ms, None, True: a probe, or False: give
        up). waits: data or a FIN of ours is not acknowledged."""
        if now < self._due_ms:
            return self._due_ms, None
        if waits:
            self.heard(now)
            return self._due_ms, None
        if self._probes >= self.count:
            return None, False
        self._probes += 1
        self._due_ms = now + self.interval_ms
        return self._due_ms, True
