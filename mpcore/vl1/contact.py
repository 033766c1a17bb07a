"""Keeping in touch: learning paths, keepalives, HELLOs, NAT traversal
(spec/peers-and-paths.md 4, 7, 9, 10; spec/verbs.md 7, 9).

ECHO keeps a path and a NAT's binding as well as HELLO at a third of the bytes, so HELLO, which
also measures, brings worlds and tells us our address, is seldom. Whoever answered need not ask.
"""

from micropython import const

from mpcore import limits, on_demand
from mpcore.vl1 import inet, packet
from mpcore.vl1.gate import Gate
from mpcore.vl1.peer import NEVER

_CHECK_MS = const(5000)
_EAGER_MS = const(1000)          # between HELLOs to roots while none has answered yet ...
_EAGER_FOR_MS = const(10000)     # ... for so long
_HEARTBEAT_MS = const(14000)
_SPARSE_MS = const(24000)        # the same at low bandwidth: some NATs forget after 30 s
_HELLO_MS = const(224000)        # as real nodes greet roots that they have a path to
_WANTED_MS = const(28000)
_ASK_MS = const(500)             # what has no answer for so long is asked about at the next check
_PATIENCE_MS = const(30000)      # with who does not answer; then HELLOs come as heartbeats do
_STALE_MS = const(30000)         # at low bandwidth: unheard for so long, a NAT may have shut it
_HOUSEKEEPING_MS = const(30000)
_CONFIRM_MS = const(1000)
_PROBES = const(4)               # tries to get an answer from an address, _CONFIRM_MS apart
_ECHO_MS = const(166)
_PUSH_RELAYED_MS = const(15000)
_PUSH_DIRECT_MS = const(120000)
_PUSH_SPARSE_MS = const(1920000)
_PUSH_BURST_MS = const(30000)    # without PUSH_DIRECT_PATHS from a peer for so long ...
_PUSH_BURST = const(8)           # ... so many are heard again
_ECHO_VERSION = const(5)

# Verbs by which a peer counts as active. A member's request is none: it keeps up the path itself.
_ACTIVE = (packet.FRAME, packet.EXT_FRAME, packet.NETWORK_CONFIG, packet.MULTICAST_FRAME)


