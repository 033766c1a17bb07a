"""The dictionary that a network's configuration travels in (spec/vl2-config.md 5)."""

import struct

from micropython import const

from mpcore.crypto.slices import finish
from mpcore.vl1 import inet
from mpcore.vl2 import dictionary
from mpcore.vl2.config import (DEFAULT_MTU, MAX_CAPABILITIES, MAX_MTU, MAX_TAGS, MIN_MTU, VERSION,
                               NetworkConfig)
from mpcore.vl2.credentials import COM, Capability, Ownership, Tag
from mpcore.vl2.dictionary import integer, number

_OLDEST_VERSION = const(6)
_MAX_NAME = const(127)
_MAX_OWNERSHIPS = const(4)
_MAX_SPECIALISTS = const(256)
_MAX_ROUTES = const(128)
_MAX_IPS = const(32)
_DNS_DOMAIN = const(128)
_DNS_SERVERS = const(4)
_SSO_KEYS = ((b"aurl", b"aexpt"), (b"iurl", b"ssoce", b"sson", b"ssos", b"ssocid", b"ssop"))


def read(text):
    """The NetworkConfig of a text. Raises ValueError where the field refuses it too.

    Capabilities, tags and ownerships that cannot be read are left out, as the field does it.
    """
    return finish(reading(text))


def reading(text):
    """As read(), in slices (crypto/slices.py)."""
    get = dictionary.decode(text).get
    yield
    if integer(get(b"v")) < _OLDEST_VERSION:
        raise ValueError("config of an old version")
    network_id = integer(get(b"nwid")).to_bytes(8, "big")
    issued_to = (integer(get(b"id")) & 0xFFFFFFFFFF).to_bytes(5, "big")
    if network_id == bytes(8) or issued_to == bytes(5):
        raise ValueError("config for nobody")
    made = NetworkConfig(network_id, issued_to)
    made.timestamp = integer(get(b"ts"))
    made.credential_max_delta = integer(get(b"ctmd"))
    made.revision = integer(get(b"r"))
    if integer(get(b"tt")):
        made.trace_target = (integer(get(b"tt")) & 0xFFFFFFFFFF).to_bytes(5, "big")
    if integer(get(b"tl")):
        made.trace_level = integer(get(b"tl"))
    made.flags = integer(get(b"f"))
    made.multicast_limit = integer(get(b"ml"))
    made.public = integer(get(b"t")) == 1
    made.name = get(b"n", b"")[:_MAX_NAME]
    made.mtu = min(max(integer(get(b"mtu"), DEFAULT_MTU), MIN_MTU), MAX_MTU)
    yield
    if get(b"C"):
        made.com = COM.from_bytes(get(b"C"))[0]
    if get(b"CAP"):
        made.capabilities = _credentials(Capability, get(b"CAP"), MAX_CAPABILITIES)
    if get(b"TAG"):
        made.tags = _credentials(Tag, get(b"TAG"), MAX_TAGS)
    if get(b"COO"):
        made.ownerships = _credentials(Ownership, get(b"COO"), _MAX_OWNERSHIPS)
    yield
    if get(b"S"):
        made.specialists = _read_specialists(get(b"S"))
    made.routes = _read_routes(get(b"RT", b""))
    made.static_ips = _read_ips(get(b"I", b""))
    made.rules = get(b"R", b"")
    if get(b"DNS"):
        domain, servers = _read_dns(get(b"DNS"))
        if domain or servers:
            made.dns_domain, made.dns_servers = domain, servers
    if integer(get(b"ssov")):
        made.sso_version = integer(get(b"ssov"))
    if dictionary.boolean(get(b"ssoe")):
        made.sso_enabled = True
    if made.sso_enabled and made.sso_version < len(_SSO_KEYS):
        made.sso = {key: get(key, b"") for key in _SSO_KEYS[made.sso_version]}
    return made


def write(config):
    """The text of a config, keys in the order of the reference."""
    pairs = [(b"v", number(VERSION)), (b"nwid", config.network_id.hex().encode()),
             (b"ts", number(config.timestamp)), (b"ctmd", number(config.credential_max_delta)),
             (b"r", number(config.revision)), (b"id", config.issued_to.hex().encode()),
             (b"tt", config.trace_target.hex().encode()), (b"tl", number(config.trace_level)),
             (b"f", number(config.flags)), (b"ml", number(config.multicast_limit)),
             (b"t", number(int(config.public))), (b"n", config.name[:_MAX_NAME]),
             (b"mtu", number(config.mtu))]
    blobs = ((b"C", config.com_raw), (b"CAP", b"".join(config.capabilities_raw)),
             (b"TAG", b"".join(config.tags_raw)), (b"COO", b"".join(config.ownerships_raw)),
             (b"S", _write_specialists(config.specialists)),
             (b"RT", _write_routes(config.routes)), (b"I", _write_ips(config.static_ips)),
             (b"R", config.rules))
    pairs.extend([pair for pair in blobs if pair[1]])
    pairs.append((b"DNS", _write_dns(config.dns_domain, config.dns_servers)))
    pairs.append((b"ssov", number(config.sso_version)))
    pairs.append((b"ssoe", b"1" if config.sso_enabled else b"0"))
    if config.sso_enabled and config.sso_version < len(_SSO_KEYS):
        pairs.extend([(key, config.sso.get(key, b"")) for key in _SSO_KEYS[config.sso_version]])
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
