"""A network's configuration: its dictionary, read and written (spec/vl2-config.md 5)."""

import struct

from micropython import const

from mpcore.vl1 import inet
from mpcore.vl2 import dictionary
from mpcore.vl2.credentials import COM, Capability, Ownership, Tag
from mpcore.vl2.dictionary import integer, number

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

_OLDEST_VERSION = const(6)
_MAX_NAME = const(127)
_MAX_OWNERSHIPS = const(4)
_MAX_SPECIALISTS = const(256)
_MAX_ROUTES = const(128)
_MAX_IPS = const(32)
_DNS_DOMAIN = const(128)
_DNS_SERVERS = const(4)
_SSO_KEYS = ((b"aurl", b"aexpt"), (b"iurl", b"ssoce", b"sson", b"ssos", b"ssocid", b"ssop"))


class NetworkConfig:
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
        self.com = None
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

    @staticmethod
    def from_dictionary(text):
        """Read the text of a config. Raises ValueError where the field refuses it too.

        Capabilities, tags and ownerships that cannot be read are left out, as the field does it.
        """
        get = dictionary.decode(text).get
        if integer(get(b"v")) < _OLDEST_VERSION:
            raise ValueError("config of an old version")
        network_id = integer(get(b"nwid")).to_bytes(8, "big")
        issued_to = (integer(get(b"id")) & 0xFFFFFFFFFF).to_bytes(5, "big")
        if network_id == bytes(8) or issued_to == bytes(5):
            raise ValueError("config for nobody")
        read = NetworkConfig(network_id, issued_to)
        read.timestamp = integer(get(b"ts"))
        read.credential_max_delta = integer(get(b"ctmd"))
        read.revision = integer(get(b"r"))
        read.trace_target = (integer(get(b"tt")) & 0xFFFFFFFFFF).to_bytes(5, "big")
        read.trace_level = integer(get(b"tl"))
        read.flags = integer(get(b"f"))
        read.multicast_limit = integer(get(b"ml"))
        read.public = integer(get(b"t")) == 1
        read.name = get(b"n", b"")[:_MAX_NAME]
        read.mtu = min(max(integer(get(b"mtu"), DEFAULT_MTU), MIN_MTU), MAX_MTU)
        if get(b"C"):
            read.com = COM.from_bytes(get(b"C"))[0]
        read.capabilities = _credentials(Capability, get(b"CAP", b""), MAX_CAPABILITIES)
        read.tags = _credentials(Tag, get(b"TAG", b""), MAX_TAGS)
        read.ownerships = _credentials(Ownership, get(b"COO", b""), _MAX_OWNERSHIPS)
        read.specialists = _read_specialists(get(b"S", b""))
        read.routes = _read_routes(get(b"RT", b""))
        read.static_ips = _read_ips(get(b"I", b""))
        read.rules = get(b"R", b"")
        if get(b"DNS"):
            read.dns_domain, read.dns_servers = _read_dns(get(b"DNS"))
        read.sso_version = integer(get(b"ssov"))
        read.sso_enabled = dictionary.boolean(get(b"ssoe"))
        if read.sso_enabled and read.sso_version < len(_SSO_KEYS):
            read.sso = {key: get(key, b"") for key in _SSO_KEYS[read.sso_version]}
        return read

    def to_dictionary(self):
        """The text of this config, keys in the order of the reference."""
        pairs = [(b"v", number(VERSION)), (b"nwid", self.network_id.hex().encode()),
                 (b"ts", number(self.timestamp)), (b"ctmd", number(self.credential_max_delta)),
                 (b"r", number(self.revision)), (b"id", self.issued_to.hex().encode()),
                 (b"tt", self.trace_target.hex().encode()), (b"tl", number(self.trace_level)),
                 (b"f", number(self.flags)), (b"ml", number(self.multicast_limit)),
                 (b"t", number(int(self.public))), (b"n", self.name[:_MAX_NAME]),
                 (b"mtu", number(self.mtu))]
        blobs = ((b"C", self.com.raw if self.com else b""), (b"CAP", _raws(self.capabilities)),
                 (b"TAG", _raws(self.tags)), (b"COO", _raws(self.ownerships)),
                 (b"S", _write_specialists(self.specialists)),
                 (b"RT", _write_routes(self.routes)), (b"I", _write_ips(self.static_ips)),
                 (b"R", self.rules))
        pairs.extend([pair for pair in blobs if pair[1]])
        pairs.append((b"DNS", _write_dns(self.dns_domain, self.dns_servers)))
        pairs.append((b"ssov", number(self.sso_version)))
        pairs.append((b"ssoe", b"1" if self.sso_enabled else b"0"))
        if self.sso_enabled and self.sso_version < len(_SSO_KEYS):
            pairs.extend([(key, self.sso.get(key, b"")) for key in _SSO_KEYS[self.sso_version]])
        return dictionary.encode(pairs)


