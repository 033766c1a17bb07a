"""Scenes that several tests play: identities that hold, a planet, a root and its leaves."""

from host_tools.simulation import lan
from host_tools.simulation.lan import ROOT_AT, planet
from host_tools.simulation.wire import Wire
from mpcore.roles.root import Root
from mpcore.vl1 import packet
from mpcore.vl1.identity import Identity
from mpcore.vl1.switch import VL1

from tests.core.support import vectors

_identities = []


def identity(i):
    """The i-th of a list of valid identities with their private keys."""
    if not _identities:
        for case in vectors("identity.json")["identities"]:
            _identities.append(Identity.from_text(case["secret_text"]))
    return _identities[i]


class Bare:
    """A node that ends at floor 2; keeps the user messages it receives."""

    def __init__(self, wire, who, at, planet, **options):
        self.port = wire.port(at)
        self.vl1 = VL1(who, planet, self.port.send, self.port.entropy, epoch_ms=1700000000000,
                       **options)
        self.receive = self.vl1.receive
        self.poll = self.vl1.poll
        self.messages = []
        self.vl1.on(packet.USER_MESSAGE, self._on_message)
        wire.attach(self)

    @property
    def address(self):
        return self.vl1.address

    def _on_message(self, now, peer, received):
        self.messages.append((peer.address, bytes(received.buf[received.at:received.end])))

    def say(self, now, to, text, compress=False):
        """Send a user message to another Bare."""
        return self.vl1.send(now, to.address, packet.USER_MESSAGE, text, compress)


class Segment:
    """A root and some leaves on one simulated Internet."""

    def __init__(self, leaves=2, seed=1, options=None, **wire):
        self.wire = Wire(seed, **wire)
        self.planet = planet([(identity(0), [ROOT_AT])])
        self.options = options or {}
        self.start_root()
        self.leaves = []
        for i in range(1, leaves + 1):
            self.start_leaf(i)

    def start_root(self):
        self.root = Bare(self.wire, identity(0), ROOT_AT, self.planet, **self.options)
        Root(self.root.vl1)

    def start_leaf(self, i, **options):
        merged = dict(self.options)
        merged.update(options)
        leaf = Bare(self.wire, identity(i), "10.0.1.%d/9993" % i, self.planet, **merged)
        self.leaves.append(leaf)
        return leaf

    def run(self, duration_ms, until=None):
        return self.wire.run(duration_ms, until)


class Lan(lan.Lan):
    """With the identities of the vectors."""

    def __init__(self, *arguments, **options):
        super().__init__(identity, *arguments, **options)
