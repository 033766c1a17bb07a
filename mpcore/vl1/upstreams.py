"""The roots that the planet and our moons name (spec/world.md, spec/peers-and-paths.md 5)."""

from micropython import const

from mpcore import limits
from mpcore.vl1.peer import UNKNOWN_LATENCY_MS
from mpcore.vl1.world import MOON, PLANET

_SILENCE_STEP_MS = const(61000)
_ONLINE_MS = const(45000)     # a heartbeat at low bandwidth, and another that was lost
_NO_ID = bytes(8)


class Upstreams:
    """Holds the planet and the moons, and their roots as peers; we may be one of them ourselves.

    planet: a World; it is kept as its bytes, `planet_raw`. moons: Worlds that we orbit already.
    adopt(world): called with each world that was taken over from a root, or None.
    """

    def __init__(self, vl1, planet, moons, adopt):
        self._vl1 = vl1
        self._adopt = adopt
        self.planet = planet
        self.moons = {moon.id: moon for moon in moons}
        self.seeds = {}             # moons we want -> a root of theirs that we ask
        self.peers = []
        self.addresses = set()
        self.are_we = False
        self._set_roots(0)

    @property
    def planet(self):
        from mpcore.vl1.world import World

        return World.from_bytes(self.planet_raw)[0]

    @planet.setter
    def planet(self, planet):
        self.planet_raw = planet.to_bytes()

    def planet_known(self):
        """What a HELLO says of the planet: (ID, timestamp)."""
        raw = self.planet_raw
        return raw[1:9], int.from_bytes(raw[9:17], "big")

    def _set_roots(self, now):
        vl1 = self._vl1
        for peer in self.peers:
            peer.stable = ()
        self.peers = []
        self.addresses = set()
        self.are_we = False
        for world in [self.planet] + list(self.moons.values()):
            for identity, endpoints in world.roots:
                if identity.address == vl1.address:
                    self.are_we = True
                    continue
                peer = vl1.add_peer(now, identity)
                if peer in self.peers:
                    peer.stable += tuple(endpoints)
                else:
                    peer.stable = tuple(endpoints)
                    self.peers.append(peer)
                    self.addresses.add(identity.address)

    # --- moons -----------------------------------------------------------------------------

    def orbit(self, moon_id, seed):
        """Follow a moon (ID of 8 bytes), which its root `seed` (address) will be asked for.

        Raises ValueError for an ID of zero or at the limit of moons.
        """
        if moon_id == _NO_ID or len(moon_id) != 8 or len(seed) != 5:
            raise ValueError("a moon's ID has 8 bytes, not all zero, and its seed is an address")
        if len(self.moons) + len(self.seeds) >= limits.MOONS:
            raise ValueError("more than %d moons" % limits.MOONS)
        if moon_id not in self.moons:
            self.seeds[moon_id] = seed
            self._vl1.want(seed, True)
            self._vl1.contact.check_soon()

    def deorbit(self, now, moon_id):
        """Forget a moon; its roots are no longer ours. Returns whether it was followed."""
        seed = self.seeds.pop(moon_id, None)
        if seed is not None:
            self._vl1.want(seed, False)
        moon = self.moons.pop(moon_id, None)
        if moon is not None:
            self._set_roots(now)
        return moon is not None or seed is not None

    def asks(self, address):
        """Whether this node still owes us a moon."""
        return address in self.seeds.values()

    def moons_known(self):
        """What a HELLO says of moons: [(ID, timestamp; 0 for one we have not got yet)]."""
        return ([(moon.id, moon.timestamp) for moon in self.moons.values()]
                + [(moon_id, 0) for moon_id in self.seeds])

    # --- worlds from and for others --------------------------------------------------------

    def offer(self, now, sender, buf, at, end):
        """Worlds that `sender` (address) attached to its OK(HELLO): take over what is newer.

        Only roots are heard, and the seed of a moon we want. Raises ValueError when the worlds
        are malformed.
        """
        if at == end or sender not in self.addresses and sender not in self.seeds.values():
            return
        from mpcore.vl1.world import World

        while at < end:
            world, length = World.from_bytes(buf, at, end)
            at += length
            held = self.planet if world.type == PLANET else self.moons.get(world.id)
            if held is None and self._is_seeded(world):
                self._take(now, world)
            elif held is None or world.type == PLANET and sender not in self.addresses:
                self._vl1.count("worlds_refused")
            else:
                self._compare(now, held, world)

    def _is_seeded(self, world):
        """Whether this is a moon that we want, of the root that we asked."""
        return (world.type == MOON and self.seeds.get(world.id)
                in [root.address for root, _ in world.roots])

    def _compare(self, now, held, world):
        """Take over a world if it may replace the one we hold, as its signature tells."""
        work = self._vl1.work
        if work.full():
            return self._vl1.count("worlds_refused")

        def compared(now, replaces):
            current = self.planet if world.type == PLANET else self.moons.get(world.id)
            if replaces and current is not None and current.to_bytes() == held.to_bytes():
                self._take(now, world)
            else:
                self._vl1.count("worlds_refused")

        work.start(now, world.to_bytes(), world.replacement(held), compared)

    def _take(self, now, world):
        if world.type == PLANET:
            self.planet = world
        else:
            self.moons[world.id] = world
            seed = self.seeds.pop(world.id, None)
            if seed is not None:
                self._vl1.want(seed, False)
        self._vl1.count("worlds_taken")
        self._set_roots(now)
        if self._adopt is not None:
            self._adopt(world)

    def newer_than(self, planet_id, timestamp, moons):
        """Bytes of the worlds of which the asker holds an older revision.

        planet_id (or None), timestamp: of its planet; moons: [(ID, timestamp)].
        """
        worlds = b""
        known_id, known = self.planet_known()
        if planet_id == known_id and known > timestamp and planet_id != _NO_ID:
            worlds = self.planet_raw
        for moon_id, timestamp in moons:
            moon = self.moons.get(moon_id)
            if moon is not None and moon.timestamp > timestamp:
                worlds += moon.to_bytes()
        return worlds

    # --- the root to relay through ---------------------------------------------------------

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
