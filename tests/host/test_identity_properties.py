"""Any bytes and any text at the parsers of identities, worlds and addresses."""

import ipaddress

from hypothesis import given, settings
from hypothesis import strategies as st

from mpcore.vl1 import identity, inet, world
from mpcore.vl1.identity import Identity
from mpcore.vl1.world import World

repeatable = settings(derandomize=True, deadline=None, max_examples=200)

keys = st.binary(min_size=64, max_size=64)
addresses = st.binary(min_size=5, max_size=5)
identities = st.builds(Identity, addresses, keys, st.none() | keys)
ips = st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)
endpoints = st.builds(lambda ip, port: ip + port, ips, st.binary(min_size=2, max_size=2))
roots = st.lists(st.tuples(st.builds(Identity, addresses, keys),
                           st.lists(st.none() | endpoints, max_size=5)), max_size=4)


def accepts(function, *arguments):
    """What the function returns, or None when it raises ValueError, which alone it may."""
    try:
        return function(*arguments)
    except ValueError:
        return None


@st.composite
def damaged(draw, blobs):
    """Bytes that were well-formed before a few of them were changed, added or cut off."""
    blob = bytearray(draw(blobs))
    for _ in range(draw(st.integers(0, 4))):
        if blob:
            blob[draw(st.integers(0, len(blob) - 1))] = draw(st.integers(0, 255))
    cut = draw(st.integers(0, len(blob)))
    return bytes(blob[:cut] if draw(st.booleans()) else blob) + draw(st.binary(max_size=8))


@repeatable
@given(identities, st.booleans(), st.binary(max_size=9), st.binary(max_size=9))
def test_identity_binary_round_trip(one, secret, before, after):
    blob = one.to_bytes(secret)
    read, length = Identity.from_bytes(before + blob + after, len(before))
    assert read == one and length == len(blob)
    assert read.private == (one.private if secret else None)
    assert accepts(Identity.from_bytes, before + blob, len(before), len(before + blob) - 1) is None


@repeatable
@given(identities)
def test_identity_text_round_trip(one):
    read = accepts(Identity.from_text, one.to_text(secret=True).upper() + "\n")
    assert (read is None) == identity.is_reserved(one.address)
    if read is not None:
        assert read == one and read.private == one.private


@repeatable
@given(damaged(st.builds(Identity.to_bytes, identities, st.booleans())))
def test_any_bytes_as_identity(blob):
    read = accepts(Identity.from_bytes, blob)
    if read is not None:
        one, length = read
        assert one.to_bytes(secret=True) == blob[:length]


@repeatable
@given(st.text(max_size=400) | damaged(
    st.builds(lambda one: one.to_text(True).encode(), identities)).map(
        lambda blob: blob.decode("latin-1")))
def test_any_text_as_identity(text):
    read = accepts(Identity.from_text, text)
    if read is not None:
        assert read.to_text(secret=True) == text.strip().lower()


@repeatable
@given(endpoints)
def test_endpoint_round_trips(endpoint):
    assert inet.parse(inet.text(endpoint)) == endpoint
    wire = inet.encode(endpoint)
    assert inet.decode(b"??" + wire + b"?", 2, 2 + len(wire)) == (endpoint, len(wire))


@repeatable
@given(ips)
def test_ip_text_means_what_the_standard_library_means(ip):
    assert ipaddress.ip_address(inet.ip_text(ip)).packed == ip
    assert inet.ip_parse(str(ipaddress.ip_address(ip))) == ip
    assert inet.ip_parse(ipaddress.ip_address(ip).exploded) == ip
    assert inet.NONE <= inet.scope(ip) <= inet.PRIVATE


@repeatable
@given(st.text(alphabet="0123456789abcdefg:./[]%+-_ \u0663", max_size=45))
def test_any_text_as_ip(text):
    read = accepts(inet.ip_parse, text)
    try:
        expected = ipaddress.ip_address(text).packed
    except ValueError:
        expected = None
    if "%" not in text:     # the standard library takes zones
        assert read == expected
    accepts(inet.parse, text)


@repeatable
@given(st.text(max_size=50))
def test_any_text_as_endpoint(text):
    read = accepts(inet.parse, text)
    if read is not None:
        assert inet.parse(inet.text(read)) == read


@repeatable
@given(damaged(st.builds(inet.encode, st.none() | endpoints)) | st.binary(max_size=40))
def test_any_bytes_as_endpoint(blob):
    read = accepts(inet.decode, blob, 0, len(blob))
    if read is not None:
        endpoint, length = read
        assert 0 < length <= len(blob)
        if endpoint is not None:
            assert inet.encode(endpoint) == blob[:length]


def make(type, id, timestamp, listed, private):
    return World.make(type, id, timestamp, listed, private)


worlds = st.builds(make, st.sampled_from([world.PLANET, world.MOON]),
                   st.binary(min_size=8, max_size=8).filter(any), st.integers(0, 2**64 - 1),
                   roots, keys)


@repeatable
@given(worlds)
def test_world_round_trip(made):
    blob = made.to_bytes()
    read, length = World.from_bytes(blob)
    assert length == len(blob) and read.to_bytes() == blob
    assert read.timestamp == made.timestamp and read.verify(made.update_key)
    assert read.roots == [(root, [e for e in listed if e is not None])
                          for root, listed in made.roots]


@repeatable
@given(damaged(st.builds(World.to_bytes, worlds)))
def test_any_bytes_as_world(blob):
    read = accepts(World.from_bytes, blob)
    if read is not None:
        found, length = read
        assert length <= len(blob) and len(found.roots) <= world.MAX_ROOTS
        assert World.from_bytes(found.to_bytes())[0].roots == found.roots


@repeatable
@given(st.integers(0, 3), st.integers(0, 3), st.booleans(), st.booleans())
def test_of_two_worlds_at_most_one_replaces_the_other(older, newer, other_id, other_key):
    a = World.make(world.PLANET, b"12345678", older, [], bytes(64))
    b = World.make(world.PLANET, b"87654321" if other_id else b"12345678", newer, [],
                   b"\1" * 64 if other_key else bytes(64))
    assert b.replaces(a) == (newer > older and not other_id and not other_key)
    assert not (a.replaces(b) and b.replaces(a))
    assert a.replaces(None) and not a.replaces(a)
