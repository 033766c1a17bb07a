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
        self.vl1 = vl1
        self._load = load
        self._store = store
        self._remove = remove
        self._system = system
        self._max_peers = max_peers
        self._low_bandwidth = low_bandwidth
        self.held = ()              # (since_ms, address, packet): see _hold
        self._retry_ms = self._expire_ms = self.due_ms = NEVER
        self._contacts = set()       # addresses that VL1 was told to keep in contact with
        self.networks = {}           # ID -> Network
        self.groups = multicast.Groups(vl1.address, max_peers)
        self.like_authorities = []
        self.own_controller = None
        handlers = self._handlers()
        for verb in handlers:
            vl1.on(verb, handlers[verb])
        letter = handlers[packet.MULTICAST_LIKE]
        vl1.on_ok(packet.NETWORK_CONFIG_REQUEST, letter)
        vl1.on_ok(packet.MULTICAST_GATHER, self._on_ok_gather)
        vl1.on_ok(packet.MULTICAST_FRAME, self._on_ok_multicast_frame)
        vl1.on_error(packet.NETWORK_CONFIG_REQUEST, letter)
        for verb in (packet.FRAME, packet.EXT_FRAME, packet.MULTICAST_FRAME):
            vl1.on_error(verb, letter)

    def _handlers(self):
        letter = self._on_letter        # one and the same object, which takes heap
        return {packet.FRAME: self._on_frame,
                packet.EXT_FRAME: self._on_ext_frame,
                packet.MULTICAST_FRAME: self._on_multicast_frame,
                packet.MULTICAST_LIKE: letter,
                packet.MULTICAST_GATHER: letter,
                packet.NETWORK_CREDENTIALS: letter,
                packet.NETWORK_CONFIG: letter}

    def join(self, now, network_id, join_credential=b""):
        """Join a network (ID of 8 bytes) and ask its controller for a config. Returns the Network.

        join_credential: such as b"token:secret", which may authorise us. Raises ValueError for
        an ID that is none.
        """
        if len(network_id) != 8:
            raise ValueError("a network ID has 8 bytes")
        network = self.networks.get(network_id)
        if network is None:
            network = Network(self.vl1, network_id, self.groups, self._max_peers,
                              lambda network: self._enrolment(network, join_credential),
                              self._low_bandwidth)
            self.networks[network_id] = network
            self.due_ms = NEVER
            network.checks.settled = self.checked
            self._update_contacts()
            network.enrolment.start(now)
        return network

    def leave(self, now, network_id):
        """Leave a network and forget its cached config."""
        network = self.networks.pop(network_id, None)
        if network is None:
            return
        self.vl1.talk_to(None)
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
        if self.held:
            if now >= self._retry_ms:
                self.settle(now)
            next_ms = min(next_ms, self._retry_ms)
        self.due_ms = next_ms
        return next_ms

    def _enrolment(self, network, join_credential):
        if addressing.is_adhoc(network.id):
            from mpcore.vl2.adhoc import AdHoc  # costs memory only where it is used

            return AdHoc(self.vl1, network)
        return Enrolment(self.vl1, network, (VERSION, self._system, join_credential), self._load,
                         self._store, self._ask_ourselves, self._low_bandwidth)

    def _ask_ourselves(self, now, network):
        if self.own_controller is not None:
            self.own_controller(now, network)

    def _update_contacts(self):
        """VL1 keeps in contact with those whom any of our networks needs."""
        contacts = set()
        for network in self.networks.values():
            contacts |= network.contacts()
        for address in self._contacts - contacts:
            self.vl1.want(address, False)
        for address in contacts - self._contacts:
            self.vl1.want(address, True)
        self._contacts = contacts

    def network_of(self, received):
        """The network that a packet's content begins with the ID of, or None."""
        received.need(8)
        return self.networks.get(bytes(received.buf[received.at:received.at + 8]))

    # --- what waits ------------------------------------------------------------------------

    def hold(self, now, peer, received):
        """Keep a packet until its sender's credentials, or its controller's identity, came.

        Anyone can cause this, so the newest gives way when there is no room.
        """
        same = sum([address == peer.address for _, address, _ in self.held])
        if (len(self.held) >= limits.HELD_FRAMES or same >= limits.HELD_FRAMES // 2
                or received.end - received.off > limits.WAITING_BYTES):
            return self.vl1.count("held_dropped")
        if not self.held:
            self._retry_ms = now + _RETRY_MS
            self.due_ms = min(self.due_ms, self._retry_ms)
        self.held += ((now, peer.address, received.keep()),)

    def settle(self, now):
        """Handle again what waited long enough."""
        from mpcore.vl2 import correspondence

        self._retry_ms = now + _RETRY_MS
        held, self.held = self.held, ()
        handlers = self._handlers()
        for item in held:
            since_ms, address, received = item
            peer = self.vl1.peers.get(address)
            if now - since_ms >= _HOLD_MS:
                self.vl1.count("held_dropped")
            elif peer is None or not correspondence.ready(self, peer, received):
                self.held += (item,)
            else:
                try:
                    handlers[received.verb](now, peer, received)
                except ValueError:
                    self.vl1.count("malformed")

    def checked(self, now):
        """Signatures have been checked: perhaps something waits for what they were on."""
        if self.held:
            self.settle(now)

    def _on_letter(self, now, peer, received):
        """What comes seldom; see correspondence.py."""
        from mpcore.vl2 import correspondence

        return correspondence.read(self, now, peer, received)

    # --- frames ----------------------------------------------------------------------------

    def _on_frame(self, now, peer, received):
        network = self.network_of(received)
        if network is not None:
            if network.receive_frame(now, peer, received):
                self.vl1.talk_to(network)
            else:
                self.hold(now, peer, received)

    def _on_ext_frame(self, now, peer, received):
        network = self.network_of(received)
        if network is not None and not network.receive_ext_frame(now, peer, received):
            self.hold(now, peer, received)

    def _on_multicast_frame(self, now, peer, received):
        network = self.network_of(received)
        if network is not None and not network.receive_multicast(now, peer, received):
            self.hold(now, peer, received)

    # --- listeners -------------------------------------------------------------------------

    def may_ask(self, now, network_id, peer):
        """Whether a node may tell us and ask us about the listeners of a network."""
        network = self.networks.get(network_id)
        return (network is not None and network.membership.gate(peer) is not None
                or any([may(now, network_id, peer) for may in self.like_authorities]))

    def learn(self, now, key, address, hearsay=False):
        if self.groups.add(now, key, address, hearsay):
            network = self.networks.get(key[:8])
            if network is not None:
                network.learned(now, key, address)

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
                self.learn(now, key, address, True)
