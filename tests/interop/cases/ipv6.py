"""Case 10: ad-hoc networks, and IPv6 by every way to an address: 6PLANE, RFC 4193, a pool."""

import ipaddress
import time

from cases.case import OURS, Case, joined
from mpcore.vl2 import addressing
from scene import POOL, check, wait_for

ADHOC = "ff00160016000000"      # TCP may be opened to port 22 only
_OPEN_PORT, _CLOSED_PORT = 22, 23
_SIZES = (16, 1400, 2700)
_BYTES = 200_000
_PREFIX = "fd5a:17::"
_FILTERED_S = 1.5               # a connection that is let through is open long before
_PATIENCE_S = 20                # lwIP and kernels ask for a neighbour several times
_NO_IPV4 = {"v4AssignMode": {"zt": False}, "routes": [], "ipAssignmentPools": []}


def cases(scene):
    everybody = list(scene.members)
    yield Case("10", "an ad-hoc network: its addresses, ping, TCP to its port and to no other",
               adhoc, everybody, budget_s=120)
    for title, number, fields, address in (
            ("6PLANE", "000006", {"v6AssignMode": {"6plane": True}}, addressing.sixplane),
            ("RFC 4193", "004193", {"v6AssignMode": {"rfc4193": True}}, addressing.rfc4193),
            ("a pool, its neighbours being discovered", "004861", {
                "v6AssignMode": {"zt": True},
                "routes": [{"target": f"{_PREFIX}/64", "via": None}],
                "ipAssignmentPools": [{"ipRangeStart": f"{_PREFIX}1:0",
                                       "ipRangeEnd": f"{_PREFIX}1:ffff"}]}, None)):
        yield Case("10", f"IPv6 on a controller's network: addresses by {title}", controlled,
                   everybody, number, fields, address, budget_s=120)


def adhoc(scene):
    with joined(scene, ADHOC, scene.members, _find(ADHOC, addressing.sixplane)) as ips:
        for name in ips:
            for port in (_OPEN_PORT, _CLOSED_PORT):
                scene.members[name].call("serve", port=port, ip="::")
        figures = _all_pairs(scene, ips, _OPEN_PORT)
        tries = {pair: scene.members[pair[0]].ask("open", ip=ips[pair[1]], port=_CLOSED_PORT)
                 for pair in _pairs(scene)}
        time.sleep(_FILTERED_S)
        for (name, other), answer in tries.items():
            check(not answer.done(), f"{name} opens port {_CLOSED_PORT} of {other}")
        return figures | {"filtered": len(tries)}


def controlled(scene, number, fields, address):
    network = scene.controller.open_network(POOL, number, **_NO_IPV4 | fields)
    port = int(number)
    for member in scene.members.values():
        scene.controller.change_member(network, member.address, {"authorized": True})
    with joined(scene, network, scene.members, _find(network, address)) as ips:
        for name in ips:
            scene.members[name].call("serve", port=port, ip="::")
        return _all_pairs(scene, ips, port)


def _find(network, address):
    """Finds the IPv6 address of a member, which must be address(network ID, member's address)
    where that is given."""
    def find(member, status):
        ips = [str(ipaddress.ip_address(ip)) for ip in status["addresses"] if ":" in ip]
        if ips and address is not None:
            expected = address(bytes.fromhex(network), bytes.fromhex(member.address))
            check(ips == [str(ipaddress.ip_address(expected))], f"{member} has {ips}")
        return ips[0] if ips else None

    return find


def _pairs(scene):
    """Who tries to reach whom: ours and each foreign kind both ways; two libzt, for comparison."""
    for name in OURS:
        for other in scene.foreign:
            yield name, other
            yield other, name
    yield OURS
    yield "libzt", "libzt-2"


def _all_pairs(scene, ips, port):
    return {f"{name}_{other}": _exchange(scene, ips, name, other, port)
            for name, other in _pairs(scene)}


def _exchange(scene, ips, name, other, port):
    """Echoes, and TCP there and back."""
    member = scene.members[name]
    times = [wait_for(f"{name} gets an echo of {size} bytes from {other} over IPv6",
                      lambda: member.call("ping", ip=ips[other], size=size, timeout_ms=500),
                      _PATIENCE_S) for size in _SIZES]
    opened = member.call("open", timeout_s=60, ip=ips[other], port=port)
    done = member.call("transfer", timeout_s=60, connection=opened["connection"], size=_BYTES)
    check(done["intact"], f"TCP over IPv6 from {name} to {other}: not what was sent comes back")
    member.call("close", connection=opened["connection"])
    return {"ping_ms": round(min(times), 2), "connect_ms": round(opened["ms"], 2),
            "transfer_ms": round(done["ms"], 1)}
