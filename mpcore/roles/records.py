"""Networks and members as a controller keeps them (spec/controller.md 8).

A record is a dict of what JSON can hold, under the names of the reference's API. It is never
changed in place: `update_network` and `update_member` give a new one.
"""

from mpcore import limits
from mpcore.roles.rules_json import compile_rules, parse_prefix
from mpcore.vl1 import inet
from mpcore.vl2 import config, credentials

_MAX_ROUTES = 128
_MAX_POOLS = 64
_MAX_NAME = 127
_MAX_IPS = 32
_MAX_DNS_SERVERS = 4
_UINT32 = 0xFFFFFFFF
_TIME = 0x7FFFFFFFFFFFFFFF

# Fields without a default that nobody sets through the API.
_STORED_ONLY = ("identity", "certificateTimeoutWindowSize")


def new_network(network_id, time_ms):
    """The record of a network that nobody has configured yet."""
    text = network_id.hex()
    return {"id": text, "nwid": text, "objtype": "network", "name": "", "private": True,
            "enableBroadcast": True, "multicastLimit": 32, "mtu": config.DEFAULT_MTU,
            "v4AssignMode": {"zt": False},
            "v6AssignMode": {"rfc4193": False, "6plane": False, "zt": False},
            "routes": [], "ipAssignmentPools": [], "rules": [{"type": "ACTION_ACCEPT"}],
            "capabilities": [], "tags": [], "authTokens": {}, "dns": {}, "remoteTraceTarget": None,
            "remoteTraceLevel": 0, "rulesSource": "", "ssoEnabled": False, "clientId": "",
            "authorizationEndpoint": "", "creationTime": time_ms, "revision": 0}


def new_member(network_id, address, time_ms):
    """The record of a member of whom nothing is known yet."""
    return {"id": address.hex(), "address": address.hex(), "nwid": network_id.hex(),
            "objtype": "member", "authorized": False, "activeBridge": False,
            "noAutoAssignIps": False, "ipAssignments": [], "tags": [], "capabilities": [],
            "authenticationExpiryTime": 0, "remoteTraceTarget": None, "remoteTraceLevel": 0,
            "vMajor": -1, "vMinor": -1, "vRev": -1, "vProto": -1, "lastAuthorizedTime": 0,
            "lastDeauthorizedTime": 0, "lastAuthorizedCredentialType": None,
            "lastAuthorizedCredential": None, "ssoExempt": False, "creationTime": time_ms,
            "revision": 0}


def update_network(record, fields):
    """A copy of a network's record with some fields set. Raises ValueError naming a bad one."""
    return _update(record, fields, _NETWORK, "network")


def update_member(record, fields, time_ms):
    """A copy of a member's record with some fields set. Raises ValueError naming a bad one."""
    updated = _update(record, fields, _MEMBER, "member")
    if updated["authorized"] != record["authorized"]:
        set_authorized(updated, updated["authorized"], time_ms, "api")
    return updated


def set_authorized(record, authorized, time_ms, how, credential=None):
    """Note in a new record when and by what (api, public, token) a member was let in or out."""
    record["authorized"] = authorized
    if authorized:
        record["lastAuthorizedTime"] = time_ms
        record["lastAuthorizedCredentialType"] = how
        record["lastAuthorizedCredential"] = credential
    else:
        record["lastDeauthorizedTime"] = time_ms


def restore_network(network_id, stored):
    """The record of a network from what was stored, also by the reference. Raises ValueError."""
    return _restore(new_network(network_id, 0), stored, _NETWORK, "network")


def restore_member(network_id, address, stored):
    """The record of a member from what was stored, also by the reference. Raises ValueError."""
    return _restore(new_member(network_id, address, 0), stored, _MEMBER, "member")


def _restore(fresh, stored, checks, what):
    if not isinstance(stored, dict):
        raise ValueError(f"the record of a {what} must be an object")
    settable = {name: stored[name] for name in stored if name in checks}
    record = _update(fresh, settable, checks, what)
    for name in stored:
        if name not in checks and (name in fresh or name in _STORED_ONLY):
            record[name] = stored[name]
    return record


def _update(record, fields, checks, what):
    if not isinstance(fields, dict):
        raise ValueError(f"the fields of a {what} must be an object")
    updated = dict(record)
    for name in fields:
        if name not in checks:
            raise ValueError(f"a {what} has no field '{name}' that can be set")
        try:
            updated[name] = checks[name](fields[name])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{name}: {error}")
    return updated


