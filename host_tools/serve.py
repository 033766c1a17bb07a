"""`filament serve`: the root and the controller of your own network.

Its home directory is a node's (host_tools/home.py) and has besides: `world.secret`, the key that
signs the planet, and `controller.d/`, the controller's records.
"""

import ipaddress
import time

from host_tools import home
from host_tools.daemon import Daemon
from mpcore.roles.controller import Controller
from mpcore.roles.root import Root
from mpcore.vl1 import inet
from mpcore.vl1.world import PLANET, World

WORLD_SECRET = "world.secret"
PEERS = 100000          # identities that a root remembers; about 2 KB each


def ensure_planet(store, identity, endpoints, entropy):
    """The planet that names `identity` at `endpoints` as its one root.

    Made anew, and signed as the successor of the one before, when the endpoints have changed. A
    planet that somebody else signs is left as it is.
    """
    planet = None if store.load(home.PLANET_FILE) is None else home.load_planet(store)
    roots = [(identity, list(endpoints))]
    key = store.load(WORLD_SECRET)
    if planet is not None and (planet.roots == roots or key is None):
        return planet
    if key is None:
        key = entropy(64).hex().encode()
        store.store(WORLD_SECRET, key)
    world_id = entropy(8) if planet is None else planet.id
    timestamp = int(time.time() * 1000)
    if planet is not None:
        timestamp = max(timestamp, planet.timestamp + 1)
    planet = World.make(PLANET, world_id, timestamp, roots, bytes.fromhex(key.decode()))
    store.store(home.PLANET_FILE, planet.to_bytes())
    return planet


def reachable(texts):
    """The endpoints ("ip:port") under which peers find a root. Raises ValueError for others."""
    endpoints = [inet.parse(text) for text in texts]
    for endpoint in endpoints:
        if not any(endpoint[:-2]) or not any(endpoint[-2:]):
            raise ValueError("peers cannot reach " + inet.text(endpoint)
                             + ": name the address and port with --advertise")
    return endpoints


def network_fields(name=None, pool=None, public=None, dns=None):
    """The fields of a network record that these options mean; None leaves one as it is.

    pool: IPv4 network in CIDR notation, whose first address is kept free. dns: (domain, [IP of a
    server]), with neither of them for no DNS. Raises ValueError.
    """
    fields = {}
    if name is not None:
        fields["name"] = name
    if public is not None:
        fields["private"] = not public
    if pool is not None:
        network = ipaddress.IPv4Network(pool)
        if network.prefixlen > 29:
            raise ValueError(f"{pool} is too small for a pool: /29 or larger is needed")
        first, last = network.network_address + 2, network.broadcast_address
        fields["routes"] = [{"target": str(network), "via": None}]
        fields["ipAssignmentPools"] = [{"ipRangeStart": str(first), "ipRangeEnd": str(last)}]
        fields["v4AssignMode"] = {"zt": True}
    if dns is not None:
        domain, servers = dns
        fields["dns"] = {"domain": domain, "servers": list(servers)} if servers else {}
    return fields


class Server(Daemon):
    """A Daemon that is a root, a controller, or both, as the arguments say."""

    def __init__(self, directory, bind, root=True, controller=True, **options):
        super().__init__(directory, bind, max_peers=PEERS, **options)
        node, store = self.node, self.port
        if root:
            if not node.vl1.upstreams.are_we:
                raise ValueError(f"the planet in {directory} does not name this node as a root")
            Root(node.vl1, node.vl2)
        if controller:
            self.controller = Controller(node.vl1, node.vl2, store.load, store.store, store.names,
                                         store.remove)
            node.services.append(self.controller)

    def open_network(self, fields, nwid=None, pool="10.147.17.0/24"):
        """The record of the network to serve: `nwid`, the only one there is, or a new one.

        fields: as from `network_fields`; a new network gets `pool` unless they name one.
        """
        controller, now = self.controller, self.runtime.now()
        known = controller.networks()
        if nwid is None and len(known) > 1:
            raise ValueError("this controller has several networks: name one with --network, of "
                             + ", ".join(sorted(key.hex() for key in known)))
        if nwid is None and known:
            nwid = next(iter(known))
        if nwid in known:
            return controller.update_network(now, nwid, fields)
        return controller.create_network(now, network_fields(pool=pool) | fields, nwid)

    def status(self):
        """As a Daemon's, and who has asked to be a member of which network."""
        status = super().status()
        if self.controller is not None:
            status["members"] = {
                nwid.hex(): {address.hex(): member["authorized"]
                             for address, member in self.controller.members(nwid).items()}
                for nwid in self.controller.networks()}
        return status
