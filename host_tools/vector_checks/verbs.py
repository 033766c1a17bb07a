"""What the product's parsers read from a packet, in the words of the vectors' `fields`."""

from mpcore.vl1 import hello, inet, packet, traversal
from mpcore.vl1.identity import Identity
from mpcore.vl1.world import World
from mpcore.vl2 import credentials, dictionary, exchange, multicast

from host_tools.vector_checks import Mismatch, same


class Reading:
    """What one packet says.

    fields: [(name, value)]; a name that occurs more than once is compared in order. rebuilt: the
    payload as the product writes it, where that can be told from what was read, else None.
    """

    def __init__(self, fields, rebuilt=None):
        self.fields = fields
        self.rebuilt = rebuilt


def read(received):
    """The Reading of a Packet, or None for verbs that have no parser of their own.

    Raises ValueError when the packet is malformed.
    """
    if received.verb == packet.OK:
        reader = _OK.get(received.in_re_verb)
    elif received.verb == packet.ERROR:
        reader = _ERROR.get(received.in_re_verb)
    else:
        reader = _VERBS.get(received.verb)
    return reader(received, received.buf, received.at, received.end) if reader else None


def compare(reading, fields, payload):
    """Compare a Reading with the `fields` of a vector, and what was rebuilt with the payload."""
    names = {name for name, _ in reading.fields}
    for name in sorted(names):
        expected = [str(field[3]) for field in fields if field[0] == name and len(field) > 3]
        present = len([field for field in fields if field[0] == name])
        found = [str(value) for other, value in reading.fields if other == name]
        same(len(found), present, f"number of {name}")
        if len(expected) == present:    # long values are left out
            same(found, expected, name)
    if reading.rebuilt is not None:
        same(reading.rebuilt, payload, "payload written back")


def check_prefixes(received):
    """Cut a packet short in every place: nothing but ValueError may come of it."""
    end = received.end
    verb = received.verb
    for cut in range(received.off + packet.PAYLOAD, end):
        received.end = cut
        try:
            received.parse(received.id)
            read(received)
        except ValueError:
            pass
        except Exception as error:
            raise Mismatch(f"verb {verb} cut to {cut - received.off} bytes: {error!r}")
    received.end = end
    received.parse(received.id)


# --- VL1 -----------------------------------------------------------------------------------

def _version(said):
    return [("protocol_version", said.version), ("major", said.software[0]),
            ("minor", said.software[1]), ("revision", said.software[2])]


def _hello(received, buf, at, end):
    said = hello.Hello(buf, at, end)
    said.read_rest(buf)
    moons = said.read_moons(buf)
    fields = _version(said) + [("timestamp", said.timestamp),
                               ("identity", said.identity.to_text())]
    if said.endpoint is not None:
        fields.append(("sent_to", inet.text(said.endpoint)))
    if said.world_id is None:
        return Reading(fields)
    fields += [("planet_id", int.from_bytes(said.world_id, "big")),
               ("planet_timestamp", said.world_timestamp)]
    if said.masked_from == end:
        return Reading(fields)
    fields.append(("moon_count", buf[said.masked_from] << 8 | buf[said.masked_from + 1]))
    for world_id, timestamp in moons:
        fields += [("moon_type", 127), ("moon_id", world_id.hex()), ("moon_timestamp", timestamp)]
    rebuilt, _ = hello.build(said.version, said.software, said.timestamp, said.identity,
                             said.endpoint, said.world_id, said.world_timestamp, moons)
    return Reading(fields, rebuilt)


def _ok(received, rest=()):
    return [("in_re_verb", received.in_re_verb),
            ("in_re_packet_id", received.in_re_id.hex())] + list(rest)


def _in_re(received, body):
    return bytes((received.in_re_verb,)) + received.in_re_id + body


def _ok_hello(received, buf, at, end):
    said = hello.HelloOk(buf, at, end)
    start, stop = said.worlds
    worlds = []
    while start < stop:
        world, length = World.from_bytes(buf, start, stop)
        start += length
        worlds.append(world.to_bytes())
    fields = _ok(received, _version(said))
    fields.append(("timestamp_echo", said.timestamp))
    if said.endpoint is not None:
        fields.append(("sent_to", inet.text(said.endpoint)))
    fields += [("world", world.hex()) for world in worlds]
    body = hello.build_ok(said.timestamp, said.version, said.software, said.endpoint,
                          b"".join(worlds))
    return Reading(fields, _in_re(received, body))


def _ok_whois(received, buf, at, end):
    identities = []
    while at < end:
        identity, length = Identity.from_bytes(buf, at, end)
        at += length
        identities.append(identity)
    fields = _ok(received, [("identity", one.to_text()) for one in identities])
    return Reading(fields, _in_re(received, b"".join([one.to_bytes() for one in identities])))


def _rendezvous(received, buf, at, end):
    address, endpoint = traversal.parse_rendezvous(received)
    fields = [("peer", address.hex()), ("ip", endpoint[:-2].hex()), ("port", _port(endpoint)),
              ("address_length", len(endpoint) - 2)]
    return Reading(fields, traversal.rendezvous_payload(address, endpoint))


