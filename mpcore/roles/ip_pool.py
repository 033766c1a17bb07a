"""Which IP addresses a member of a network gets (spec/controller.md 4)."""

from mpcore.roles.rules_json import parse_prefix
from mpcore.vl1 import inet
from mpcore.vl2 import addressing

_MAX_IPS = 32
_TRIALS = 1000
_WHOLE_ADDRESS = 0xFFFFFFFFFF


def assign(network, member, used, entropy):
    """The addresses of one member: ([(ip, prefix length), ...], [new entries of ipAssignments]).

    network, member: records. used(text): whether a member of the network has this IP.
    entropy(n): n random bytes.
    """
    network_id, address = bytes.fromhex(network["id"]), bytes.fromhex(member["address"])
    automatic = not member["noAutoAssignIps"]
    modes = network["v6AssignMode"]
    ips = []
    if automatic and modes["rfc4193"]:
        ips.append((addressing.rfc4193(network_id, address), addressing.RFC4193_BITS))
    if automatic and modes["6plane"]:
        ips.append((addressing.sixplane(network_id, address), addressing.SIXPLANE_BITS))
    routes = [parse_prefix(route["target"]) + (route["via"],) for route in network["routes"]]
    families = set()
    for text in member["ipAssignments"]:
        ip = inet.ip_parse(text)
        matching = [bits for target, bits, _ in routes if within(ip, target, bits)]
        if matching:
            ips.append((ip, max(matching)))
            families.add(len(ip))
    new = []
    for family, wanted in ((16, modes["zt"]), (4, network["v4AssignMode"]["zt"])):
        if automatic and wanted and family not in families:
            found = _from_pools(network["ipAssignmentPools"], family, routes, used, address,
                                entropy)
            if found is not None:
                text, ip, bits = found
                ips.append((ip, bits))
                new.append(text)
    return ips[:_MAX_IPS], new


def within(ip, target, bits):
    """Whether an IP lies in target/bits; never where they are of different families."""
    if len(ip) != len(target):
        return False
    shift = 8 * len(ip) - bits
    return int.from_bytes(ip, "big") >> shift == int.from_bytes(target, "big") >> shift


def _from_pools(pools, family, routes, used, address, entropy):
    """(text, ip, prefix length) from the first pool of a family with a free one; else None."""
    for pool in pools:
        start, end = inet.ip_parse(pool["ipRangeStart"]), inet.ip_parse(pool["ipRangeEnd"])
        if len(start) != family:
            continue
        if family == 4:
            candidates = _v4_candidates(start, end, address)
        else:
            candidates = _v6_candidates(start, end, address, entropy)
        for ip in candidates:
            bits = _first_route(ip, routes)
            text = inet.ip_text(ip)
            if bits is not None and not used(text):
                return text, ip, bits
    return None


def _first_route(ip, routes):
    """Prefix length of the first route that an assigned IP may belong to."""
    for target, bits, via in routes:
        if within(ip, target, bits) and (len(ip) == 4 or via is None):
            return bits
    return None


def _v4_candidates(start, end, address):
    low = int.from_bytes(start, "big")
    length = int.from_bytes(end, "big") - low
    wish = int.from_bytes(address[1:], "big")
    for k in range(min(_TRIALS, length + 1)):
        ip = (low + (wish + k) % length if length else low).to_bytes(4, "big")
        if ip[3] != 255:
            yield ip


def _v6_candidates(start, end, address, entropy):
    low, high = int.from_bytes(start, "big"), int.from_bytes(end, "big")
    low_half, high_half = int.from_bytes(start[8:], "big"), int.from_bytes(end[8:], "big")
    if high_half - low_half >= _WHOLE_ADDRESS:
        yield (low + int.from_bytes(address, "big")).to_bytes(16, "big")
    for _ in range(_TRIALS):
        offset = int.from_bytes(entropy(16), "big") % (high - low + 1)
        yield (low + offset).to_bytes(16, "big")
