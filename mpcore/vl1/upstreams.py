"""The roots that the planet names (spec/world.md, spec/peers-and-paths.md 5)."""

from micropython import const

from mpcore.vl1.peer import UNKNOWN_LATENCY_MS
from mpcore.vl1.world import World

_SILENCE_STEP_MS = const(61000)
_ONLINE_MS = const(30000)


class Upstreams:
    """Holds the planet and its roots as peers; we may be one of them ourselves."""

    def __init__(self, vl1, planet):
        self._vl1 = vl1
        self.planet = planet
        self.peers = []
        self.addresses = set()
        self.are_we = False
        self._set_roots(0)

    def _set_roots(self, now):
        vl1 = self._vl1
        self.peers = []
        self.addresses = set()
        self.are_we = False
        for identity, endpoints in self.planet.roots:
            if identity.address == vl1.address:
                self.are_we = True
                continue
            peer = vl1.add_peer(now, identity)
            peer.stable = tuple(endpoints)
            self.peers.append(peer)
            self.addresses.add(identity.address)

    def offer(self, now, buf, at, end):
        """Worlds that a root attached to its OK(HELLO): adopt a newer planet.

        Raises ValueError when they are malformed.
        """
        while at < end:
            world, length = World.from_bytes(buf, at, end)
            at += length
            if world.type == self.planet.type and world.replaces(self.planet):
                self.planet = world
                self._set_roots(now)
                self._vl1.adopt(world)

    def newer_than(self, world_id, timestamp):
        """Our planet's bytes if the asker holds an older one of the same ID, else nothing."""
        planet = self.planet
        if world_id == planet.id and planet.timestamp > timestamp and any(world_id):
            return planet.to_bytes()
        return b""

    def best(self, now):
        """The root of least latency that is not silent, or None."""
        best = best_quality = None
        for peer in self.peers:
            path = peer.best_path(now)
            if path is not None:
                silence = (now - peer.last_receive_ms) // _SILENCE_STEP_MS
                latency_ms = path.latency_ms or UNKNOWN_LATENCY_MS
                quality = (path.silent(now), latency_ms * (1 + silence))
                if best is None or quality < best_quality:
                    best, best_quality = peer, quality
        return best

    def online(self, now):
        """Whether a root was heard lately, or we are one."""
        return self.are_we or any(now - p.last_receive_ms < _ONLINE_MS for p in self.peers)
