"""What a controller issues to a member: config and credentials (spec/controller.md 3)."""

from micropython import const

from mpcore import limits
from mpcore.roles import ip_pool
from mpcore.roles.rules_json import compile_rules, parse_prefix
from mpcore.vl1 import inet
from mpcore.vl2 import config, credentials
from mpcore.vl2.config import NetworkConfig
from mpcore.vl2.credentials import COM, Capability, Ownership, Tag

_MAX_DELTA_MS = const(1800000)
_LEAST_DELTA_MS = const(300000)
_MOST_DELTA_MS = const(7200000)
_OWNERSHIP_ID = const(1)
_ACCEPT = b"\1\0"


def complete(network, member, new, used, entropy):
    """Give a member what the network gives by default: (record, [(ip, prefix length), ...]).

    new: the record did not exist before, so that default capabilities are added. used, entropy:
    as for ip_pool.assign. The record comes back unchanged or as a changed copy.
    """
    completed = dict(member)
    ips, assigned = ip_pool.assign(network, member, used, entropy)
    if assigned:
        completed["ipAssignments"] = member["ipAssignments"] + assigned
    tagged = [tag for tag, _ in member["tags"]]
    completed["tags"] = member["tags"] + [
        [tag["id"], tag["default"]] for tag in network["tags"]
        if tag["default"] is not None and tag["id"] not in tagged]
    if new:
        completed["capabilities"] = member["capabilities"] + [
            capability["id"] for capability in network["capabilities"]
            if capability["default"] and capability["id"] not in member["capabilities"]]
    return completed, ips


def make_config(controller, network, member, holder, ips, bridges, time_ms, rules_revision):
    """The NetworkConfig of a member, with everything in it signed.

    controller: Identity with its private key. network, member: records. holder: the member's
    Identity. ips: from `complete`. bridges: addresses of the active bridges. time_ms: the
    controller's time. rules_revision: of the rules engine the member has, 0 for none.
    """
    network_id = bytes.fromhex(network["id"])
    made = NetworkConfig(network_id, holder.address)
    made.timestamp = time_ms
    made.credential_max_delta = max_delta = _max_delta(network)
    made.revision = network["revision"]
    traced = member if member["remoteTraceTarget"] else network
    if traced["remoteTraceTarget"]:
        made.trace_target = bytes.fromhex(traced["remoteTraceTarget"])
        made.trace_level = traced["remoteTraceLevel"]
    made.flags = _flags(network, member)
    made.multicast_limit = network["multicastLimit"]
    made.public = not network["private"]
    made.name = network["name"].encode()
    made.mtu = network["mtu"]
    made.com = COM.issue(controller, network_id, time_ms, max_delta, holder)
    made.rules = _ACCEPT
    if rules_revision:
        made.rules = compile_rules(network["rules"], limits.RULES)
        made.capabilities = _capabilities(controller, network, member, time_ms)
        made.tags = [Tag.issue(controller, network_id, time_ms, tag, value, holder.address)
                     for tag, value in sorted(member["tags"])]
    if ips:
        owned = [ip for ip, _ in ips[:credentials.MAX_OWNED]]
        made.ownerships = [Ownership.issue(controller, network_id, time_ms, _OWNERSHIP_ID, owned,
                                           holder.address)]
    made.specialists = [(address, config.ACTIVE_BRIDGE) for address in sorted(bridges)]
    made.routes = [_route(route) for route in network["routes"]]
    made.static_ips = ips
    dns = network["dns"]
    if dns:
        made.dns_domain = dns["domain"].encode()
        made.dns_servers = [inet.ip_parse(server) for server in dns["servers"]]
    return made


def _max_delta(network):
    wished = network.get("certificateTimeoutWindowSize", _MAX_DELTA_MS)
    return min(max(wished, _LEAST_DELTA_MS), _MOST_DELTA_MS)


def _flags(network, member):
    flags = config.BROADCAST if network["enableBroadcast"] else 0
    modes = network["v6AssignMode"]
    if not member["noAutoAssignIps"] and (modes["6plane"] or modes["rfc4193"]):
        flags |= config.NDP_EMULATION
    return flags


def _capabilities(controller, network, member, time_ms):
    defined = {capability["id"]: capability["rules"] for capability in network["capabilities"]}
    return [Capability.issue(controller, bytes.fromhex(network["id"]), time_ms, number,
                             compile_rules(defined[number], credentials.MAX_RULES),
                             len(defined[number]), bytes.fromhex(member["address"]))
            for number in sorted(member["capabilities"]) if number in defined]


def _route(route):
    target, bits = parse_prefix(route["target"])
    via = inet.ip_parse(route["via"]) if route["via"] else None
    return target, bits, via, 0, 0
