"""Cases 6 and 7: what a controller tells its members while they run."""

import time

from cases.case import OURS, POOL_HOSTS, Case
from cases.traffic import FEW_SIZES
from scene import check, wait_for


def cases(scene):
    everybody = list(scene.members)
    yield Case("6", "a config of several compressed chunks", long_config, everybody)
    yield Case("7", "another address and another MTU without a restart", changed_config,
               everybody)
    yield Case("7", "a member that is thrown out is cut off", thrown_out, everybody)


def long_config(scene):
    """700 rules do not fit one packet; every member must still take the next config."""
    rules = []
    for port in range(700):
        rules.append({"type": "MATCH_IP_DEST_PORT_RANGE", "start": 20000 + port,
                      "end": 20000 + port, "or": False, "not": False})
        if port % 50 == 49:
            rules.append({"type": "ACTION_DROP"})
    rules.append({"type": "ACTION_ACCEPT"})
    fragments = scene.recorder.count(source=scene.controller.address, kind="fragment")
    scene.change_network({"rules": rules, "mtu": 2000})
    try:
        for name in scene.members:
            wait_for(f"{name} takes a config with {len(rules)} rules",
                     lambda: scene.status(name)["mtu"] == 2000, 20)
            check(scene.status(name)["status"] == "OK", f"{name} is not OK with many rules")
        fragments = scene.recorder.count(source=scene.controller.address,
                                         kind="fragment") - fragments
        check(fragments > 0, "no config came in fragments")
        for name in OURS:
            scene.ping(name, "libzt")
    finally:
        scene.change_network({"rules": [{"type": "ACTION_ACCEPT"}], "mtu": 2800})
    for name in scene.members:
        wait_for(f"{name} is back", lambda: scene.status(name)["mtu"] == 2800, 20)
    return {"rules": len(rules), "fragments": fragments}


def changed_config(scene):
    figures = {}
    # zerotier-one looks at most every so often which addresses its interface has, and never
    # removes one that it has not seen yet.
    wait_for("addresses are no longer new", lambda: time.monotonic() > scene.enrolled + 10, 11)
    # Nobody gets an address that another had: neighbours would remember its old owner.
    taken = {member.ip for member in scene.members.values()}
    free = (ip for ip in map(str, POOL_HOSTS[100:]) if ip not in taken)
    for name in scene.members:
        old, new = scene.members[name].ip, next(free)
        began = time.monotonic()
        scene.change_member(name, {"ipAssignments": [new]})
        wait_for(f"{name} has {new} instead of {old}",
                 lambda: scene.status(name)["addresses"] == [new], 20)
        figures[f"{name}_address_ms"] = round((time.monotonic() - began) * 1000)
        scene.members[name].ip = new
    began = time.monotonic()
    scene.change_network({"mtu": 1400})
    for name in scene.members:
        wait_for(f"{name} has an MTU of 1400", lambda: scene.status(name)["mtu"] == 1400, 20)
    figures["mtu_ms"] = round((time.monotonic() - began) * 1000)
    for name in OURS:
        for other in scene.foreign:
            scene.ping(name, other)
            scene.ping(other, name)
            scene.udp(name, other, FEW_SIZES)
    scene.change_network({"mtu": 2800})
    for name in scene.members:
        wait_for(f"{name} has an MTU of 2800", lambda: scene.status(name)["mtu"] == 2800, 20)
    return figures


def thrown_out(scene):
    figures = {}
    for name in [*scene.foreign, *OURS]:
        other = "libzt-2" if name == "libzt" else "libzt"
        scene.ping(other, name)
        began = time.monotonic()
        scene.authorize(name, False)
        member = scene.members[other]
        wait_for(f"{other} gets no answer from {name}", lambda: member.call(
            "ping", ip=scene.members[name].ip, timeout_ms=300) is None, 30)
        figures[f"{name}_cut_off_ms"] = round((time.monotonic() - began) * 1000)
        scene.authorize(name)
        began = time.monotonic()
        scene.ready(name)
        scene.ping(other, name, 40)
        figures[f"{name}_back_ms"] = round((time.monotonic() - began) * 1000)
    return figures