def _credentials(kind, blob, most):
    found = []
    at = 0
    try:
        while at < len(blob) and len(found) < most:
            credential, length = kind.from_bytes(blob, at)
            found.append(credential)
            at += length
    except ValueError:
        pass
    return found


def _raws(credentials):
    return b"".join([credential.raw for credential in credentials])


def _split(endpoint):
    """(IP, prefix length or port) of an address element, whose port field means either."""
    return endpoint[:-2], endpoint[-2] << 8 | endpoint[-1]


def _element(ip, prefix=0):
    return inet.encode(ip + struct.pack(">H", prefix)) if ip else b"\0"


def _read_specialists(blob):
    return [(blob[at + 3:at + 8], int.from_bytes(blob[at:at + 3], "big"))
            for at in range(0, min(len(blob) & ~7, 8 * _MAX_SPECIALISTS), 8)]


def _write_specialists(specialists):
    return b"".join([roles.to_bytes(3, "big") + address for address, roles in specialists])


def _read_ips(blob):
    ips = []
    at = 0
    while at < len(blob) and len(ips) < _MAX_IPS:
        endpoint, length = inet.decode(blob, at, len(blob))
        at += length
        if endpoint and _is_prefix(endpoint):
            ips.append(_split(endpoint))
    return ips


def _write_ips(ips):
    return b"".join([_element(ip, prefix) for ip, prefix in ips])


def _read_routes(blob):
    routes = []
    at = 0
    while at < len(blob) and len(routes) < _MAX_ROUTES:
        target, length = inet.decode(blob, at, len(blob))
        at += length
        via, length = inet.decode(blob, at, len(blob))
        at += length + 4
        if at > len(blob):
            raise ValueError("route cut short")
        if target and _is_prefix(target):
            routes.append(_split(target) + (via[:-2] if via else None,)
                          + struct.unpack_from(">HH", blob, at - 4))
    return routes


def _write_routes(routes):
    return b"".join([_element(target, prefix) + _element(via) + struct.pack(">HH", flags, metric)
                     for target, prefix, via, flags, metric in routes])


def _is_prefix(endpoint):
    ip, prefix = _split(endpoint)
    return prefix <= 8 * len(ip)


def _read_dns(blob):
    if len(blob) < _DNS_DOMAIN:
        raise ValueError("DNS cut short")
    domain = blob[:_DNS_DOMAIN]
    if b"\0" in domain:
        domain = domain[:domain.find(b"\0")]
    servers = []
    at = _DNS_DOMAIN
    for _ in range(_DNS_SERVERS):
        endpoint, length = inet.decode(blob, at, len(blob))
        at += length
        if endpoint:
            servers.append(endpoint[:-2])
    return domain, servers


def _write_dns(domain, servers):
    domain = domain[:_DNS_DOMAIN - 1]
    elements = [_element(ip) for ip in servers[:_DNS_SERVERS]]
    return (domain + bytes(_DNS_DOMAIN - len(domain)) + b"".join(elements)
            + bytes(_DNS_SERVERS - len(elements)))
