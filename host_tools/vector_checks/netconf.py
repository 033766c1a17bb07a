"""netconf.json: dictionaries, rules, credentials, configs and how they travel (spec/vl2-config.md,
spec/vl2-credentials.md, spec/vl2-rules.md)."""

from mpcore import limits
from mpcore.vl1 import inet, packet
from mpcore.vl1.packet import HEADER, START, Packet
from mpcore.vl2 import config_text, dictionary, exchange, rules
from mpcore.vl2.config import NetworkConfig
from mpcore.vl2.credentials import COM, Capability, Ownership, Revocation, Tag
from mpcore.vl2.enrolment import Enrolment

from host_tools.vector_checks import (
    Mismatch, attempt, each, is_optional, mac_bytes, refused, same, unhex, verbs)
from host_tools.vector_checks.rule_fields import entry_of, wire_of
from host_tools.vector_checks.wire import known_identity

_THING_SIZES = {1: 6, 2: 4, 3: 16}
_PLAIN_QUALIFIERS = 7        # of a COM as controllers issue it: timestamp, network, member, hash
_CODE = 9                    # offset of the code in the payload of an ERROR


def checks(data):
    scene = _Scene(data)
    for section, function in (
            ("dictionary_encode", _encode), ("dictionary_decode", _decode), ("rules", _rule),
            ("rule_parsing", _rule_parsing), ("com_parsing", _com_parsing),
            ("config_parsing", _config_parsing), ("config_requests", _request)):
        for label, entry in each(data, section):
            yield label, function, entry
    for section, function in (
            ("identities", _identity), ("coms", _com), ("com_agreement", _agreement),
            ("tags", _tag), ("capabilities", _capability),
            ("certificates_of_ownership", _ownership), ("revocations", _revocation),
            ("configs", _config), ("sent_configs", _sent), ("chunk_assembly", _assembly),
            ("config_errors", _error)):
        for label, entry in each(data, section):
            yield label, function, entry, scene


class _Scene:
    """What the entries of a file refer to by name or address."""

    def __init__(self, data):
        self.named = {v["name"]: known_identity(v) for v in data["identities"]}
        self.known = {one.address: one for one in self.named.values()}
        self.network_id = unhex(data["network"]["network_id"])
        self.controller = self.known[unhex(data["network"]["controller"])]
        self.coms = {v["name"]: COM.from_bytes(unhex(v["bytes"]))[0] for v in data["coms"]}
        self.texts = {v["name"]: unhex(v["dictionary"]) for v in data["configs"]}


# --- dictionaries and rules ----------------------------------------------------------------

_VALUES = {
    "bytes": unhex,
    "u64": lambda value: dictionary.number(int(value, 16)),
    "i64": lambda value: dictionary.number(abs(int(value))),
    "bool": lambda value: b"1" if value else b"0",
    "address": lambda value: dictionary.number(int(value, 16)),
}


def _encode(entry):
    pairs = [(v["key"].encode(), _VALUES[v["kind"]](v["value"])) for v in entry["entries"]]
    encoded = dictionary.encode(pairs)
    same(encoded.hex(), entry["encoded"], "text")
    read = dictionary.decode(encoded)
    for key, value in reversed(pairs):      # of a key given twice the first one counts
        same(read[key] == value or len([k for k, _ in pairs if k == key]) > 1, True,
             f"value of {key} read back")


def _decode(entry):
    read = dictionary.decode(unhex(entry["encoded"]))
    for lookup in entry["lookups"]:
        key = lookup["key"]
        value = read.get(key.encode())
        same(value is not None, lookup["found"], f"presence of {key}")
        if value is not None:
            same(value.hex(), lookup["value"], key)
            same(dictionary.integer(value), int(lookup["as_u64"], 16), f"{key} as a number")
            same(dictionary.boolean(value), lookup["as_bool"], f"{key} as a truth value")


def _rule(entry):
    data = unhex(entry["bytes"])
    parsed = rules.parse(data)
    same(parsed, (entry_of(entry),), "rule")
    same(parsed[0][0], entry["t"], "type byte")
    same(rules.emit(parsed), data, "rule written back")
    same(rules.unsupported(parsed), None, "unsupported rule")


def _rule_parsing(entry):
    parsed = attempt(rules.parse, unhex(entry["bytes"]))
    if is_optional(entry):
        return
    same(parsed is not None, entry["ok"], "acceptance")
    if parsed is not None:
        same(len(parsed), entry["count"], "number of rules")
        same([t & 0x3F for t, _ in parsed], [t & 0x3F for t in entry["t"]], "types")


# --- credentials ---------------------------------------------------------------------------

