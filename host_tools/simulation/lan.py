"""A root, a controller and members of a virtual network, on a simulated Internet.

Portable: the same scenes run on CPython and on MicroPython.
"""

from host_tools.simulation.wire import Wire
from mpcore.node import Node
from mpcore.roles.controller import Controller
from mpcore.roles.root import Root
from mpcore.vl1 import inet, world

ROOT_AT = "10.0.0.1/9993"
PLANET_ID = b"\0\0\0\0\0\0\0\x2a"
SIGNER = bytes(range(64))


def planet(roots, timestamp=1, signer=SIGNER):
    """A planet of [(identity, [endpoint text])]."""
    return world.World.make(world.PLANET, PLANET_ID, timestamp,
                            [(who, [inet.parse(e) for e in at]) for who, at in roots], signer)


def make_node(wire, who, at, planet, storage=None, **options):
    """A whole Node on a simulated wire."""
    port = wire.port(at, storage)
    node = Node(port, who, planet, epoch_ms=1700000000000, **options)
    wire.attach(node)
    return node


class Lan:
    """A root, a controller and members of one virtual network, 10.147.17.0/24.

    identity: gives the i-th Identity with its private keys: 0 is the root's, 1 the controller's.
    fields: of the network, beside the usual ones. options: of each node. wire: of the Wire.
    """

    CONTROLLER_AT = "10.0.0.2/9993"

    def __init__(self, identity, members=2, seed=1, private=False, fields=None, options=None,
                 **wire):
        self.wire = Wire(seed, **wire)
        self.identity = identity
        self.planet = planet([(identity(0), [ROOT_AT])])
        self.options = options or {}
        self._pings = 0
        self.start_root()
        self.controller_storage = {}
        self.start_controller()
        network = {"name": "lan", "private": private, "v4AssignMode": {"zt": True},
                   "routes": [{"target": "10.147.17.0/24", "via": None}],
                   "ipAssignmentPools": [{"ipRangeStart": "10.147.17.1",
                                          "ipRangeEnd": "10.147.17.254"}]}
        network.update(fields or {})
        self.nwid = self.identity(1).address + b"\0\0\x01"
        self.controller.create_network(self.wire.now, network, self.nwid)
        self.members = []
        for i in range(2, members + 2):
            self.start_member(i)

    def start_root(self):
        self.root = make_node(self.wire, self.identity(0), ROOT_AT, self.planet, **self.options)
        Root(self.root.vl1, self.root.vl2)

    def start_controller(self):
        port = self.wire.port(self.CONTROLLER_AT, self.controller_storage)
        node = Node(port, self.identity(1), self.planet, epoch_ms=1700000000000, **self.options)
        self.controller = Controller(node.vl1, node.vl2, port.load, port.store, port.names,
                                     port.remove)
        self.controller_node = node
        self.wire.attach(node)
        self.wire.every(self.controller.poll)

    def start_member(self, i, storage=None, **options):
        merged = dict(self.options)
        merged.update(options)
        node = make_node(self.wire, self.identity(i), "10.0.1.%d/9993" % i, self.planet, storage,
                         **merged)
        node.join(self.wire.now, self.nwid)
        self.members.append(node)
        return node

    def network(self, member):
        return member.networks[self.nwid]

    def ip(self, member):
        return self.network(member).config.static_ips[0][0]

    def run(self, duration_ms, until=None):
        return self.wire.run(duration_ms, until)

    def joined(self, limit_ms=15000):
        """Wait until every member has its config."""
        return self.run(limit_ms, lambda: all(self.network(m).status == "OK"
                                              for m in self.members))

    def ping(self, a, b, limit_ms=5000):
        """One echo request from a to b; returns the round trip in ms or None."""
        answers = []
        self._pings += 1
        started_ms = self.wire.now
        a.stack.echo(self.wire.now, self.ip(b), 7, self._pings, b"ping",
                     lambda now, ip, sequence, data: answers.append((now, data)))
        self.wire.touch(a)
        self.run(limit_ms, lambda: bool(answers))
        return answers[0][0] - started_ms if answers and answers[0][1] == b"ping" else None
