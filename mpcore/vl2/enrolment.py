"""Getting a network's config from its controller, and keeping it fresh (spec/vl2-config.md)."""

from micropython import const

from mpcore import on_demand
from mpcore.crypto.slices import finish
from mpcore.vl1 import packet
from mpcore.vl1.peer import NEVER

_CHECK_MS = const(5000)
_REFRESH_MS = const(60000)
_SPARSE_MS = const(1200000)      # the same at low bandwidth; at most 2/3 of a credential's life
_PATIENCE_MS = const(60000)      # at low bandwidth who got no config asks so long as others do ...
_SPARSE_ASK_MS = const(60000)    # ... and then at this pace
_PAUSE_MS = const(1000)          # the controller ignores requests that come faster
_STORE_MS = const(900000)        # between writes of the cache that only bring it up to date

_STATUS = {packet.E_OBJ_NOT_FOUND: "NOT_FOUND",
           packet.E_UNSUPPORTED_OPERATION: "NOT_FOUND",
           packet.E_NETWORK_ACCESS_DENIED: "ACCESS_DENIED",
           packet.E_NETWORK_AUTHENTICATION_REQUIRED: "AUTHENTICATION_REQUIRED"}
_LOGIN_URLS = (b"aU", b"iU")

_TO_ASK = ("mpcore.vl2.exchange",)      # what is loaded before a request is sent


class Enrolment:
    """One network's standing with its controller.

    network: the Network, whose `configure` and `set_status` are called. says: what a request says
    of us, as arguments of exchange.metadata. load(name), store(name, data): where the config is
    cached. ask: called as ask(now, network) instead of sending a request when we are the
    controller ourselves. low_bandwidth: refresh seldom; a change that the controller cannot push
    is then learned late.
    """

    def __init__(self, vl1, network, says, load, store, ask, low_bandwidth=False):
        self._vl1 = vl1
        self._network = network
        self._says = says
        self._load = load
        self._store = store
        self._ask = ask
        self._low_bandwidth = low_bandwidth
        self._patient_until_ms = None
        self._updates = []      # of exchange.Assembly
        self._check_ms = self._requested_ms = self._accepted_ms = self._stored_ms = NEVER
        self._stored_revision = None

    @property
    def _name(self):
        return "networks.d/%s.conf" % self._network.id.hex()

    def start(self, now):
        """Begin with the cached config, if there is one, and ask for a fresh one at once."""
        text = self._load(self._name)
        if text:
            try:
                self._network.configure(now, self._read(text))
            except ValueError:
                self._vl1.count("cached_config_refused")
        self.poll(now)

    def poll(self, now):
        """Request a config when it is due; returns the ms at which to call again."""
        if now >= self._check_ms:
            self._check_ms = now + _CHECK_MS
            if self._due(now):
                self.request(now)
        return self._check_ms

    def _due(self, now):
        config = self._network.config
        refresh_ms = _REFRESH_MS
        if self._low_bandwidth:
            if self._patient_until_ms is None:
                self._patient_until_ms = now + _PATIENCE_MS
            if now >= self._patient_until_ms and now - self._requested_ms < _SPARSE_ASK_MS:
                return False
            if config is not None:
                longest_ms = config.credential_max_delta * 2 // 3
                refresh_ms = max(_REFRESH_MS, min(_SPARSE_MS, longest_ms))
        return config is None or now - self._accepted_ms >= refresh_ms

    def request(self, now):
        """Ask for a config, unless that was done just now."""
        if now - self._requested_ms < _PAUSE_MS:
            return
        self._requested_ms = now
        network = self._network
        if network.controller == self._vl1.address:
            return self._ask(now, network)
        self._vl1.work.start(now, _TO_ASK, on_demand.load(*_TO_ASK), self._send_request)

    def _send_request(self, now, _):
        from mpcore.vl2 import exchange

        network = self._network
        held = network.config
        payload = exchange.build_request(network.id, exchange.metadata(*self._says),
                                         held.revision if held else 0,
                                         held.timestamp if held else 0)
        self._vl1.send(now, network.controller, packet.NETWORK_CONFIG_REQUEST, payload, True)

    def controller(self):
        """The Identity of the controller, or None while it is not known."""
        address = self._network.controller
        if address == self._vl1.address:
            return self._vl1.identity
        peer = self._vl1.peers.get(address)
        return None if peer is None else peer.identity

    def expects(self, now, peer, chunk):
        """Whether a chunk from a peer is new and worth checking; the controller's identity is
        known. Raises ValueError.
        """
        try:
            return self._assembly().expects(chunk, peer.address, self.controller())
        except ValueError as error:
            self._refused(now, peer, error)
            raise

    def on_chunk(self, now, peer, chunk, good):
        """A chunk that was expected has been checked; good: it is the controller's.

        Returns whether the chunk was new, and the text when this completed a config, for
        reading() and take(). Raises ValueError.
        """
        try:
            assembly = self._assembly()
            if not assembly.insert(chunk, good):
                return False, None
            return True, assembly.take(chunk.update_id)
        except ValueError as error:
            self._refused(now, peer, error)
            raise

    def reading(self, text):
        """In slices (crypto/slices.py): the NetworkConfig of a text, or the ValueError that says
        why there is none."""
        from mpcore.vl2 import config_text

        try:
            config = yield from config_text.reading(text)
            if (config.network_id != self._network.id
                    or config.issued_to != self._vl1.address):
                raise ValueError("config of another network or member")
            return config
        except ValueError as error:
            return error

    def take(self, now, peer, text, config, solicited):
        """A peer has brought the whole text of a config; config: what reading() makes of it.
        solicited: in the OK to our own request. Returns as accept(). Raises ValueError."""
        if isinstance(config, ValueError):
            self._refused(now, peer, config)
            raise config
        return self._apply(now, text, config, solicited)

    def _assembly(self):
        from mpcore.vl2 import exchange

        return exchange.Assembly(updates=self._updates)

    def _refused(self, now, peer, error):
        if peer.address == self._network.controller:
            self._network.set_status(now, self._network.status, "config refused: %s" % error)

    def accept(self, now, text, solicited=True):
        """Apply the text of a config that the controller vouches for. Raises ValueError.

        An older one than ours is taken only as the answer to our request: whoever kept it might
        send it again. Returns the config, or None when it was too old.
        """
        return self._apply(now, text, self._read(text), solicited)

    def _apply(self, now, text, config, solicited):
        network = self._network
        held = network.config
        if not solicited and held is not None and config.timestamp < held.timestamp:
            self._vl1.count("config_outdated")
            return None
        self._accepted_ms = now
        # A refresh only moves timestamps: flash is not worn for that.
        if config.revision != self._stored_revision or now - self._stored_ms >= _STORE_MS:
            self._stored_revision, self._stored_ms = config.revision, now
            self._store(self._name, text)
        network.configure(now, config)
        return config

    def on_error(self, now, code, details):
        """The controller refuses. What we have stays in use (section 7)."""
        status = _STATUS.get(code)
        if status is not None:
            url = b"".join([details[key] for key in _LOGIN_URLS if key in details][:1])
            reason = url.decode() if all([32 < byte < 127 for byte in url]) else ""
            self._network.set_status(now, status, reason)

    def _read(self, text):
        config = finish(self.reading(text))
        if isinstance(config, ValueError):
            raise config
        return config