class Contact:
    """Decides whom to greet, probe and tell about our addresses, and when.

    low_bandwidth, set by our owner: only roots get keepalives, and those as seldom as NATs permit.
    Others' paths are given up when they may have gone stale: the next packet takes the relay,
    whose introduction opens a path anew.
    """

    def __init__(self, vl1):
        self._vl1 = vl1
        self._wanted = set()
        self._started_ms = None
        self._check_ms = self._housekeeping_ms = self.due_ms = NEVER
        self._confirmed = Gate(_CONFIRM_MS - 1, limits.PEERS)
        self._pushed = {}           # address -> (PUSH_DIRECT_PATHS in this burst, when the last)
        self._probed = {}           # endpoint -> [peer, tries left, when to try again]
        self.echo_gate = Gate(_ECHO_MS, limits.PEERS)
        self.local_endpoints = list     # called for those of our sockets; set by our owner
        self.inside_network = lambda ip: False  # of those joined; set by our owner likewise
        self.low_bandwidth = False
        self.surface = {}           # root address -> (endpoint it sees us at, when it said so)
        told = self._told           # one and the same object, which takes heap
        vl1.on(packet.RENDEZVOUS, told)
        vl1.on(packet.PUSH_DIRECT_PATHS, told)
        vl1.on_error(packet.HELLO, self._on_hello_error)

    def want(self, address, wanted):
        if wanted:
            self._wanted.add(address)
        else:
            self._wanted.discard(address)

    def check_soon(self):
        """There is somebody new to keep in touch with."""
        self._check_ms = self.due_ms = NEVER

    def met(self, address):
        """This address has come to be known."""
        if address in self._wanted:
            self.check_soon()

    def keeps(self, peer):
        """Peers that are never forgotten."""
        return peer.address in self._wanted or self._vl1.is_upstream(peer.address)

    def acceptable(self, peer, endpoint):
        """Whether this may become a path of this peer (spec/peers-and-paths.md 3)."""
        ip = endpoint[:-2]
        if peer.stable and all(ip != known[:-2] for known in peer.stable):
            return False
        return self.usable(ip)

    def usable(self, ip):
        """Whether a path may lead to this IP address."""
        if self.inside_network(ip):
            return False        # a packet would travel in itself
        if self._vl1.loopback and inet.scope(ip) == inet.LOOPBACK:
            return True
        return inet.usable_for_path(ip)

    # --- after every authentic packet ------------------------------------------------------

    def received(self, now, peer, received):
        """Bookkeeping that may learn or confirm the path a packet came on."""
        peer.last_receive_ms = now
        if received.verb in _ACTIVE:
            peer.last_active_ms = now
        if received.hops == 0:
            path = peer.path_to(received.endpoint)
            if path is not None:
                path.heard(now)
                if received.verb == packet.ECHO or received.verb == packet.HELLO:
                    path.last_send_ms = now     # our answer
            elif self.acceptable(peer, received.endpoint):
                if received.verb == packet.OK:
                    # The only thing that teaches a path: a direct answer to what we sent there.
                    self.learn(now, peer, received.endpoint)
                elif (received.verb == packet.HELLO
                      or self._worth_a_path(now, peer)
                      and not peer.has_live_sibling(now, received.endpoint)):
                    self.confirm(now, peer, received.endpoint)
        else:
            for path in peer.paths:
                path.doubted(now)
        pause_ms = (_PUSH_RELAYED_MS if received.hops else
                    _PUSH_SPARSE_MS if self.low_bandwidth else _PUSH_DIRECT_MS)
        if now - peer.last_push_ms >= pause_ms and peer.trusted(now):
            peer.last_push_ms = now
            self._vl1.work.in_turns(now, self._push(now, peer, received.endpoint))

    def _push(self, now, peer, endpoint):
        """Tell a peer our addresses, the way its packet came."""
        from mpcore.vl1 import traversal

        yield
        if not traversal.push(self._vl1, now, peer, endpoint):
            peer.last_push_ms = NEVER       # as soon as there are some

    def _worth_a_path(self, now, peer):
        """Whether a packet that came straight is a reason to go straight, too."""
        return (not self.low_bandwidth or peer.active(now)
                or self._vl1.is_upstream(peer.address))

    def learn(self, now, peer, endpoint):
        """The peer answered from this endpoint. Returns the new Path."""
        self._probed.pop(endpoint, None)
        self._vl1.unsettled = True
        return peer.learn(now, endpoint)

    def confirm(self, now, peer, endpoint):
        """HELLO to an unconfirmed address at the next poll; its OK will teach the path."""
        self._try(peer, endpoint, _PROBES, now)

    def seek(self, now, peer, endpoint):
        """Look for the peer at an address we were told of."""
        self._try(peer, endpoint, _PROBES - 1, now + _CONFIRM_MS)
        self.probe(now, peer, endpoint)

    def expect(self, peer, endpoint):
        """The peer was at this address before we were started: ask there at the first poll."""
        self._try(peer, endpoint, _PROBES - 1, NEVER)

    def _try(self, peer, endpoint, tries, at_ms):
        # One lost datagram must not cost the direct path.
        if endpoint not in self._probed and len(self._probed) < limits.PROBED_ENDPOINTS:
            self._probed[endpoint] = [peer, tries, at_ms]
            self.due_ms = min(self.due_ms, at_ms)

    def _retry(self, now):
        for endpoint in [e for e in self._probed if self._probed[e][2] <= now]:
            probed = self._probed[endpoint]
            peer, tries, _ = probed
            if not tries or peer.path_to(endpoint) is not None:
                del self._probed[endpoint]
            else:
                probed[1:] = [tries - 1, now + _CONFIRM_MS]
                if self._confirmed.allow(now, endpoint):
                    self.hello(now, peer, endpoint)
        return min([probed[2] for probed in self._probed.values()] + [now + _CHECK_MS])

    def probe(self, now, peer, endpoint):
        """Ask whether the peer is there: ECHO, or HELLO while its version is unknown."""
        if peer.version >= _ECHO_VERSION:
            self._vl1.send_to(now, peer, endpoint, packet.ECHO, b"")
        else:
            self.hello(now, peer, endpoint)

    def probe_silent(self, now, peer, path):
        """A path we use does not answer: find out before it counts as silent."""
        if self._confirmed.allow(now, path.endpoint):
            self.probe(now, peer, path.endpoint)

    def hello(self, now, peer, endpoint=None):
        """Send HELLO to an endpoint, or by the way any packet would take, if there is one."""
        if endpoint is None:
            way = self._vl1.route(now, peer)
            if way is None:
                return
            path = way[1]
        else:
            path = peer.path_to(endpoint)
            if path is not None:
                path.last_hello_ms = now
        peer.last_hello_ms = now
        self._vl1.greeting.send_hello(now, peer, endpoint or path.endpoint, path)

    def moved(self, now):
        """Our own address may be another: greet roots, and peers on the paths that they have, so
        that these see where we are now."""
        for peer in list(self._vl1.peers.values()):
            known = [path.endpoint for path in peer.paths]
            for endpoint in known or (peer.stable if self._vl1.is_upstream(peer.address) else ()):
                self.hello(now, peer, endpoint)

    # --- in time ---------------------------------------------------------------------------

    def poll(self, now):
        """Keepalives and housekeeping, due at `due_ms`; returns the ms of the next."""
        if self._started_ms is None:
            self._started_ms = now
            for peer in self._vl1.peers.values():
                peer.since_ms = now     # those of whom storage told
        if now >= self._check_ms:
            if not self._vl1.work.jobs:
                on_demand.release()
            self._vl1.work.in_turns(now, self._check(now))
            eager = (now - self._started_ms < _EAGER_FOR_MS and self._vl1.upstreams.peers
                     and self._vl1.best_root(now) is None)
            self._check_ms = now + (_EAGER_MS if eager else _CHECK_MS)
        if now - self._housekeeping_ms >= _HOUSEKEEPING_MS:
            self._housekeeping_ms = now
            self._pushed = {address: pushed for address, pushed in self._pushed.items()
                            if now - pushed[1] <= _PUSH_BURST_MS}
            self._vl1.keep_house(now)
        self.due_ms = min(self._check_ms, self._housekeeping_ms + _HOUSEKEEPING_MS,
                           self._retry(now))
        return self.due_ms

    def _check(self, now):
        """What is due to each peer, in turns: several HELLOs at once would take a board long."""
        vl1 = self._vl1
        for address in self._wanted:
            if address not in vl1.peers and address != vl1.address:
                vl1.lookup.whois(now, address)
        for peer in list(vl1.peers.values()):
            wanted = peer.address in self._wanted
            if vl1.peers.get(peer.address) is not peer:
                continue        # forgotten meanwhile
            if vl1.is_upstream(peer.address):
                yield from self._keep_root(now, peer)
            elif wanted and vl1.upstreams.asks(peer.address):
                self.hello(now, peer)
            elif self.low_bandwidth:
                self._give_up_stale(now, peer)
            elif wanted or peer.active(now):
                if wanted and not peer.direct(now) and now - peer.last_hello_ms >= _WANTED_MS:
                    self.hello(now, peer)
                yield from self._keepalive(now, peer, _HEARTBEAT_MS)

    def _keep_root(self, now, peer):
        heartbeat_ms = _SPARSE_MS if self.low_bandwidth else _HEARTBEAT_MS
        path = peer.best_path(now)
        if path is None or path.silent(now):
            lost_ms = now - max(peer.last_receive_ms, self._started_ms)
            if (not self.low_bandwidth or lost_ms < _PATIENCE_MS
                    or now - peer.last_hello_ms >= heartbeat_ms):
                for endpoint in peer.stable:
                    self.hello(now, peer, endpoint)
                    yield
        yield from self._keepalive(now, peer, heartbeat_ms)

    def _keepalive(self, now, peer, heartbeat_ms):
        for path in peer.paths:
            greeted_ms = now - path.last_hello_ms
            if path.expired(now):
                peer.forget(path)
            elif path.silent(now):
                patient = path.unanswered_for(now) < _PATIENCE_MS
                if greeted_ms >= (_CHECK_MS if patient else heartbeat_ms):
                    self.hello(now, peer, path.endpoint)
                    yield
            elif greeted_ms >= _HELLO_MS:
                self.hello(now, peer, path.endpoint)
                yield
            elif (now - path.last_send_ms >= heartbeat_ms
                  or path.unanswered_for(now) >= _ASK_MS):
                self.probe(now, peer, path.endpoint)
                path.sent(now)
                yield

    def _give_up_stale(self, now, peer):
        root = self._vl1.best_root(now)
        for path in peer.paths if root is not None and root.direct(now) else ():
            if now - path.last_receive_ms >= _STALE_MS:
                peer.forget(path)

    # --- NAT traversal ---------------------------------------------------------------------

    def _told(self, now, peer, received):
        from mpcore.vl1 import traversal

        traversal.HANDLERS[received.verb](self._vl1, now, peer, received)

    def may_push(self, now, peer):
        """Whether a peer's PUSH_DIRECT_PATHS is to be heard, as it has not sent many just now."""
        count, last_ms = self._pushed.get(peer.address, (0, NEVER))
        count = count + 1 if now - last_ms <= _PUSH_BURST_MS else 1
        self._pushed[peer.address] = count, now
        return count <= _PUSH_BURST

    def reported(self, now, peer, endpoint):
        """A root says from where it sees us; see traversal.py."""
        if self._vl1.is_upstream(peer.address):
            known = self.surface.get(peer.address)
            if known is not None and known[0] == endpoint:
                self.surface[peer.address] = (endpoint, now)
            else:
                from mpcore.vl1 import traversal

                traversal.surfaced(self._vl1, now, peer, endpoint)

    def _on_hello_error(self, now, peer, received):
        if (received.error == packet.E_IDENTITY_COLLISION
                and self._vl1.is_upstream(peer.address)):
            self._vl1.collision = True
