"""Peers and the physical paths to them (spec/peers-and-paths.md 1, 4, 5)."""

from micropython import const

from mpcore import limits
from mpcore.vl1 import inet

NEVER = const(-0x20000000)     # earlier than any interval reaches back
UNKNOWN_LATENCY_MS = const(65535)

_ALIVE_MS = const(19000)
_EXPIRATION_MS = const(243000)
_ACTIVE_MS = const(500000)
_TRUST_MS = const(600000)
_SILENT_MS = const(6000)       # unanswered for so long: prefer the relay until it answers again
_PROBE_MS = const(2000)        # unanswered for so long: ask whether it still works
_SIBLING_MS = const(5000)      # a port that was heard so lately keeps others of its host away


class Path:
    """One remote endpoint of a peer, confirmed by an OK to something we sent there."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.latency_ms = UNKNOWN_LATENCY_MS
        self.last_receive_ms = NEVER
        self.last_send_ms = NEVER
        self.last_hello_ms = NEVER
        self.unanswered_ms = None  # when we first sent without having heard since

    def heard(self, now):
        self.last_receive_ms = now
        self.unanswered_ms = None

    def sent(self, now):
        self.last_send_ms = now
        if self.unanswered_ms is None:
            self.unanswered_ms = now

    def doubted(self, now):
        """The peer has used the relay: so shall we, if this path is as quiet as it is for them."""
        if self.unanswered_for(now) < _SILENT_MS <= now - self.last_receive_ms:
            self.unanswered_ms = now - _SILENT_MS

    def measured(self, latency_ms):
        """One round trip was timed; the latency is a running mean."""
        known = self.latency_ms
        self.latency_ms = latency_ms if known == UNKNOWN_LATENCY_MS else (known + latency_ms) // 2

    def alive(self, now):
        return now - self.last_receive_ms < _ALIVE_MS

    def expired(self, now):
        return now - self.last_receive_ms >= _EXPIRATION_MS

    def unanswered_for(self, now):
        return 0 if self.unanswered_ms is None else now - self.unanswered_ms

    def silent(self, now):
        """We keep sending and nothing comes back: the relay is the better way for now."""
        return self.unanswered_for(now) >= _SILENT_MS

    def wants_probe(self, now):
        return self.unanswered_for(now) >= _PROBE_MS

    def quality(self, now):
        """Lower is better."""
        latency_ms = self.latency_ms
        if not self.alive(now):
            latency_ms += UNKNOWN_LATENCY_MS + min(now - self.last_receive_ms, 140000)
        return latency_ms * (8 - inet.scope(self.endpoint[:-2]))


class Peer:
    """Another node whose identity is known. Each attribute costs a board 8 bytes a peer."""

    stable = ()                     # endpoints a world lists for this root
    _several = ()                   # the paths, where there are more than one

    def __init__(self, identity, now):
        self.identity = identity
        self.address = identity.address
        self.cipher = None          # crypto.PacketCipher, made when first needed
        self.sole = None            # the path, while there is but one
        self.version = 0            # VL1 protocol version, 0 = not known yet
        self.since_ms = now
        self.last_receive_ms = NEVER
        self.last_active_ms = NEVER  # frames and configs, not keepalives
        self.last_hello_ms = NEVER
        self.last_push_ms = NEVER    # PUSH_DIRECT_PATHS sent
        self.trusted_ms = NEVER

    @property
    def paths(self):
        """Those that are known, as a tuple."""
        return self._several if self.sole is None else (self.sole,)

    def path_to(self, endpoint):
        """The path with this endpoint or None."""
        sole = self.sole
        if sole is not None:
            return sole if sole.endpoint == endpoint else None
        for path in self._several:
            if path.endpoint == endpoint:
                return path
        return None

    def best_path(self, now):
        """The usable path of best quality or None; those that do not answer come last."""
        if self.sole is not None:
            return None if self.sole.expired(now) else self.sole
        best = best_key = None
        for path in self._several:
            if not path.expired(now):
                key = (path.silent(now), path.wants_probe(now), path.quality(now))
                if best is None or key <= best_key:
                    best, best_key = path, key
        return best

    def direct(self, now):
        """Whether packets to this peer go straight to it."""
        path = self.best_path(now)
        return path is not None and not path.silent(now)

    def learn(self, now, endpoint):
        """Add a confirmed path; a silent one of the same host, or else the longest silent, yields."""
        path = Path(endpoint)
        path.heard(now)
        paths = self.paths
        for old in paths:
            if old.endpoint[:-2] == endpoint[:-2] and now - old.last_receive_ms >= _SIBLING_MS:
                break
        else:
            old = (min(paths, key=lambda p: p.last_receive_ms)
                   if len(paths) >= limits.PATHS_PER_PEER else None)
        self._set(old, (path,))
        return path

    def forget(self, path):
        """One path less."""
        self._set(path, ())

    def _set(self, gone, new):
        paths = tuple([path for path in self.paths if path is not gone]) + new
        self.sole = paths[0] if len(paths) == 1 else None
        if len(paths) > 1 or self._several:
            self._several = () if self.sole is not None else paths

    def has_live_sibling(self, now, endpoint):
        """Whether another port of the same host is in use.

        A node with several sockets sends from each; one path to it is enough. One that restarted
        with another port is silent on the old one, and soon found on the new one.
        """
        for path in self.paths:
            if (path.endpoint[:-2] == endpoint[:-2]
                    and now - path.last_receive_ms < _SIBLING_MS):
                return True
        return False

    def active(self, now):
        return now - self.last_active_ms < _ACTIVE_MS

    def forgettable(self, now):
        return now - max(self.last_receive_ms, self.since_ms) >= _ACTIVE_MS

    def trusted(self, now):
        return now - self.trusted_ms < _TRUST_MS

    def latency_ms(self, now):
        path = self.best_path(now)
        return UNKNOWN_LATENCY_MS if path is None else path.latency_ms
