"""NAT traversal: what nodes tell each other of their addresses (spec/verbs.md 7, 9;
spec/peers-and-paths.md 10). Loaded when somebody does; what lasts is VL1's Contact's."""

from micropython import const

from mpcore.vl1 import inet, packet

_PROBES_PER_SCOPE = const(8)
_SURFACE_MS = const(600000)


def surfaced(vl1, now, peer, endpoint):
    """A root says from where it sees us. A changed IP makes our paths doubtful."""
    ip = endpoint[:-2]
    if inet.scope(ip) in (inet.NONE, inet.MULTICAST):
        return
    surface = vl1.contact.surface
    known = surface.get(peer.address)
    surface[peer.address] = (endpoint, now)
    if known is not None and known[0][:-2] != ip and now - known[1] < _SURFACE_MS:
        for other in list(vl1.peers.values()):
            for path in other.paths:
                if path.endpoint != endpoint and len(path.endpoint) == len(endpoint):
                    vl1.contact.hello(now, other, path.endpoint)


def external_endpoints(vl1, now):
    """Where roots see us, as told within the last ten minutes."""
    return [e for e, told_ms in vl1.contact.surface.values() if now - told_ms < _SURFACE_MS]


def push(vl1, now, peer, endpoint):
    """Tell a peer our addresses by a packet to `endpoint`; False if there are none so far."""
    contact = vl1.contact
    endpoints = set(contact.local_endpoints())
    endpoints.update(external_endpoints(vl1, now))
    endpoints = [e for e in endpoints if contact.usable(e[:-2])]
    if endpoints:
        vl1.send_to(now, peer, endpoint, packet.PUSH_DIRECT_PATHS, push_payload(endpoints))
    return bool(endpoints)


def on_push(vl1, now, peer, received):
    """A peer tells its addresses: try them, but not more than some at a time."""
    if not vl1.contact.may_push(now, peer):
        return
    tried = {}
    for endpoint in pushed_endpoints(received.buf, received.at, received.end):
        path = peer.path_to(endpoint)
        kind = (len(endpoint), inet.scope(endpoint[:-2]))
        if (path is None or path.expired(now)) and vl1.contact.acceptable(peer, endpoint):
            tried[kind] = tried.get(kind, 0) + 1
            if tried[kind] <= _PROBES_PER_SCOPE:
                vl1.contact.seek(now, peer, endpoint)


def on_rendezvous(vl1, now, peer, received):
    """A root introduces somebody."""
    if not vl1.is_upstream(peer.address):
        return
    address, endpoint = parse_rendezvous(received)
    other = vl1.peers.get(address)
    if other is not None and vl1.contact.acceptable(other, endpoint):
        # The probe itself opens our NAT; the other end's probe comes back through it.
        vl1.contact.seek(now, other, endpoint)


HANDLERS = {packet.RENDEZVOUS: on_rendezvous, packet.PUSH_DIRECT_PATHS: on_push}


def parse_rendezvous(received):
    """(address, endpoint) of a RENDEZVOUS, spec/verbs.md 7. Raises ValueError."""
    received.need(9)
    buf, at = received.buf, received.at
    length = buf[at + 8]
    received.need(9 + length)
    port = bytes(buf[at + 6:at + 8])
    if length not in (4, 16) or port == b"\0\0":
        raise ValueError("RENDEZVOUS endpoint")
    return bytes(buf[at + 1:at + 6]), bytes(buf[at + 9:at + 9 + length]) + port


def rendezvous_payload(address, endpoint):
    """Payload of a RENDEZVOUS that names `address` at `endpoint`."""
    ip = endpoint[:-2]
    return b"\0" + address + endpoint[-2:] + bytes((len(ip),)) + ip


def push_payload(endpoints):
    """Payload of PUSH_DIRECT_PATHS, spec/verbs.md 9."""
    payload = bytes((len(endpoints) >> 8, len(endpoints) & 255))
    for endpoint in endpoints:
        payload += bytes((0, 0, 0, 4 if len(endpoint) == 6 else 6, len(endpoint))) + endpoint
    return payload


def pushed_endpoints(buf, at, end):
    """Endpoints of a PUSH_DIRECT_PATHS, as far as its records reach. Raises ValueError."""
    if end - at < 2:
        raise ValueError("PUSH_DIRECT_PATHS too short")
    count = buf[at] << 8 | buf[at + 1]
    at += 2
    endpoints = []
    while count and end - at >= 5:
        count -= 1
        flags = buf[at]
        at += 3 + (buf[at + 1] << 8 | buf[at + 2])
        if end - at < 2:
            break
        kind, length = buf[at], buf[at + 1]
        at += 2
        if end - at < length:
            break
        if not flags & 1 and (kind, length) in ((4, 6), (6, 18)):
            endpoints.append(bytes(buf[at:at + length]))
        at += length
    return endpoints
