"""What lasts: over restarts of root, controller and members, and over leaving a network."""

import time

from cases.case import OURS, Case
from scene import ECHO_PORT, check, wait_for

_KNOWN_S = 60           # a real node greets its root again within that time
_BACK_S = 75            # and tells once a minute which groups it listens to


def cases(scene):
    names = [*OURS, *scene.foreign]
    if "zerotier-one" in scene.members:
        yield Case("2", "zerotier-one lists our nodes by version and path", listed,
                   [*OURS, "zerotier-one"])
    yield Case("1", "root and controller are restarted, and then the members, who stay who they "
               "were", restarted, names, names, budget_s=300)
    yield Case("7", "members leave and come back", left, names, names, budget_s=240)


def listed(scene):
    """What `zerotier-cli peers` shows."""
    figures = {}
    for name in OURS:
        member = scene.members[name]
        scene.ping("zerotier-one", name)
        known = scene.members["zerotier-one"].call("peers")[member.address]
        check(known["version"] == member.version, f"{name} is listed as {known['version']}, "
              f"not {member.version}")
        check(any(path.startswith(member.host.ip + "/") for path in known["paths"]),
              f"{name} is at {member.host.ip}, listed at {known['paths']}")
        figures[name] = known
    return figures


def restarted(scene, names):
    figures = {}
    pairs = list(zip(names, names[1:]))
    for pair in pairs:
        scene.ping(*pair)
    before = scene.controller.members(scene.network)
    for service in scene.services:
        scene.restart_service(service)
    check({address for address, record in before.items() if record["authorized"]}
          == {address for address, record in scene.controller.members(scene.network).items()
              if record["authorized"]}, "the controller does not remember its members")
    for pair in pairs:
        scene.ping(*pair)
    addresses = {scene.members[name].address for name in names}
    began = time.monotonic()
    wait_for("the root knows everybody", lambda: addresses <= set(scene.root.peers()), _KNOWN_S)
    figures["root_knows_s"] = round(time.monotonic() - began, 1)
    for name in names:
        ip = scene.members[name].ip
        scene.restart(name)
        began = time.monotonic()
        scene.online(name)
        _join(scene, name)
        check(scene.members[name].ip == ip, f"{name} had {ip}, now {scene.members[name].ip}")
        scene.members[name].call("serve", port=ECHO_PORT)
        scene.ping(_other(name), name, _BACK_S)
        figures[f"{name}_back_s"] = round(time.monotonic() - began, 1)
    return figures


def left(scene, names):
    figures = {}
    for name in names:
        scene.ping(_other(name), name)
        scene.members[name].call("leave", nwid=scene.network)
        other, ip = scene.members[_other(name)], scene.members[name].ip
        wait_for(f"{name} is gone", lambda: other.call("ping", ip=ip, timeout_ms=300) is None, 10)
        began = time.monotonic()
        _join(scene, name)
        check(scene.members[name].ip == ip, f"{name} had {ip}, now {scene.members[name].ip}")
        scene.ping(_other(name), name, _BACK_S)
        figures[f"{name}_back_s"] = round(time.monotonic() - began, 1)
    return figures


def _join(scene, name):
    scene.members[name].call("join", nwid=scene.network)
    scene.ready(name)


def _other(name):
    return "libzt-2" if name == "cpython" else "cpython"