def _boolean(value):
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {value}")
    return value


def _integer(low, high):
    def check(value):
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}, not {value}")
        return value
    return check


_uint32 = _integer(0, _UINT32)


def _name(value):
    if not isinstance(value, str) or len(value.encode()) > _MAX_NAME:
        raise ValueError(f"must be text of at most {_MAX_NAME} bytes")
    return value


def _list(value, most):
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"must be a list of at most {most}")
    return value


def _object(value, keys):
    if not isinstance(value, dict):
        raise ValueError(f"must be an object, not {value}")
    for key in value:
        if key not in keys:
            raise ValueError(f"unknown key '{key}'")
    return value


def _assign_mode(keys):
    def check(value):
        if isinstance(value, str):
            value = {key: True for key in value.split(",") if key}
        _object(value, keys)
        return {key: _boolean(value.get(key, False)) for key in keys}
    return check


def _route(value):
    _object(value, ("target", "via"))
    ip, bits = parse_prefix(value["target"])
    via = value.get("via")
    if via is not None:
        via = inet.ip_parse(via)
        if len(via) != len(ip):
            raise ValueError("target and via must be of the same family")
        via = inet.ip_text(via)
    return {"target": f"{inet.ip_text(ip)}/{bits}", "via": via}


def _pool(value):
    _object(value, ("ipRangeStart", "ipRangeEnd"))
    start, end = inet.ip_parse(value["ipRangeStart"]), inet.ip_parse(value["ipRangeEnd"])
    if len(start) != len(end) or start > end:
        raise ValueError("a pool's start must not be above its end")
    return {"ipRangeStart": inet.ip_text(start), "ipRangeEnd": inet.ip_text(end)}


def _rules(value):
    compile_rules(value, limits.RULES)
    return value


def _capability(value):
    _object(value, ("id", "default", "rules"))
    rules = value.get("rules", [])
    compile_rules(rules, credentials.MAX_RULES)
    return {"id": _uint32(value["id"]), "default": _boolean(value.get("default", False)),
            "rules": rules}


def _tag(value):
    _object(value, ("id", "default"))
    default = value.get("default")
    return {"id": _uint32(value["id"]),
            "default": None if default is None else _uint32(default)}


def _tokens(value):
    if not value or value == [None]:
        return {}
    _object(value, value)
    return {token: _integer(0, _TIME)(value[token]) for token in value}


def _dns(value):
    if not value:
        return {}
    _object(value, ("domain", "servers"))
    servers = _list(value.get("servers", []), _MAX_DNS_SERVERS)
    return {"domain": _name(value.get("domain", "")),
            "servers": [inet.ip_text(inet.ip_parse(ip)) for ip in servers]}


def _trace_target(value):
    if value is not None and (len(value) != 10 or len(bytes.fromhex(value)) != 5):
        raise ValueError("must be an address of 10 hex digits or null")
    return value


def _pair(value):
    tag, number = value
    return [_uint32(tag), _uint32(number)]


def _many(check, most):
    return lambda value: [check(item) for item in _list(value, most)]


_TRACE = {"remoteTraceTarget": _trace_target, "remoteTraceLevel": _integer(0, _UINT32)}

_NETWORK = {
    "name": _name, "private": _boolean, "enableBroadcast": _boolean, "multicastLimit": _uint32,
    "mtu": _integer(config.MIN_MTU, config.MAX_MTU),
    "v4AssignMode": _assign_mode(("zt",)),
    "v6AssignMode": _assign_mode(("rfc4193", "6plane", "zt")),
    "routes": _many(_route, _MAX_ROUTES), "ipAssignmentPools": _many(_pool, _MAX_POOLS),
    "rules": _rules, "capabilities": _many(_capability, config.MAX_CAPABILITIES),
    "tags": _many(_tag, config.MAX_TAGS), "authTokens": _tokens, "dns": _dns,
}
_NETWORK.update(_TRACE)

_MEMBER = {
    "name": _name, "authorized": _boolean, "activeBridge": _boolean, "noAutoAssignIps": _boolean,
    "ipAssignments": _many(lambda text: inet.ip_text(inet.ip_parse(text)), _MAX_IPS),
    "tags": _many(_pair, config.MAX_TAGS),
    "capabilities": _many(_uint32, config.MAX_CAPABILITIES),
    "authenticationExpiryTime": _integer(0, _TIME),
}
_MEMBER.update(_TRACE)