def _identity(entry, scene):
    same(scene.named[entry["name"]].fingerprint().hex(), entry["public_key_hash"], "fingerprint")


def _whole(kind, entry):
    """The credential of an entry, which must take all its bytes, and no byte less."""
    data = unhex(entry["bytes"])
    credential, length = kind.from_bytes(b"?" + data + b"?", 1)
    same(length, len(data), "length")
    same(credential.raw, data, "credential written back")
    refused("credential cut short", kind.from_bytes, data, 0, len(data) - 1)
    return credential


def _verify(credential, entry, scene):
    """Compare the verdict on the signature; a controller who is not known yet is looked up."""
    controller = scene.known.get(credential.network_id[:5])
    if controller is None:
        same(1, entry["verify"], "verdict without the controller's identity")
    else:
        same(credential.verify(controller), entry["verify"] >= 0, "verdict")
    if "signed_by" in entry:
        same(credential.signer.hex(), entry["signed_by"], "signer")
    _signed_bytes(credential, entry, controller)


def _signed_bytes(credential, entry, controller):
    if entry["verify"] == 0 and controller is not None:
        same(controller.sign(unhex(entry["signed_bytes"])) in credential.raw, True,
             "signature of the signed bytes")


def _fields(credential, entry):
    same(credential.network_id.hex(), entry["network_id"], "network")
    same(credential.id, entry["id"], "id")
    if "timestamp" in entry:
        same(credential.timestamp, int(entry["timestamp"]), "timestamp")
    if "issued_to" in entry:
        same(credential.issued_to.hex(), entry["issued_to"], "holder")


def _reissued(entry, scene, credential, kind, *arguments):
    """What the controller signs is the same byte for byte when it is issued again."""
    controller = scene.known.get(credential.network_id[:5])
    if entry["verify"] == 0 and controller is not None:
        again = kind.issue(controller, credential.network_id, *arguments)
        same(again.raw, credential.raw, "credential issued again")


def _com(entry, scene):
    com = _whole(COM, entry)
    qualifiers = {int(q[0], 16): (int(q[1], 16), int(q[2], 16)) for q in entry["qualifiers"]}
    same(com.timestamp, qualifiers[0][0], "timestamp")
    same(com.network_id.hex(), "%016x" % qualifiers[1][0], "network")
    same(com.issued_to.hex(), "%010x" % qualifiers[2][0], "holder")
    _verify(com, entry, scene)
    member = scene.known.get(com.issued_to)
    if member is not None and sorted(qualifiers) == list(range(_PLAIN_QUALIFIERS)):
        digest = b"".join([qualifiers[i][0].to_bytes(8, "big") for i in range(3, 7)])
        if digest == member.fingerprint()[:32]:
            _reissued(entry, scene, com, COM, com.timestamp, qualifiers[0][1], member)


def _agreement(entry, scene):
    agrees = scene.coms[entry["mine"]].agrees(scene.coms[entry["theirs"]],
                                              scene.named[entry["their_identity"]])
    same(agrees, entry["agrees"], "agreement")


def _com_parsing(entry):
    read = attempt(COM.from_bytes, unhex(entry["bytes"]))
    if is_optional(entry):
        return
    same(read is not None, entry["ok"], "acceptance")
    if read is not None:
        same(read[1], entry["length"], "length")


def _tag(entry, scene):
    tag = _whole(Tag, entry)
    _fields(tag, entry)
    same(tag.value, entry["value"], "value")
    _verify(tag, entry, scene)
    _reissued(entry, scene, tag, Tag, tag.timestamp, tag.id, tag.value, tag.issued_to)


def _capability(entry, scene):
    capability = _whole(Capability, entry)
    _fields(capability, entry)
    same(capability.max_custody, entry["max_custody_chain_length"], "limit of the chain")
    chain = [{"to": to.hex(), "from": giver.hex()} for to, giver, _ in capability.custody]
    same([(link["to"], link["from"]) for link in chain],
         [(link["to"], link["from"]) for link in entry["custody"]], "chain of custody")
    parsed = rules.parse(capability.rules)
    if "rules" in entry:
        same(capability.rules, wire_of(entry["rules"]), "rules")
    else:
        same(len(parsed), entry["rule_count"], "number of rules")
    controller = scene.known.get(capability.network_id[:5])
    if controller is not None:
        same(capability.verify(controller, scene.known.get), entry["verify"] == 0, "verdict")
    _signed_bytes(capability, entry, controller)
    if len(chain) == 1 and capability.max_custody == 1:
        _reissued(entry, scene, capability, Capability, capability.timestamp, capability.id,
                  capability.rules, len(parsed), capability.issued_to)


