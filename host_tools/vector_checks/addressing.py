"""addressing.json: what follows from addresses, and addresses on the wire (spec/vl2-frames.md,
spec/packet.md 9, spec/peers-and-paths.md 3).
"""

from mpcore.vl1 import identity, inet
from mpcore.vl2 import addressing, adhoc, config, emulation

from host_tools.vector_checks import attempt, each, is_optional, mac_bytes, same, unhex
from host_tools.vector_checks.rule_fields import wire_of

_SCOPES = {"none": inet.NONE, "multicast": inet.MULTICAST, "loopback": inet.LOOPBACK,
           "pseudoprivate": inet.PSEUDOPRIVATE, "global": inet.GLOBAL,
           "link_local": inet.LINK_LOCAL, "shared": inet.SHARED, "private": inet.PRIVATE}
_IPV6 = 0x86DD


def checks(data):
    yield "mac_first_octet_by_low_byte", _first_octets, data
    for section, function in (
            ("mac", _mac), ("ipv6", _ipv6), ("address_resolution_group", _resolution_group),
            ("inet_serialize", _serialize), ("inet_parse", _parse), ("ip_scope", _scope),
            ("reserved_addresses", _reserved), ("ndp_emulation", _emulation)):
        for label, entry in each(data, section):
            yield label, function, entry
    for label, entry in each(data, "adhoc_networks"):
        yield label, _adhoc, entry


def _first_octets(data):
    octets = bytes([addressing.first_octet(bytes(7) + bytes((low,))) for low in range(256)])
    same(octets.hex(), data["mac_first_octet_by_low_byte"], "first octets")


def _mac(entry):
    network_id, address = unhex(entry["network_id"]), unhex(entry["address"])
    mac = addressing.mac_of(network_id, address)
    same(mac, mac_bytes(entry["mac"]), "MAC")
    same(addressing.address_of(network_id, mac).hex(), entry["back"], "address of the MAC")


def _ipv6(entry):
    network_id, address = unhex(entry["network_id"]), unhex(entry["address"])
    for ip, bits, name in (
            (addressing.sixplane(network_id, address), addressing.SIXPLANE_BITS, "sixplane"),
            (addressing.rfc4193(network_id, address), addressing.RFC4193_BITS, "rfc4193")):
        same(ip.hex(), entry[name], name)
        same(f"{inet.ip_text(ip)}/{bits}", entry[name + "_text"], name + " in text")
    same(addressing.mac_of(network_id, address), mac_bytes(entry["mac"]), "MAC")
    same(addressing.controller_of(network_id).hex(), entry["controller"], "controller")


def _resolution_group(entry):
    group = addressing.resolution_group(inet.ip_parse(entry["ip"]))
    same(group[:6], mac_bytes(entry["mac"]), "MAC")
    same(group[6:].hex(), entry["adi_hex"], "ADI")
    same(int.from_bytes(group[6:], "big"), entry["adi"], "ADI as a number")


def _serialize(entry):
    endpoint = None if entry["text"] is None else inet.parse(entry["text"])
    wire = inet.encode(endpoint)
    same(wire.hex(), entry["bytes"], "wire form")
    same(inet.decode(wire, 0, len(wire)), (endpoint, len(wire)), "wire form read")
    if endpoint is not None:
        same(inet.parse(inet.text(endpoint)), endpoint, "text read back")


def _parse(entry):
    wire = unhex(entry["bytes"])
    read = attempt(inet.decode, wire, 0, len(wire))
    if is_optional(entry):
        return
    same(read is not None, entry["ok"], "acceptance")
    if read is not None:
        endpoint, length = read
        same(length, entry["length"], "length")
        same(endpoint, None if entry["text"] is None else inet.parse(entry["text"]), "endpoint")


def _scope(entry):
    ip = inet.ip_parse(entry["ip"])
    same(inet.scope(ip), _SCOPES[entry["scope"]], "scope")
    same(inet.usable_for_path(ip), entry["usable_for_path"], "use for paths")


def _reserved(entry):
    same(identity.is_reserved(unhex(entry["address"])), entry["reserved"], "reservation")


def _emulation(entry):
    network_id, me = unhex(entry["network_id"]), unhex(entry["my_address"])
    mine = config.NetworkConfig(network_id, me)
    mine.flags = config.NDP_EMULATION if entry["ndp_emulation_flag"] else 0
    ip, bits = entry["my_ip"].split("/")
    mine.static_ips = [(inet.ip_parse(ip), int(bits))]
    answer = emulation.advertisement(mine, _IPV6, unhex(entry["solicitation"]))
    same(answer is not None, entry["answered"], "presence of an answer")
    if answer is not None:
        mac, advertisement = answer
        same(mac, mac_bytes(entry["answer_from"]), "MAC of the answer")
        same(addressing.mac_of(network_id, me), mac_bytes(entry["answer_to"]), "own MAC")
        same(advertisement.hex(), entry["answer"], "answer")


def _adhoc(entry):
    network_id, member = unhex(entry["network_id"]), unhex(entry["member"])
    try:
        made = adhoc.config(network_id, member, 0)
    except ValueError:
        return same("NOT_FOUND", entry["status"], "status")
    same(made is not None, entry["has_config"], "presence of a config")
    if made is None:
        return
    expected = entry["config"]
    same(made.name.hex(), expected["name"], "name")
    same(made.public, expected["type"] == "public", "public")
    same("%016x" % made.flags, expected["flags"], "flags")
    same(made.multicast_limit, expected["multicast_limit"], "multicast limit")
    same(made.mtu, expected["mtu"], "MTU")
    same(str(made.revision), expected["revision"], "revision")
    same(str(made.credential_max_delta), expected["credential_time_max_delta"], "largest delta")
    ips = [text.split("/") for text in expected["static_ips"]]
    same(made.static_ips, [(inet.ip_parse(ip), int(bits)) for ip, bits in ips], "addresses")
    same([(roles.to_bytes(3, "big") + address).hex() for address, roles in made.specialists],
         expected["specialists"], "specialists")
    same(made.rules, wire_of(expected["rules"]), "rules")