def _push_direct_paths(received, buf, at, end):
    endpoints = traversal.pushed_endpoints(buf, at, end)
    fields = [("path_count", len(endpoints))]
    for endpoint in endpoints:
        fields += [("ip", endpoint[:-2].hex()), ("port", _port(endpoint))]
    return Reading(fields, traversal.push_payload(endpoints))


def _port(endpoint):
    return endpoint[-2] << 8 | endpoint[-1]


# --- configs -------------------------------------------------------------------------------

def _config_request(received, buf, at, end):
    network_id, said = exchange.parse_request(buf, at, end)
    if dictionary.integer(said.get(b"v")) == 0:
        raise Mismatch("request without a version")
    return Reading([("network_id", network_id.hex())])


def _chunk_fields(chunk):
    if chunk.signature is None:
        return [("network_id", chunk.network_id.hex()), ("chunk_length", len(chunk.data))]
    return [("network_id", chunk.network_id.hex()), ("chunk_length", len(chunk.data)),
            ("chunk", chunk.data.hex()), ("flags", chunk.flags),
            ("update_id", chunk.update_id.hex()), ("total_length", chunk.total),
            ("chunk_index", chunk.index), ("signature", chunk.signature.hex())]


def _config(received, buf, at, end):
    chunk = exchange.Chunk.from_bytes(buf, at, end)
    return Reading(_chunk_fields(chunk), chunk.body)


def _ok_config(received, buf, at, end):
    chunk = exchange.Chunk.from_bytes(buf, at, end)
    return Reading(_ok(received, _chunk_fields(chunk)), _in_re(received, chunk.body))


def _config_error(received, buf, at, end):
    network_id, _ = exchange.parse_error(buf, at, end)
    return Reading(_ok(received, [("error_code", received.error),
                                  ("network_id", network_id.hex())]))


# --- multicast and credentials -------------------------------------------------------------

def _group(key):
    """Fields of a group's key of 18 bytes."""
    mac = ":".join(["%02x" % octet for octet in key[8:14]])
    return [("network_id", key[:8].hex()), ("group_mac", mac),
            ("group_adi", int.from_bytes(key[14:], "big"))]


def _likes(received, buf, at, end):
    keys = multicast.parse_likes(buf, at, end)
    fields = []
    for key in keys:
        fields += _group(key)
    return Reading(fields, b"".join(keys))


def _gather(received, buf, at, end):
    key, limit, com = multicast.parse_gather(buf, at, end)
    fields = _group(key) + [("gather_limit", limit)]
    if com is not None:
        fields.append(("com", com.raw.hex()))
    return Reading(fields, multicast.gather(key, limit, com.raw if com else b""))


def _ok_gather(received, buf, at, end):
    key, addresses = multicast.parse_gathered(buf, at, end)
    fields = _group(key) + [("member", address.hex()) for address in addresses]
    return Reading(_ok(received, fields))


def _frame_answer(received, buf, at, end):
    key, addresses = multicast.parse_frame_answer(buf, at, end)
    fields = _group(key) + [("member", address.hex()) for address in addresses]
    return Reading(_ok(received, fields))


def _multicast_frame(received, buf, at, end):
    com, limit, source, group, ethertype, data = multicast.parse_frame(buf, at, end)
    key = bytes(buf[at:at + 8]) + group
    fields = _group(key) + [("ethertype", "%04x" % ethertype),
                            ("frame", bytes(buf[data:end]).hex())]
    if com is not None:
        fields.append(("com", com.raw.hex()))
    if source is not None:
        fields.append(("source_mac", ":".join(["%02x" % octet for octet in source])))
    if limit:
        fields.append(("gather_limit", limit))
    if com is None and source is None and limit:
        return Reading(fields, multicast.frame(key, limit, ethertype, bytes(buf[data:end])))
    return Reading(fields)


_CREDENTIALS = (("com", credentials.COM_TYPE), ("capability", credentials.CAPABILITY_TYPE),
                ("tag", credentials.TAG_TYPE), ("revocation", credentials.REVOCATION_TYPE),
                ("coo", credentials.OWNERSHIP_TYPE))


def _network_credentials(received, buf, at, end):
    found = credentials.unpack(buf, at, end)
    kinds = [[one for one in found if one.TYPE == kind] for _, kind in _CREDENTIALS]
    fields = []
    for (name, _), held in zip(_CREDENTIALS, kinds):
        fields += [(name, one.raw.hex()) for one in held]
    return Reading(fields, credentials.pack(*kinds))


_VERBS = {
    packet.HELLO: _hello,
    packet.RENDEZVOUS: _rendezvous,
    packet.PUSH_DIRECT_PATHS: _push_direct_paths,
    packet.NETWORK_CONFIG_REQUEST: _config_request,
    packet.NETWORK_CONFIG: _config,
    packet.MULTICAST_LIKE: _likes,
    packet.MULTICAST_GATHER: _gather,
    packet.MULTICAST_FRAME: _multicast_frame,
    packet.NETWORK_CREDENTIALS: _network_credentials,
}
_OK = {
    packet.HELLO: _ok_hello,
    packet.WHOIS: _ok_whois,
    packet.NETWORK_CONFIG_REQUEST: _ok_config,
    packet.MULTICAST_GATHER: _ok_gather,
    packet.MULTICAST_FRAME: _frame_answer,
}
_ERROR = {
    packet.NETWORK_CONFIG_REQUEST: _config_error,
}