def _ownership(entry, scene):
    ownership = _whole(Ownership, entry)
    _fields(ownership, entry)
    for question in entry["owns"]:
        value = mac_bytes(question["mac"]) if "mac" in question else inet.ip_parse(question["ip"])
        same(ownership.owns(value), question["owned"], f"ownership of {value.hex()}")
    owned = [unhex(thing["value"])[:_THING_SIZES[thing["type"]]] for thing in entry["things"]]
    same(all([ownership.owns(value) for value in owned]), True, "ownership of its things")
    _verify(ownership, entry, scene)
    _reissued(entry, scene, ownership, Ownership, ownership.timestamp, ownership.id, owned,
              ownership.issued_to)


def _revocation(entry, scene):
    revocation = _whole(Revocation, entry)
    _fields(revocation, entry)
    same(revocation.threshold, int(entry["threshold"]), "threshold")
    same(revocation.credential_type, entry["type"], "type of the credential")
    same(revocation.credential_id, entry["credential_id"], "id of the credential")
    same(revocation.flags, int(entry["flags"], 16), "flags")
    same(revocation.issued_to.hex(), entry["target"], "target")
    _verify(revocation, entry, scene)
    _reissued(entry, scene, revocation, Revocation, revocation.id, revocation.credential_type,
              revocation.credential_id, revocation.threshold, revocation.issued_to,
              revocation.flags)


# --- configs -------------------------------------------------------------------------------

def _with_prefix(text):
    ip, prefix = text.split("/")
    return inet.ip_parse(ip), int(prefix)


def _ip(text):
    return _with_prefix(text)[0]


_SSO = (("authentication_url", b"aurl"), ("issuer_url", b"iurl"), ("central_url", b"ssoce"),
        ("nonce", b"sson"), ("state", b"ssos"), ("client_id", b"ssocid"), ("provider", b"ssop"))


def _described(case, rule_bytes):
    """The NetworkConfig that a vector describes; rule_bytes where it only counts its rules."""
    made = NetworkConfig(unhex(case["network_id"]), unhex(case["issued_to"]))
    made.timestamp = int(case["timestamp"])
    made.credential_max_delta = int(case["credential_time_max_delta"])
    made.revision = int(case["revision"])
    made.trace_target = unhex(case["remote_trace_target"])
    made.trace_level = case["remote_trace_level"]
    made.flags = int(case["flags"], 16)
    made.multicast_limit = case["multicast_limit"]
    made.public = case["type"] == "public"
    made.name = unhex(case["name"])
    made.mtu = case["mtu"]
    made.com = COM.from_bytes(unhex(case["com"]))[0] if case["com"] else None
    made.capabilities = _credentials(Capability, case["capabilities"])
    made.tags = _credentials(Tag, case["tags"])
    made.ownerships = _credentials(Ownership, case["certificates_of_ownership"])
    made.specialists = [(unhex(v[6:]), int(v[:6], 16)) for v in case["specialists"]]
    made.routes = [_with_prefix(r["target"]) + (_ip(r["via"]) if r["via"] else None, r["flags"],
                                                r["metric"]) for r in case["routes"]]
    made.static_ips = [_with_prefix(ip) for ip in case["static_ips"]]
    made.rules = wire_of(case["rules"]) if "rules" in case else rule_bytes
    made.dns_domain = case["dns"]["domain"].encode()
    made.dns_servers = [_ip(server) for server in case["dns"]["servers"] if server]
    made.sso_version = case["sso_version"]
    made.sso_enabled = case["sso_enabled"]
    made.sso = {key: case[name].encode() for name, key in _SSO if name in case}
    if "authentication_expiry" in case:
        made.sso[b"aexpt"] = dictionary.number(int(case["authentication_expiry"]))
    return made


def _credentials(kind, texts):
    return [kind.from_bytes(unhex(text))[0] for text in texts]


_FIELDS = ("network_id", "issued_to", "timestamp", "credential_max_delta", "revision",
           "trace_target", "trace_level", "flags", "multicast_limit", "public", "name", "mtu",
           "com_raw", "rules", "dns_domain", "sso_version", "sso_enabled", "sso")
_SEQUENCES = ("capabilities_raw", "tags_raw", "ownerships_raw", "specialists", "routes",
              "static_ips", "dns_servers")


def _comparable(config):
    """What a NetworkConfig holds, by name; credentials as their bytes."""
    values = {name: getattr(config, name) for name in _FIELDS}
    for name in _SEQUENCES:
        values[name] = list(getattr(config, name))
    return values


def _same_config(read, case):
    if "rule_count" in case:
        same(len(rules.parse(read.rules)), case["rule_count"], "number of rules")
    found, expected = _comparable(read), _comparable(_described(case, read.rules))
    for name in sorted(expected):
        same(found[name], expected[name], name)


