"""Rules as the vectors describe them, made into entries of the product (spec/vl2-rules.md 4)."""

import struct

from mpcore.vl2 import rules

from host_tools.vector_checks import same, unhex

# Type: (struct format, names of the fields in the operand's order); text fields are hex.
_OPERANDS = {
    24: ("", "address"), 25: ("", "address"), 26: (">H", "vlan_id"), 27: (">B", "vlan_pcp"),
    28: (">B", "vlan_dei"), 29: ("", "mac"), 30: ("", "mac"), 35: (">BBB", "mask from to"),
    36: (">B", "ip_protocol"), 37: ("", "ethertype"),
    38: (">BBB", "icmp_type icmp_code icmp_flags"), 39: (">HH", "port_from port_to"),
    40: (">HH", "port_from port_to"), 41: ("", "characteristics"),
    42: (">HH", "size_from size_to"), 43: (">I", "probability"),
}


def entry_of(rule):
    """The (type byte, operand) of a described rule, as mpcore.vl2.rules has it."""
    kind = rule["type"]
    t = kind | (rules.NOT if rule["not"] else 0) | (rules.OR if rule["or"] else 0)
    same(t, rule["t"], "type byte")
    return t, _operand(kind, rule)


def wire_of(described):
    """The binary form of a list of described rules."""
    return rules.emit([entry_of(rule) for rule in described])


def _operand(kind, rule):
    if 2 <= kind <= 4:
        target = bytes(3) + unhex(rule["address"])
        return target + struct.pack(">IH", rule["flags"], rule["length"])
    if 31 <= kind <= 34:
        return unhex(rule["ip"]) + bytes((rule["bits"],))
    if 44 <= kind <= 50:
        return struct.pack(">II", rule["tag_id"], rule["tag_value"])
    if kind == 51:
        start = unhex(rule["start"])
        end = int.from_bytes(start, "big") + rule["end_minus_start"]
        return start + struct.pack(">QHB", end, rule["index"], rule["format"])
    if kind not in _OPERANDS:
        return b""
    form, names = _OPERANDS[kind]
    values = [rule[name] for name in names.split(" ")]
    return struct.pack(form, *values) if form else unhex(values[0])
