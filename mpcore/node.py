"""The sans-IO node: VL1, VL2 and the IP stack joined (spec/*.md; see README § Architecture).

It opens no socket, reads no clock and starts no task. Whoever drives it calls `receive` for each
datagram and `poll` when the time has come that the last call named.
"""

import micropython

from mpcore import crypto, limits
from mpcore.ip.stack import Stack
from mpcore.vl1.switch import VL1
from mpcore.vl1.world import PLANET
from mpcore.vl2.vl2 import VL2

_MOONS = "moons.d/"


class Node:
    """One identity on any number of virtual networks.

    port: send(endpoint, buf, off, n), endpoints(), load(name) -> bytes or None,
    store(name, data), remove(name), names(prefix), entropy(n); rings: bytes of a TCP connection's
    buffers, (to send, to receive). identity: ours, with its private key. planet: the World that
    names the roots. epoch_ms: wall clock in ms since 1970 at now = 0. on_change(now, network):
    called when a network's status or config changed. remember: keep peers in storage, for the
    next start. low_bandwidth: less than 1 MB a day when idle; see docs/low-bandwidth.md for what
    comes later then. send_ring, receive_ring: of TCP connections, unless their sockets say
    otherwise; None: the port's. Others: as for VL1.

    receive(now, endpoint, buf, off, n): one datagram came, buf[off:off+n], which is decrypted in
    place.
    """

    def __init__(self, port, identity, planet, epoch_ms=0, aes=False, loopback=False,
                 validate=True, max_peers=limits.PEERS, remember=False, on_change=None,
                 low_bandwidth=False, sliced=crypto.SLICED, send_ring=None,
                 receive_ring=None):
        self.port = port
        self.on_change = on_change
        self.stack = Stack(port.entropy)
        self.stack.tcp.send_ring = send_ring or port.rings[0]
        self.stack.tcp.receive_ring = receive_ring or port.rings[1]
        self.vl1 = VL1(identity, planet, port.send, port.entropy, epoch_ms=epoch_ms, aes=aes,
                       loopback=loopback, validate=validate, max_peers=max_peers, sliced=sliced,
                       moons=self._stored_moons(), adopt=self._adopt)
        self.receiver = self.vl1        # of datagrams: for who does without a call between
        self.vl1.contact.local_endpoints = port.endpoints
        self.vl1.contact.inside_network = self._is_virtual
        self.vl1.contact.low_bandwidth = low_bandwidth
        self._cache = None
        if remember:
            from mpcore.vl1.peer_cache import PeerCache  # costs nothing where it is not used
            self._cache = PeerCache(self.vl1, port.load, port.store, port.remove, port.names,
                                    max_peers)
        self.vl2 = VL2(self.vl1, port.load, port.store, port.remove, max_peers=max_peers,
                       low_bandwidth=low_bandwidth)
        self.interfaces = {}  # network ID -> ip.stack.Interface
        self.services = []    # of floor 6; poll(now) of each is called as the node's own is

    @property
    def identity(self):
        return self.vl1.identity

    @property
    def networks(self):
        """Joined networks by their ID."""
        return self.vl2.networks

    def join(self, now, nwid):
        """Join a network (8 bytes); its addresses come with its config. Returns the Network."""
        network = self.vl2.networks.get(nwid)
        if network is None:
            network = self.vl2.join(now, nwid)
            interface = self.stack.add_interface(network)
            self.interfaces[nwid] = interface
            network.above = interface
            network.on_change = self._network_changed
            self._network_changed(now, network)  # a config may have been in storage
        return network

    def leave(self, now, nwid):
        """Leave a network; its sockets lose their interface."""
        interface = self.interfaces.pop(nwid, None)
        if interface is not None:
            self.stack.remove_interface(interface)
            self.vl2.leave(now, nwid)

    def orbit(self, now, moon_id, seed):
        """Follow a moon (ID of 8 bytes); its root `seed` (address) is asked for it.

        Raises ValueError, as Upstreams.orbit does.
        """
        self.vl1.upstreams.orbit(moon_id, seed)

    def deorbit(self, now, moon_id):
        """Forget a moon. Returns whether it was followed."""
        self.port.remove(_moon_file(moon_id))
        return self.vl1.upstreams.deorbit(now, moon_id)

    def _stored_moons(self):
        moons = []
        for name in self.port.names(_MOONS):
            from mpcore.vl1.world import World

            try:
                moon, _ = World.from_bytes(self.port.load(name))
            except ValueError:
                continue
            if name == _moon_file(moon.id):
                moons.append(moon)
        return moons[:limits.MOONS]

    def receive(self, now, endpoint, buf, off, n):
        """One datagram, buf[off:off+n], came from `endpoint`; it is decrypted in place."""
        self.vl1.receive(now, endpoint, buf, off, n)

    @micropython.native
    def poll(self, now):
        """Do what is due; returns the ms at which to call again at the latest."""
        serve_ms = self._serve(now) if self.services else None  # first, as they send
        next_ms = self.vl1.poll(now)
        vl2 = self.vl2
        due_ms = vl2.due_ms if now < vl2.due_ms else vl2.poll(now)
        if due_ms < next_ms:
            next_ms = due_ms
        due_ms = self.stack.poll(now)
        if due_ms is not None and due_ms < next_ms:
            next_ms = due_ms
        if serve_ms is not None and serve_ms < next_ms:
            next_ms = serve_ms
        if self._cache is not None:
            next_ms = min(next_ms, self._cache.poll(now))
        return now if self.vl1.work.jobs else next_ms

    def _serve(self, now):
        due_ms = [service.poll(now) for service in self.services]
        return min([ms for ms in due_ms if ms is not None], default=None)

    def busy(self):
        """Whether there is arithmetic to be gone on with: poll() does a slice of it at a time."""
        return bool(self.vl1.work.jobs)

    def save(self):
        """Store what the next start should know; for an orderly end."""
        if self._cache is not None:
            self._cache.write()

    def online(self, now):
        """Whether a root answers, or we are one."""
        return self.vl1.upstreams.online(now)

    def _is_virtual(self, ip):
        """Whether an IP (4 or 16 bytes) lies in a subnet in which a network gave us an address."""
        return any([interface.in_subnet(ip) for interface in self.stack.interfaces])

    def _network_changed(self, now, network):
        interface = self.interfaces.get(network.id)
        config = network.config
        if interface is not None and config is not None:
            interface.set_addresses(now, config.static_ips)
            interface.set_routes([route[:3] for route in config.routes])
        if self.on_change is not None:
            self.on_change(now, network)

    def _adopt(self, world):
        self.port.store("planet" if world.type == PLANET else _moon_file(world.id),
                        world.to_bytes())


def _moon_file(moon_id):
    return _MOONS + moon_id.hex() + ".moon"
