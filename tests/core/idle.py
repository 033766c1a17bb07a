"""Nodes with nothing to do: what they send all the same, counted, and a NAT before one of them."""

HOUR_MS = 3600000
DAY_HOURS = 24
OVERHEAD = 28       # IPv4 and UDP, of each datagram


class Meter:
    """Counts the datagrams of one endpoint on a Wire from now on, both ways, lost ones too."""

    def __init__(self, wire, endpoint):
        self.datagrams = 0
        self.bytes = 0
        transmit = wire.transmit

        def counted(source, destination, data):
            if endpoint in (source, destination):
                self.datagrams += 1
                self.bytes += len(data) + OVERHEAD
            transmit(source, destination, data)

        wire.transmit = counted


class Nat:
    """Lets datagrams reach `endpoint` only from where it has sent to within binding_ms."""

    def __init__(self, wire, endpoint, binding_ms=30000):
        self._wire = wire
        self._endpoint = endpoint
        self._binding_ms = binding_ms
        self._sent_ms = {}
        self.refused = 0
        wire.passes = self._passes

    def _passes(self, source, destination):
        now = self._wire.now
        if source == self._endpoint:
            self._sent_ms[destination] = now
        elif destination == self._endpoint:
            sent_ms = self._sent_ms.get(source)
            if sent_ms is None or now - sent_ms > self._binding_ms:
                self.refused += 1
                return False
        return True

    def forget(self):
        """It was switched off and on."""
        self._sent_ms = {}


def mb_a_day(meter, hours):
    """Of what a Meter counted in so many hours."""
    return meter.bytes * DAY_HOURS / hours / 1000000


def reach(lan, a, b, limit_ms=60000):
    """Milliseconds until one of the pings that a sends b, one a second, is answered; or None."""
    began_ms = lan.wire.now
    while lan.wire.now - began_ms < limit_ms:
        if lan.ping(a, b, 1000) is not None:
            return lan.wire.now - began_ms
    return None
