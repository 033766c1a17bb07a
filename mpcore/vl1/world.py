"""Worlds: signed lists of roots, planets and moons (spec/world.md)."""

from micropython import const

from mpcore.crypto.slices import finish
from mpcore.vl1 import identity, inet
from mpcore.vl1.identity import Identity

NULL = const(0)
PLANET = const(1)
MOON = const(127)

MAX_ROOTS = const(4)              # of the format, spec/world.md 1
MAX_ENDPOINTS = const(32)

_ID = const(1)
_TIMESTAMP = const(9)
_UPDATE_KEY = const(17)
_SIGNATURE = const(81)
_ROOTS = const(177)

_BEFORE_SIGNED = b"\x7f" * 8
_AFTER_SIGNED = b"\xf7" * 8
_NO_ID = bytes(8)


class World:
    """One revision of a planet or moon.

    type: PLANET, MOON or NULL; id: 8 bytes; timestamp: epoch ms, newer wins; update_key: the
    64-byte public key that must sign the next revision; signature: 96 bytes; roots:
    [(Identity, [endpoint, ...]), ...].
    """

    def __init__(self, head, signature, body, roots):
        """head: the bytes before the signature; body: those after it, as they are signed."""
        self.type = head[0]
        self.id = head[_ID:_TIMESTAMP]
        self.timestamp = int.from_bytes(head[_TIMESTAMP:_UPDATE_KEY], "big")
        self.update_key = head[_UPDATE_KEY:]
        self.signature = signature
        self.roots = roots
        self._head = head
        self._body = body

    @staticmethod
    def make(type, id, timestamp, roots, private, update_key=None):
        """A world signed with a 64-byte private key.

        update_key: the key for the next revision, the signing key's own public half when None.
        Raises ValueError for an ID of zero, and for more roots or endpoints than the format holds.
        """
        if id == _NO_ID:
            raise ValueError("a world needs an ID")
        if update_key is None:
            update_key = identity.public_of(private)
        head = bytes([type]) + id + timestamp.to_bytes(8, "big") + update_key
        body = _body(type, roots)
        signature = identity.sign(private, _signed(head, body))
        return World(head, signature, body, roots)

    @staticmethod
    def from_bytes(buf, off=0, end=None):
        """Read a world at buf[off:end]: (world, its length in bytes).

        A dictionary attached to a moon is skipped. The signature is not checked. Raises
        ValueError when the world is malformed.
        """
        if end is None:
            end = len(buf)
        if end - off <= _ROOTS:
            raise ValueError("world cut short")
        if buf[off] not in (NULL, PLANET, MOON):
            raise ValueError("world of an unknown type")
        at = off + _ROOTS
        roots = []
        count = _count(buf, at, end, MAX_ROOTS)
        at += 1
        for _ in range(count):
            root, length = Identity.from_bytes(buf, at, end)
            at += length
            endpoints = []
            listed = _count(buf, at, end, MAX_ENDPOINTS)
            at += 1
            for _ in range(listed):
                endpoint, length = inet.decode(buf, at, end)
                at += length
                endpoints.append(endpoint)
            roots.append((root, endpoints))
        if buf[off] == MOON:
            if end - at < 2:
                raise ValueError("moon cut short")
            at += 2 + (buf[at] << 8 | buf[at + 1])
            if at > end:
                raise ValueError("moon cut short")
        head = bytes(buf[off:off + _SIGNATURE])
        signature = bytes(buf[off + _SIGNATURE:off + _ROOTS])
        body = _body(head[0], roots)
        return World(head, signature, body, [(r, _without_none(e)) for r, e in roots]), at - off

    def to_bytes(self):
        """The binary form, that of zerotier-one's planet and moon files."""
        return self._head + self.signature + self._body

    def verify(self, public):
        """Whether the holder of the key whose 64-byte public half this is signed the world."""
        return identity.verify(public, _signed(self._head, self._body), self.signature)

    def replaces(self, current):
        """Whether this world takes the place of `current`, another world or None.

        The first world is taken as it is; a later one must be newer and signed by the key that
        the current one names (spec/world.md 4).
        """
        return finish(self.replacement(current))

    def replacement(self, current):
        """As replaces(), in slices (crypto/slices.py)."""
        if self.type == NULL:
            return False
        if current is None or current.type == NULL or current.id == _NO_ID:
            return True
        return (self.type == current.type and self.id == current.id
                and self.timestamp > current.timestamp and (yield from identity.verification(
                    current.update_key, _signed(self._head, self._body), self.signature)))


def _signed(head, body):
    return _BEFORE_SIGNED + head + body + _AFTER_SIGNED


def _body(type, roots):
    parts = [bytes([_at_most(roots, MAX_ROOTS)])]
    for root, endpoints in roots:
        parts.append(root.to_bytes())
        parts.append(bytes([_at_most(endpoints, MAX_ENDPOINTS)]))
        parts += [inet.encode(endpoint) for endpoint in endpoints]
    if type == MOON:
        parts.append(b"\x00\x00")     # no dictionary
    return b"".join(parts)


def _at_most(items, most):
    if len(items) > most:
        raise ValueError(f"more than {most} in a world")
    return len(items)


def _count(buf, at, end, most):
    if at >= end or buf[at] > most:
        raise ValueError("world cut short or too large")
    return buf[at]


def _without_none(endpoints):
    return [endpoint for endpoint in endpoints if endpoint is not None]
