"""world.json: planets and moons, and which one takes the place of which (spec/world.md)."""

from mpcore.vl1 import identity, inet, world
from mpcore.vl1.identity import Identity
from mpcore.vl1.switch import VL1
from mpcore.vl1.world import World

from host_tools.vector_checks import attempt, each, is_optional, refused, same, unhex
from host_tools.vector_checks.wire import known_identity

_TYPES = {"planet": world.PLANET, "moon": world.MOON}
_SIGNATURE = 81      # offset of the signature, spec/world.md 1
_ROOTS = 177
_ANYBODY = Identity(b"\1\2\3\4\5", bytes(64))


def checks(data):
    scene = _Scene(data)
    for label, entry in each(data, "signing_keys"):
        yield label, _signing_key, entry
    for label, entry in each(data, "worlds"):
        yield label, _world, entry, scene
    for label, entry in each(data, "replacement"):
        yield label, _replacement, entry, scene
    for label, entry in each(data, "node_behaviour"):
        yield label, _node, entry, scene
    for label, entry in each(data, "blobs"):
        yield label, _blob, entry, scene


class _Scene:
    """What the entries of a file refer to by name."""

    def __init__(self, data):
        self.identities = {v["name"]: known_identity(v) for v in data["identities"]}
        self.public = {v["name"]: unhex(v["public"]) for v in data["signing_keys"]}
        self.private = {v["name"]: unhex(v["private"]) for v in data["signing_keys"]}
        self.worlds = {v["name"]: World.from_bytes(unhex(v["blob"]))[0] for v in data["worlds"]}

    def signers(self, one):
        """Names of the keys under which a world's signature is good."""
        return sorted([name for name, key in self.public.items() if one.verify(key)])


def _signing_key(entry):
    same(identity.public_of(unhex(entry["private"])).hex(), entry["public"], "public key")


def _world(entry, scene):
    blob = unhex(entry["blob"])
    read, length = World.from_bytes(blob)
    same(length, len(blob), "length")
    same(read.to_bytes(), blob, "world written back")
    same(read.type, _TYPES[entry["type"]], "type")
    same(read.id.hex(), entry["id"], "id")
    same(read.timestamp, int(entry["timestamp"]), "timestamp")
    same(read.signature.hex(), entry["signature"], "signature")
    next_key = scene.public[entry["updates_must_be_signed_by"]]
    same(read.update_key, next_key, "key for updates")
    same(scene.signers(read), [entry["signed_with"]], "signer")
    roots = [(scene.identities[v["identity"]], [inet.parse(e) for e in v["endpoints"]])
             for v in entry["roots"]]
    same(read.roots, roots, "roots")
    same([r.to_text() for r, _ in roots], [v["public_text"] for v in entry["roots"]],
         "identities of the roots")
    made = World.make(read.type, read.id, read.timestamp, roots,
                      scene.private[entry["signed_with"]], next_key)
    same(made.to_bytes(), blob, "world made")
    signed = b"\x7f" * 8 + blob[:_SIGNATURE] + blob[_ROOTS:] + b"\xf7" * 8
    same(signed.hex(), entry["signed_bytes"], "signed bytes")
    same(identity.verify(scene.public[entry["signed_with"]], signed, read.signature), True,
         "signature of the signed bytes")


def _replacement(entry, scene):
    current = scene.worlds.get(entry["current"])
    same(scene.worlds[entry["update"]].replaces(current), entry["replace"], "replacement")


def _node(entry, scene):
    """A node is offered worlds by a root of its own, or by the seed of a moon that it wants."""
    upstreams = VL1(_ANYBODY, scene.worlds[entry["start_planet"]], None, None,
                    sliced=False).upstreams
    for step in entry["steps"]:
        offered = scene.worlds[step["world"]]
        sender = min(upstreams.addresses)
        seed = step.get("orbit_requested_with_seed")
        if seed is not None:
            sender = unhex(seed)
            upstreams.orbit(offered.id, sender)
        before = _held(upstreams, offered)
        blob = offered.to_bytes()
        upstreams.offer(0, sender, blob, 0, len(blob))
        same(_held(upstreams, offered) != before, step["accepted"],
             "acceptance of " + step["world"])
        same(sorted([address.hex() for address in upstreams.addresses]), step["upstreams_after"],
             "upstreams after " + step["world"])


def _held(upstreams, world_like):
    """The world of the same kind that the node holds now as its bytes, or None."""
    if world_like.type == world.PLANET:
        return upstreams.planet_raw
    held = upstreams.moons.get(world_like.id)
    return held and held.to_bytes()


def _blob(entry, scene):
    blob = unhex(entry["blob"])
    if is_optional(entry):
        attempt(World.from_bytes, blob)
    elif not entry["parses"]:
        refused("world", World.from_bytes, blob)
    else:
        read, length = World.from_bytes(blob)
        same(length, entry["length"], "length")
        signer = entry["signature_valid_under"]
        same(scene.signers(read), [] if signer is None else [signer], "signer")
        if "replaces_single_root" in entry:
            same(read.replaces(scene.worlds["single_root"]), entry["replaces_single_root"],
                 "replacement of single_root")