def _config(entry, scene):
    text = scene.texts[entry["name"]]
    case = entry["config"]
    read = config_text.read(text)
    seen = dict(case)
    seen.update(entry.get("differs_when_read_back") or {})
    _same_config(read, seen)
    same(config_text.write(_described(case, read.rules)), text, "config written")


def _config_parsing(entry):
    read = attempt(config_text.read, unhex(entry["dictionary"]))
    if is_optional(entry):
        return
    same(read is not None, entry["ok"], "acceptance")
    if read is not None:
        _same_config(read, entry["config"])


# --- how configs travel --------------------------------------------------------------------

def _sent(entry, scene):
    text = scene.texts[entry["config"]]
    assembly = exchange.Assembly(limits.MAX_PACKET * limits.MAX_FRAGMENTS)
    bodies = []
    for sent in entry["packets"]:
        payload = unhex(sent["payload"])
        at = sent["signed_from"]
        chunk = exchange.Chunk.from_bytes(payload, at, len(payload))
        same(chunk.body, payload[at:], "chunk written back")
        same(len(chunk.data), sent["chunk_length"], "length of the chunk")
        same(chunk.index, sent["chunk_index"], "place of the chunk")
        same(chunk.total, sent["total_length"], "length of all chunks")
        same(chunk.update_id.hex(), sent["update_id"], "id of the update")
        same(chunk.verify(scene.controller), True, "signature")
        same(scene.controller.verify(payload[at:sent["signed_to"]], chunk.signature), True,
             "signature of the signed bytes")
        if at:
            same(payload[1:at].hex(), entry["request_packet_id"], "packet ID of the request")
        same(assembly.take(chunk.update_id), None, "config before its last chunk")
        assembly.add(chunk, scene.controller.address, scene.controller)
        bodies.append(chunk.body)
    same(assembly.take(chunk.update_id), text, "config assembled")
    same(exchange.split(scene.network_id, text, chunk.update_id, scene.controller), bodies,
         "chunks made again")


def _assembly(entry, scene):
    assembly = exchange.Assembly()
    done = set()
    have_config = False
    for number, step in enumerate(entry["steps"]):
        payload = unhex(step["payload"])
        text = update_id = None
        try:
            chunk = exchange.Chunk.from_bytes(payload, 0, len(payload))
            update_id = chunk.update_id
            assembly.add(chunk, unhex(step["from"]), scene.controller)
            text = assembly.take(update_id)
            if text is not None:
                done.add(update_id)
                config_text.read(text)
                have_config = True
        except ValueError:
            pass
        if step["completed_update_id"] is None:
            same(text, None, f"config after step {number}")
        else:
            same(update_id in done, True, f"completion after step {number}")
            if chunk.signature is not None:     # the old form carries no id
                same(update_id.hex(), step["completed_update_id"], f"update of step {number}")
        if step["has_config_after"]:
            same(have_config, True, f"presence of a config after step {number}")


def _request(entry):
    payload = unhex(entry["payload"])
    network_id, said = exchange.parse_request(payload, 0, len(payload))
    fields = {field[0]: field[3] for field in entry["fields"] if len(field) > 3}
    same(network_id.hex(), fields["network_id"], "network")
    text = unhex(fields["metadata"])
    same(said, dictionary.decode(text), "metadata")
    built = exchange.build_request(network_id, text, int(fields["have_revision"]),
                                   int(fields["have_timestamp"]))
    same(built.hex(), entry["payload"], "request made again")


class _Standing:
    """Stands for a Network: its standing with the controller, as Enrolment tells it."""

    def __init__(self, network_id):
        self.id = network_id
        self.controller = network_id[:5]
        self.status = None

    def set_status(self, now, status, reason):
        self.status = status


def _error(entry, scene):
    payload = unhex(entry["payload"])
    buf = bytearray(START + HEADER) + payload
    buf[START + packet.VERB] = packet.ERROR
    received = Packet(buf, START, len(buf)).parse(bytes(8))
    same(received.in_re_id.hex(), entry["request_packet_id"], "packet ID of the request")
    same(received.error, payload[_CODE], "code")
    reading = verbs.read(received)
    if reading is None:
        raise Mismatch("no parser for this error")
    verbs.compare(reading, entry["fields"], payload)
    network_id, details = exchange.parse_error(received.buf, received.at, received.end)
    standing = _Standing(network_id)
    enrolment = Enrolment(None, standing, b"", None, None, None)
    enrolment.on_error(0, received.error, details)
    same(standing.status, entry["member_status_after"], "status of the member")
