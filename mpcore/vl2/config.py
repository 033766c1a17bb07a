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
    com (COM or None), capabilities, tags, ownerships (lists of credentials),
    specialists [(address, roles)], routes [(target, prefix, via or None, flags, metric)],
    static_ips [(ip, prefix)], rules (binary, not looked into), dns_domain (bytes),
    dns_servers [ip], sso_version, sso_enabled, sso (the SSO keys with their values, bytes).
    """

    def __init__(self, network_id, issued_to):
        self.network_id = network_id
        self.issued_to = issued_to
        self.timestamp = self.credential_max_delta = self.revision = 0
        self.trace_target = bytes(5)
        self.trace_level = self.flags = self.multicast_limit = 0
        self.public = False
        self.name = b""
        self.mtu = DEFAULT_MTU
        self.capabilities = self.tags = self.ownerships = ()
        self.specialists = self.routes = self.static_ips = ()
        self.rules = b""
        self.dns_domain = b""
        self.dns_servers = ()
        self.sso_version = 0
        self.sso_enabled = False
        self.sso = {}

    def specialists_as(self, role):
        """Addresses of the specialists that have a role."""
        return [address for address, roles in self.specialists if roles & role]
