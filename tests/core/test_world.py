from mpcore.vl1 import identity, inet, world
from mpcore.vl1.identity import Identity
from mpcore.vl1.world import World
from support import raises, vectors

_VECTORS = vectors("world.json")
_IDENTITIES = {v["name"]: Identity.from_text(v["secret_text"]) for v in _VECTORS["identities"]}
_KEYS = {v["name"]: v for v in _VECTORS["signing_keys"]}
_WORLDS = {v["name"]: v for v in _VECTORS["worlds"]}
_TYPES = {"planet": world.PLANET, "moon": world.MOON}


def _private(name):
    return bytes.fromhex(_KEYS[name]["private"])


def _public(name):
    return bytes.fromhex(_KEYS[name]["public"])


def _blob(name):
    return bytes.fromhex(_WORLDS[name]["blob"])


def _load(name):
    return World.from_bytes(_blob(name))[0]


def test_worlds_are_read_and_written_back():
    for vector in _VECTORS["worlds"]:
        blob = bytes.fromhex(vector["blob"])
        read, length = World.from_bytes(memoryview(b"?" + blob + b"?"), 1)
        assert length == len(blob) and read.to_bytes() == blob
        assert read.type == _TYPES[vector["type"]] and read.id.hex() == vector["id"]
        assert read.timestamp == int(vector["timestamp"])
        assert read.update_key == _public(vector["updates_must_be_signed_by"])
        assert read.signature.hex() == vector["signature"]
        assert [(r.to_text(), e) for r, e in read.roots] == [
            (v["public_text"], [inet.parse(e) for e in v["endpoints"]]) for v in vector["roots"]]
        for name in _KEYS:
            assert read.verify(_public(name)) == (name == vector["signed_with"])


def test_worlds_are_made_as_the_reference_makes_them():
    for vector in _VECTORS["worlds"]:
        roots = [(_IDENTITIES[v["identity"]], [inet.parse(e) for e in v["endpoints"]])
                 for v in vector["roots"]]
        made = World.make(_TYPES[vector["type"]], bytes.fromhex(vector["id"]),
                          int(vector["timestamp"]), roots, _private(vector["signed_with"]),
                          _public(vector["updates_must_be_signed_by"]))
        assert made.to_bytes().hex() == vector["blob"]


def test_a_world_names_its_own_key_unless_told_otherwise():
    private = _private("k0")
    made = World.make(world.PLANET, b"12345678", 1, [], private)
    assert made.update_key == identity.public_of(private) == _public("k0")
    assert made.verify(made.update_key)


def test_which_world_takes_the_place_of_which():
    for vector in _VECTORS["replacement"]:
        current = _load(vector["current"]) if vector["current"] in _WORLDS else None
        assert _load(vector["update"]).replaces(current) == vector["replace"], vector
    assert _load("wrong_signer").replaces(None)
    null = World.from_bytes(b"\0" + _blob("two_roots")[1:])[0]
    assert not null.replaces(None) and not null.replaces(_load("single_root"))
    assert _load("moon_a").replaces(null)


def test_changed_worlds():
    for vector in _VECTORS["blobs"]:
        blob = bytes.fromhex(vector["blob"])
        if not vector["parses"]:
            raises(ValueError, World.from_bytes, blob)
            continue
        read, length = World.from_bytes(blob)
        assert length == vector["length"]
        under = [name for name in sorted(_KEYS) if read.verify(_public(name))]
        valid_under = vector["signature_valid_under"]
        assert under == ([] if valid_under is None else [valid_under]), vector["note"]
        if "replaces_single_root" in vector:
            assert read.replaces(_load("single_root")) == vector["replaces_single_root"]


def test_every_cut_is_noticed():
    for name in ("two_roots", "moon_a"):
        blob = _blob(name)
        for end in range(len(blob)):
            raises(ValueError, World.from_bytes, blob, 0, end)


def test_a_root_without_a_usable_endpoint_keeps_its_signature():
    root, private = _IDENTITIES["r0"], _private("k0")
    made = World.make(world.PLANET, b"12345678", 1, [(root, [None, inet.parse("10.0.0.1/1")])],
                      private)
    read, _ = World.from_bytes(made.to_bytes())
    assert read.roots == [(root, [inet.parse("10.0.0.1/1")])]
    assert read.to_bytes() == made.to_bytes() and read.verify(_public("k0"))


def test_no_world_without_an_id_is_made():
    raises(ValueError, World.make, world.PLANET, bytes(8), 1, [], _private("k0"))


def test_no_world_larger_than_the_format_is_made():
    private, root = _private("k0"), _IDENTITIES["r0"]
    endpoints = [inet.parse("10.0.0.1/%d" % port) for port in range(33)]
    World.make(world.PLANET, b"12345678", 1, [(root, endpoints[:32])], private)
    raises(ValueError, World.make, world.PLANET, b"12345678", 1, [(root, endpoints)], private)
    World.make(world.PLANET, b"12345678", 1, [(root, [])] * 4, private)
    raises(ValueError, World.make, world.PLANET, b"12345678", 1, [(root, [])] * 5, private)
