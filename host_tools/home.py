"""A node's home directory, laid out as zerotier-one lays out its own (spec/realworld.md 3).

Portable: the same files serve a node on CPython and one on MicroPython. `store` is a
mpcore.port.storage.Storage, such as a Port. What is wrong is said in a ValueError that a person
can act on.
"""

from mpcore.vl1.identity import Identity
from mpcore.vl1.world import PLANET, World

SECRET = "identity.secret"
PUBLIC = "identity.public"
PLANET_FILE = "planet"
_NETWORKS = "networks.d/"
_CONF = ".conf"


def load_identity(store):
    """The node's identity with its private key, or None where there is none yet."""
    data = store.load(SECRET)
    if data is None:
        return None
    try:
        identity = Identity.from_text(data.decode())
    except ValueError as error:
        raise ValueError("%s/%s: %s" % (store.home, SECRET, error))
    if identity.private is None:
        raise ValueError("%s/%s has no private key" % (store.home, SECRET))
    return identity


def save_identity(store, identity):
    """Write both files of an identity, over those that may be there."""
    store.store(SECRET, identity.to_text(secret=True).encode())
    store.store(PUBLIC, identity.to_text().encode())


def load_planet(store):
    """The planet that names the roots."""
    data = store.load(PLANET_FILE)
    if data is None:
        raise ValueError("no planet in %s: copy the planet file of your network's root there"
                         % store.home)
    try:
        world, length = World.from_bytes(data)
        if length != len(data) or world.type != PLANET:
            raise ValueError("not a planet")
    except ValueError as error:
        raise ValueError("%s/%s: %s" % (store.home, PLANET_FILE, error))
    return world


def joined(store):
    """IDs of the networks to join at start: those with a file, even an empty one."""
    found = []
    for name in store.names(_NETWORKS):
        text = name[len(_NETWORKS):-len(_CONF)]
        if name.endswith(_CONF) and "." not in text:
            found.append(network_id(text))
    return found


def network_id(text):
    """The 8 bytes of a network ID of 16 hexadecimal digits."""
    return _hexadecimal(text, 8, "a network ID")


def moon_id(text):
    """The 8 bytes of a moon's ID of 16 hexadecimal digits."""
    return _hexadecimal(text, 8, "a moon's ID")


def address(text):
    """The 5 bytes of an address of 10 hexadecimal digits."""
    return _hexadecimal(text, 5, "an address")


def _hexadecimal(text, size, what):
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if len(data) != size or len(text) != 2 * size:
        raise ValueError("'%s' is not %s of %d hexadecimal digits" % (text, what, 2 * size))
    return data
