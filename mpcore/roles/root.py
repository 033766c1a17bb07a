"""The root role: relay between peers and introduce them (spec/packet.md 7;
spec/peers-and-paths.md 7, 15)."""

from micropython import const

from mpcore import limits
from mpcore.vl1 import fragment, inet, packet, traversal
from mpcore.vl1.gate import Gate

_MAX_HOPS = const(3)
_INTRODUCE_MS = const(30000)
_FRAGMENT_HOPS = const(15)


class Root:
    """Makes a node relay for anyone, and keep lists of listeners for anyone.

    Answering HELLO, WHOIS and ECHO is every node's business. vl1, vl2: of a node whose identity
    the planet names as a root; without vl2 it keeps no lists.
    """

    def __init__(self, vl1, vl2=None):
        self._vl1 = vl1
        self._introduced = Gate(_INTRODUCE_MS, limits.INTRODUCTIONS)
        vl1.relay = self._relay
        if vl2 is not None:
            vl2.like_authorities.append(lambda now, network_id, peer: True)

    def _relay(self, now, endpoint, buf, off, n):
        """Pass buf[off:off+n] on to its destination; the MAC is not ours to check."""
        vl1 = self._vl1
        is_fragment = fragment.is_fragment(buf, off)
        if not is_fragment and n < packet.HEADER:
            raise ValueError("packet too short")
        at = off + (_FRAGMENT_HOPS if is_fragment else packet.FLAGS)
        hops = buf[at] & packet.HOPS
        if hops >= _MAX_HOPS:
            return vl1.count("hop_limit")
        destination = bytes(buf[off + packet.DESTINATION:off + packet.SOURCE])
        path = self._path(now, destination)
        direct = path is not None
        if not direct:
            upstream = vl1.best_root(now)
            path = None if upstream is None else upstream.best_path(now)
        if path is None or path.endpoint == endpoint:
            return vl1.count("relay_no_path")
        buf[at] = buf[at] & ~packet.HOPS & 0xFF | hops + 1
        vl1.count("relayed")
        vl1.datagram(path.endpoint, buf, off, n)
        if direct and not is_fragment:
            self._introduce(now, bytes(buf[off + packet.SOURCE:off + packet.FLAGS]), destination)

    def _path(self, now, address):
        peer = self._vl1.peers.get(address)
        return None if peer is None else peer.best_path(now)

    def _introduce(self, now, source, destination):
        """Tell both ends each other's endpoint, once per pair in 30 s."""
        vl1 = self._vl1
        a, b = vl1.peers.get(source), vl1.peers.get(destination)
        if a is None or b is None:
            return
        pair = min(source, destination) + max(source, destination)
        ends = common_endpoints(now, a, b)
        if ends is None or not self._introduced.allow(now, pair):
            return
        vl1.send(now, a.address, packet.RENDEZVOUS,
                 traversal.rendezvous_payload(b.address, ends[1]))
        vl1.send(now, b.address, packet.RENDEZVOUS,
                 traversal.rendezvous_payload(a.address, ends[0]))


def common_endpoints(now, a, b):
    """Endpoints of two peers in the same scope and family, most local scope first; or None."""
    for scope in range(inet.PRIVATE, -1, -1):
        for size in (18, 6):
            ends = []
            for peer in (a, b):
                paths = [path for path in peer.paths if len(path.endpoint) == size
                         and inet.scope(path.endpoint[:-2]) == scope and not path.expired(now)]
                if paths:
                    ends.append(max(paths, key=lambda p: p.last_receive_ms).endpoint)
            if len(ends) == 2:
                return ends
    return None
