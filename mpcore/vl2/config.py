"""A network's configuration (spec/vl2-config.md 5); config_text.py reads and writes it."""

from micropython import const

# Flags of a config, section 5
BROADCAST = const(0x02)
NDP_EMULATION = const(0x04)
UNKNOWN_MATCHES = const(0x08)
PLAIN_MULTICAST = const(0x10)

# Roles of a specialist, section 5
ACTIVE_BRIDGE = const(0x02)
ANCHOR = const(0x04)
REPLICATOR = const(0x08)

ACCEPT_ALL = b"\x01\x00"      # the rule set that needs no evaluation: every frame passes

DEFAULT_MTU = const(2800)
MIN_MTU = const(1280)
MAX_MTU = const(10000)
VERSION = const(7)
MAX_CAPABILITIES = const(128)
MAX_TAGS = const(128)

_NOBODY = bytes(5)


class Certified:
    """Who may have a certificate of membership. It is kept as `com_raw`, its bytes, or none: to
    keep the object would keep all code of credentials."""

    com_raw = b""

    @property
    def com(self):
        """The COM, or None."""
        from mpcore.vl2.credentials import COM

        return COM(self.com_raw) if self.com_raw else None

    @com.setter
    def com(self, com):
        self.com_raw = com.raw if com is not None else b""


class NetworkConfig(Certified):
    """What a controller tells one member about a network.

    network_id, issued_to (address), timestamp (ms of the controller's clock),
    credential_max_delta (ms), revision, trace_target (address), trace_level, flags,
    multicast_limit, public, name (bytes), mtu,
    com (COM or None), capabilities, tags, ownerships (sequences of credentials),
    specialists [(address, roles)], routes [(target, prefix, via or None, flags, metric)],
    static_ips [(ip, prefix)], rules (binary, not looked into), dns_domain (bytes),
    dns_servers [ip], sso_version, sso_enabled, sso (the SSO keys with their values, bytes).

    Credentials are kept as their bytes, like the COM: to ask for them makes them anew. What most
    networks do not have is here, and costs RAM only where it is.
    """

    capabilities_raw = tags_raw = ownerships_raw = ()
    trace_target = _NOBODY
    trace_level = flags = multicast_limit = 0
    specialists = dns_servers = ()
    dns_domain = b""
    sso_version = 0
    sso_enabled = False
    sso = {}                    # this one, of who has none, stays empty

    def __init__(self, network_id, issued_to):
        self.network_id = network_id
        self.issued_to = issued_to
        self.timestamp = self.credential_max_delta = self.revision = 0
        self.public = False
        self.name = self.rules = b""
        self.mtu = DEFAULT_MTU
        self.routes = self.static_ips = ()

    @property
    def capabilities(self):
        from mpcore.vl2.credentials import Capability

        return [Capability.from_bytes(raw)[0] for raw in self.capabilities_raw]

    @capabilities.setter
    def capabilities(self, capabilities):
        self.capabilities_raw = _raws(capabilities)

    @property
    def tags(self):
        from mpcore.vl2.credentials import Tag

        return [Tag.from_bytes(raw)[0] for raw in self.tags_raw]

    @tags.setter
    def tags(self, tags):
        self.tags_raw = _raws(tags)

    @property
    def ownerships(self):
        from mpcore.vl2.credentials import Ownership

        return [Ownership.from_bytes(raw)[0] for raw in self.ownerships_raw]

    @ownerships.setter
    def ownerships(self, ownerships):
        self.ownerships_raw = _raws(ownerships)

    def specialists_as(self, role):
        """Addresses of the specialists that have a role."""
        return [address for address, roles in self.specialists if roles & role]


def _raws(credentials):
    return tuple([credential.raw for credential in credentials])
