"""Rules as people and the controller's API write them, made binary (spec/vl2-rules.md 1, 8)."""

from mpcore.vl1 import inet

_NOT = 0x80
_OR = 0x40

_ACTIONS = {"ACTION_DROP": 0, "ACTION_ACCEPT": 1, "ACTION_BREAK": 5}
_COPIES = {"ACTION_TEE": 2, "ACTION_WATCH": 3, "ACTION_REDIRECT": 4}

# type name: (code, ((field, bytes), ...)) of matches that are a row of integers
_INTEGERS = {
    "MATCH_VLAN_ID": (26, (("vlanId", 2),)),
    "MATCH_VLAN_PCP": (27, (("vlanPcp", 1),)),
    "MATCH_VLAN_DEI": (28, (("vlanDei", 1),)),
    "MATCH_IP_TOS": (35, (("mask", 1), ("start", 1), ("end", 1))),
    "MATCH_IP_PROTOCOL": (36, (("ipProtocol", 1),)),
    "MATCH_ETHERTYPE": (37, (("etherType", 2),)),
    "MATCH_IP_SOURCE_PORT_RANGE": (39, (("start", 2), ("end", 2))),
    "MATCH_IP_DEST_PORT_RANGE": (40, (("start", 2), ("end", 2))),
    "MATCH_CHARACTERISTICS": (41, (("mask", 8),)),
    "MATCH_FRAME_SIZE_RANGE": (42, (("start", 2), ("end", 2))),
    "MATCH_RANDOM": (43, (("probability", 4),)),
    "MATCH_TAGS_DIFFERENCE": (44, (("id", 4), ("value", 4))),
    "MATCH_TAGS_BITWISE_AND": (45, (("id", 4), ("value", 4))),
    "MATCH_TAGS_BITWISE_OR": (46, (("id", 4), ("value", 4))),
    "MATCH_TAGS_BITWISE_XOR": (47, (("id", 4), ("value", 4))),
    "MATCH_TAGS_EQUAL": (48, (("id", 4), ("value", 4))),
    "MATCH_TAG_SENDER": (49, (("id", 4), ("value", 4))),
    "MATCH_TAG_RECEIVER": (50, (("id", 4), ("value", 4))),
}
_ADDRESSES = {"MATCH_SOURCE_ZEROTIER_ADDRESS": 24, "MATCH_DEST_ZEROTIER_ADDRESS": 25}
_MACS = {"MATCH_MAC_SOURCE": 29, "MATCH_MAC_DEST": 30}
_IPS = {"MATCH_IPV4_SOURCE": (31, 4), "MATCH_IPV4_DEST": (32, 4),
        "MATCH_IPV6_SOURCE": (33, 16), "MATCH_IPV6_DEST": (34, 16)}


def compile_rules(rules, most):
    """Binary form of a list of at most `most` rule objects. Raises ValueError naming the fault."""
    if not isinstance(rules, list) or len(rules) > most:
        raise ValueError(f"rules must be a list of at most {most}")
    return b"".join([_compile(rule) for rule in rules])


def _compile(rule):
    if not isinstance(rule, dict):
        raise ValueError(f"not a rule: {rule}")
    kind = rule.get("type")
    try:
        code, operand = _encode(kind, rule)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ValueError(f"rule of type {kind} with a missing or wrong field")
    if code >= 16:
        code |= (_NOT if rule.get("not") else 0) | (_OR if rule.get("or") else 0)
    return bytes((code, len(operand))) + operand


def _encode(kind, rule):
    """(type code, operand)."""
    if kind in _ACTIONS:
        return _ACTIONS[kind], b""
    if kind in _COPIES:
        return _COPIES[kind], (bytes(3) + _hex(rule["address"], 5)
                               + _integer(rule.get("flags", 0), 4)
                               + _integer(rule.get("length", 0), 2))
    if kind in _INTEGERS:
        code, fields = _INTEGERS[kind]
        return code, b"".join([_integer(_field(rule, name), size) for name, size in fields])
    if kind in _ADDRESSES:
        return _ADDRESSES[kind], _hex(rule["zt"], 5)
    if kind in _MACS:
        return _MACS[kind], _hex(rule["mac"].replace(":", ""), 6)
    if kind in _IPS:
        code, size = _IPS[kind]
        ip, bits = parse_prefix(rule["ip"])
        if len(ip) != size:
            raise ValueError("family")
        return code, ip + bytes((bits,))
    if kind == "MATCH_ICMP":
        code = rule.get("icmpCode")
        return 38, (_integer(rule["icmpType"], 1)
                    + (b"\0\0" if code is None else _integer(code, 1) + b"\1"))
    raise ValueError("type")


def parse_prefix(text):
    """(IP, prefix length) of text such as "10.0.0.0/8". Raises ValueError."""
    ip, bits = text.split("/")
    ip = inet.ip_parse(ip)
    if not bits.isdigit() or int(bits) > 8 * len(ip):
        raise ValueError(f"not a prefix length: {bits}")
    return ip, int(bits)


def _field(rule, name):
    if name == "end":
        return rule.get("end", rule.get("start"))
    return rule[name]


def _integer(value, size):
    if size == 8 and isinstance(value, str):
        value = int(value, 16)
    if isinstance(value, bool) or not 0 <= value < 1 << 8 * size:
        raise ValueError("range")
    return value.to_bytes(size, "big")


def _hex(text, size):
    value = bytes.fromhex(text)
    if len(value) != size:
        raise ValueError("length")
    return value
