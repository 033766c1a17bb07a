"""The game's world: players on a seeded random walk, and who is near what."""

import math
import random

SIZE = 1000          # the map is SIZE x SIZE units, origin in the corner
STRIDE = 50          # units a player moves at a time
RESTLESSNESS = 0.5   # standard deviation of the turn before each move, radians


class Player:
    """Walks in a straight line that bends a little at every step and bounces off the edges."""

    def __init__(self, name, rng):
        self.name = name
        self._rng = rng
        self._x = rng.uniform(0, SIZE)
        self._y = rng.uniform(0, SIZE)
        self._heading = rng.uniform(0, math.tau)

    @property
    def position(self):
        return round(self._x), round(self._y)

    def step(self):
        self._heading += self._rng.gauss(0, RESTLESSNESS)
        self._x += STRIDE * math.cos(self._heading)
        self._y += STRIDE * math.sin(self._heading)
        if not 0 <= self._x <= SIZE:
            self._heading = math.pi - self._heading
            self._x = min(max(self._x, 0), SIZE)
        if not 0 <= self._y <= SIZE:
            self._heading = -self._heading
            self._y = min(max(self._y, 0), SIZE)


class Watch:
    """Somebody's interest in a circle of the map: knows which players are inside."""

    def __init__(self, x, y, radius):
        self._x, self._y, self._radius = x, y, radius
        self.inside = set()

    def look(self, player):
        """True when the player has just entered or left the circle."""
        x, y = player.position
        near = math.hypot(x - self._x, y - self._y) <= self._radius
        if near == (player.name in self.inside):
            return False
        (self.inside.add if near else self.inside.discard)(player.name)
        return True


def players(names, seed):
    """The players of one game. The same names and seed walk the same way."""
    return [Player(name, random.Random(f"{seed}/{name}")) for name in names]
