"""Any bytes as a record of a peer: refused with ValueError at worst."""

from hypothesis import given, settings, strategies as st

from mpcore.vl1 import peer_cache
from mpcore.vl1.peer import Peer
from tests.core.scenes import identity

RECORD = peer_cache.encode(Peer(identity(1), 0))
ENDPOINTS = st.lists(st.one_of(st.binary(min_size=6, max_size=6),
                               st.binary(min_size=18, max_size=18)), max_size=4, unique=True)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.one_of(st.binary(max_size=200), st.binary(max_size=60).map(lambda tail: RECORD[:80] + tail)))
def test_any_bytes(data):
    try:
        peer_cache.decode(data)
    except ValueError:
        pass


@settings(max_examples=100, deadline=None, derandomize=True)
@given(ENDPOINTS, st.integers(0, 65535))
def test_round_trip(endpoints, version):
    peer = Peer(identity(1), 0)
    peer.version = version
    for endpoint in endpoints:
        peer.learn(0, endpoint)
    known = [path.endpoint for path in peer.paths]
    assert peer_cache.decode(peer_cache.encode(peer)) == (identity(1), version, known)
