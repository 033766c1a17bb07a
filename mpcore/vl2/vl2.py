"""VL2: the networks we joined, and which of them a packet is about (spec/vl2-*.md)."""

from micropython import const

from mpcore import VERSION, limits
from mpcore.vl1 import packet
from mpcore.vl1.peer import NEVER
from mpcore.vl2 import addressing, multicast
from mpcore.vl2.enrolment import Enrolment
from mpcore.vl2.network import Network

_HOLD_MS = const(5000)
_RETRY_MS = const(500)
_EXPIRE_MS = const(30000)


class VL2:
    """All networks of a node; registers its verbs at a VL1.

    load(name) -> bytes or None, store(name, data), remove(name): where configs are cached, under
    "networks.d/<network ID>.conf". system: what controllers may know of our platform, such as
    b"linux/x86_64". max_peers: as for VL1; it bounds what is kept of others here too.
    low_bandwidth: refresh and announce seldom.

    For roles: `groups` is the table of listeners. `like_authorities` lists predicates
    (now, network_id, peer) that let a node announce to us and ask us about a network which it does
    not share with us. `own_controller` is called as (now, network) when a network of which we are
    the controller wants its config; it answers by network.enrolment.accept(now, dictionary text)
    or network.enrolment.on_error(now, error code, {}).
    """

    def __init__(self, vl1, load, store, remove=None, system=b"", max_peers=limits.PEERS,
                 low_bandwidth=False):
        self._vl1 = vl1
        self._load = load
        self._store = store
        self._remove = remove
        self._system = system
        self._max_peers = max_peers
        self._low_bandwidth = low_bandwidth
        self._held = []              # (since_ms, address, packet): see _hold
        self._retry_ms = self._expire_ms = self.due_ms = NEVER
        self._contacts = set()       # addresses that VL1 was told to keep in contact with
        self.networks = {}           # ID -> Network
        self.groups = multicast.Groups(vl1.address, max_peers)
        self.like_authorities = []
        self.own_controller = None
        self._handlers = {packet.FRAME: self._on_frame,
                          packet.EXT_FRAME: self._on_ext_frame,
                          packet.MULTICAST_FRAME: self._on_multicast_frame,
                          packet.MULTICAST_LIKE: self._on_like,
                          packet.MULTICAST_GATHER: self._on_gather,
                          packet.NETWORK_CREDENTIALS: self._on_credentials,
                          packet.NETWORK_CONFIG: self._on_config}
        for verb in self._handlers:
            vl1.on(verb, self._handlers[verb])
        vl1.on_ok(packet.NETWORK_CONFIG_REQUEST, self._on_ok_config)
        vl1.on_ok(packet.MULTICAST_GATHER, self._on_ok_gather)
        vl1.on_ok(packet.MULTICAST_FRAME, self._on_ok_multicast_frame)
        vl1.on_error(packet.NETWORK_CONFIG_REQUEST, self._on_config_error)
        for verb in (packet.FRAME, packet.EXT_FRAME, packet.MULTICAST_FRAME):
            vl1.on_error(verb, self._on_frame_error)

    def join(self, now, network_id, join_credential=b""):
        """Join a network (ID of 8 bytes) and ask its controller for a config. Returns the Network.

        join_credential: such as b"token:secret", which may authorise us. Raises ValueError for
        an ID that is none.
        """
        if len(network_id) != 8:
            raise ValueError("a network ID has 8 bytes")
        network = self.networks.get(network_id)
        if network is None:
            network = Network(self._vl1, network_id, self.groups, self._max_peers,
                              lambda network: self._enrolment(network, join_credential),
                              self._low_bandwidth)
            self.networks[network_id] = network
            self.due_ms = NEVER
            network.checks.settled = self._checked
            self._update_contacts()
            network.enrolment.start(now)
        return network

    def leave(self, now, network_id):
        """Leave a network and forget its cached config."""
        network = self.networks.pop(network_id, None)
        if network is None:
            return
        self._vl1.talk_to(None)
        network.checks.close()
        self._update_contacts()
        if self._remove is not None:
            self._remove("networks.d/%s.conf" % network_id.hex())

    def poll(self, now):
        """Do what is due at `due_ms`; returns the ms at which to call again."""
        if now - self._expire_ms >= _EXPIRE_MS:
            self._expire_ms = now
            self.groups.expire(now)
            self._update_contacts()
        next_ms = self._expire_ms + _EXPIRE_MS
        for network in list(self.networks.values()):
            next_ms = min(next_ms, network.poll(now))
        if self._held:
            if now >= self._retry_ms:
                self._settle(now)
            next_ms = min(next_ms, self._retry_ms)
        self.due_ms = next_ms
        return next_ms

    def _enrolment(self, network, join_credential):
        if addressing.is_adhoc(network.id):
            from mpcore.vl2.adhoc import AdHoc  # costs memory only where it is used

            return AdHoc(self._vl1, network)
        from mpcore.vl2 import exchange

        metadata = exchange.metadata(VERSION, self._system, join_credential)
        return Enrolment(self._vl1, network, metadata, self._load, self._store,
                         self._ask_ourselves, self._low_bandwidth)

    def _ask_ourselves(self, now, network):
        if self.own_controller is not None:
            self.own_controller(now, network)

    def _update_contacts(self):
        """VL1 keeps in contact with those whom any of our networks needs."""
        contacts = set()
        for network in self.networks.values():
            contacts |= network.contacts()
        for address in self._contacts - contacts:
            self._vl1.want(address, False)
        for address in contacts - self._contacts:
            self._vl1.want(address, True)
        self._contacts = contacts

    def _network(self, received):
        """The network that a packet's content begins with the ID of, or None."""
        received.need(8)
        return self.networks.get(bytes(received.buf[received.at:received.at + 8]))

    # --- what waits ------------------------------------------------------------------------

    def _hold(self, now, peer, received):
        """Keep a packet until its sender's credentials, or its controller's identity, came.

        Anyone can cause this, so the newest gives way when there is no room.
        """
        same = sum([address == peer.address for _, address, _ in self._held])
        if (len(self._held) >= limits.HELD_FRAMES or same >= limits.HELD_FRAMES // 2
                or received.end - received.off > limits.WAITING_BYTES):
            return self._vl1.count("held_dropped")
        if not self._held:
            self._retry_ms = now + _RETRY_MS
            self.due_ms = min(self.due_ms, self._retry_ms)
        self._held.append((now, peer.address, received.keep()))

    def _settle(self, now):
        """Handle again what waited long enough."""
        self._retry_ms = now + _RETRY_MS
        held, self._held = self._held, []
        for item in held:
            since_ms, address, received = item
            peer = self._vl1.peers.get(address)
            if now - since_ms >= _HOLD_MS:
                self._vl1.count("held_dropped")
            elif peer is None or not self._ready(peer, received):
                self._held.append(item)
            else:
                try:
                    self._handlers[received.verb](now, peer, received)
                except ValueError:
                    self._vl1.count("malformed")

    def _ready(self, peer, received):
        if received.verb == packet.NETWORK_CREDENTIALS:
            from mpcore.vl2 import credentials

            return not self._unknown_controllers(credentials.unpack(
                received.buf, received.at, received.end))
        network = self._network(received)
        if network is None:
            return True
        if received.verb == packet.NETWORK_CONFIG:
            return network.enrolment.controller() is not None
        return network.membership.gate(peer) is not None

    # --- frames ----------------------------------------------------------------------------

    def _on_frame(self, now, peer, received):
        network = self._network(received)
        if network is not None:
            if network.receive_frame(now, peer, received):
                self._vl1.talk_to(network)
            else:
                self._hold(now, peer, received)

    def _on_ext_frame(self, now, peer, received):
        network = self._network(received)
        if network is not None and not network.receive_ext_frame(now, peer, received):
            self._hold(now, peer, received)

    def _on_multicast_frame(self, now, peer, received):
        network = self._network(received)
        if network is not None and not network.receive_multicast(now, peer, received):
            self._hold(now, peer, received)

    def _on_frame_error(self, now, peer, received):
        network = self._network(received)
        if network is None:
            return
        if received.error == packet.E_NEED_MEMBERSHIP_CERTIFICATE:
            network.asked_for_credentials(now, peer)
        elif received.error == packet.E_UNWANTED_MULTICAST:
            received.need(multicast.KEY)
            if network.membership.gate(peer) is not None:
                key = bytes(received.buf[received.at:received.at + multicast.KEY])
                self.groups.remove(key, peer.address)

    # --- listeners -------------------------------------------------------------------------

    def _may_ask(self, now, network_id, peer):
        """Whether a node may tell us and ask us about the listeners of a network."""
        network = self.networks.get(network_id)
        return (network is not None and network.membership.gate(peer) is not None
                or any([may(now, network_id, peer) for may in self.like_authorities]))

    def _learn(self, now, key, address, hearsay=False):
        if self.groups.add(now, key, address, hearsay):
            network = self.networks.get(key[:8])
            if network is not None:
                network.learned(now, key, address)

    def _on_like(self, now, peer, received):
        network = self._network(received)
        if network is not None and not self._may_ask(now, network.id, peer):
            # Real nodes answer the first frame by their list, which they repeat only after a
            # minute; their credentials come with their own first frame, after it.
            return self._hold(now, peer, received)
        network_id = allowed = None
        for key in multicast.parse_likes(received.buf, received.at, received.end):
            if key[:8] != network_id:
                network_id = key[:8]
                allowed = self._may_ask(now, network_id, peer)
            if allowed:
                self._learn(now, key, peer.address)

    def _on_gather(self, now, peer, received):
        key, limit, com = multicast.parse_gather(received.buf, received.at, received.end)
        network = self.networks.get(key[:8])
        if network is not None and com is not None:
            network.offer(now, (com,), peer.address)
        if not limit:
            return
        if not self._may_ask(now, key[:8], peer):
            if network is not None and network.checks.waiting(peer.address):
                self._hold(now, peer, received)
            return
        found = self.groups.gathered(now, key, peer.address, limit,
                                     network is not None and network.listens(key[8:]),
                                     self._vl1.entropy(1)[0])
        if found is not None:
            self._vl1.send_ok(now, peer, received, key + found)

    def _on_ok_gather(self, now, peer, received):
        key, addresses = multicast.parse_gathered(received.buf, received.at, received.end)
        self._gathered(now, peer, key, addresses)

    def _on_ok_multicast_frame(self, now, peer, received):
        key, addresses = multicast.parse_frame_answer(received.buf, received.at, received.end)
        self._gathered(now, peer, key, addresses)

    def _gathered(self, now, peer, key, addresses):
        """Believe only those whom we may have asked: they decide who gets our multicasts."""
        network = self.networks.get(key[:8])
        if network is not None and (
                network.keeps_listeners(peer) or peer.address in self.groups.members(now, key)):
            for address in addresses:
                self._learn(now, key, address, True)

    # --- credentials and configs -----------------------------------------------------------

    def _unknown_controllers(self, found):
        """Controllers of our networks that credentials wait for the identity of."""
        networks = [self.networks.get(credential.network_id) for credential in found]
        return [network.controller for network in networks
                if network is not None and network.controller is not None
                and network.enrolment.controller() is None]

    def _on_credentials(self, now, peer, received):
        from mpcore.vl2 import credentials

        found = credentials.unpack(received.buf, received.at, received.end)
        for address in self._unknown_controllers(found):
            self._vl1.lookup.whois(now, address)
            return self._hold(now, peer, received)
        for network in list(self.networks.values()):
            network.offer(now, [c for c in found if c.network_id == network.id], peer.address)

    def _checked(self, now):
        """Signatures have been checked: perhaps something waits for what they were on."""
        if self._held:
            self._settle(now)

    def _on_config(self, now, peer, received):
        network = self._network(received)
        if network is None or network.controller is None:
            return
        if network.enrolment.controller() is None:
            self._vl1.lookup.whois(now, network.controller)
            return self._hold(now, peer, received)
        network.receive_config(now, peer, received, False)
        if self._held:
            self._settle(now)

    def _on_ok_config(self, now, peer, received):
        network = self._network(received)
        if network is not None and peer.address == network.controller:
            network.receive_config(now, peer, received, True)
            if self._held:
                self._settle(now)

    def _on_config_error(self, now, peer, received):
        from mpcore.vl2 import exchange

        network_id, details = exchange.parse_error(received.buf, received.at, received.end)
        network = self.networks.get(network_id)
        if network is not None and peer.address == network.controller:
            network.enrolment.on_error(now, received.error, details)
