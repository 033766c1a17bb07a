"""Case 7: a private network admits who is authorised."""

import time
from functools import partial

from cases.case import OURS, Case
from scene import ECHO_PORT, check, together, wait_for


def cases(scene):
    yield Case("7", "a private network admits who is authorised, and nobody else", enrol,
               list(scene.members), budget_s=120, enrols=True)
    yield Case("1", "the first ping between members who have just got their addresses",
               first_pings, list(scene.members))


def enrol(scene):
    figures = {}
    for name in scene.members:
        scene.online(name)
    for name in scene.members:
        scene.members[name].call("join", nwid=scene.network)
    for name in scene.members:
        if scene.members[name].kind != "libzt":     # which does not tell
            wait_for(f"{name} shows ACCESS_DENIED",
                     lambda: scene.status(name)["status"] == "ACCESS_DENIED", 30)
    wait_for("the controller knows who has asked",
             lambda: len(scene.controller.members(scene.network)) >= len(scene.members), 30)
    records = scene.controller.members(scene.network)
    for member in scene.members.values():
        check(not records[member.address]["authorized"], f"{member} is a member without asking")
    for name in scene.members:
        check(not scene.status(name)["addresses"], f"{name} has an address already")
    began = time.monotonic()
    for name in scene.members:
        scene.authorize(name)
    for name in scene.members:
        scene.ready(name)
        figures[f"{name}_ready_ms"] = round((time.monotonic() - began) * 1000)
        scene.members[name].call("serve", port=ECHO_PORT)
    scene.enrolled = time.monotonic()
    return figures


def first_pings(scene):
    """All at once, those among ours and those among others for comparison; but not of those pairs
    that are to be strangers in case 4."""
    pairs = [OURS, ("libzt", "libzt-2")]
    for other in scene.foreign:
        pairs += [("cpython", other), (other, "micropython")]
    if "zerotier-one" in scene.members:
        pairs.append(("zerotier-one", "libzt"))
    times = together(*(partial(scene.first_ping, *pair) for pair in pairs))
    return {f"{name}_{other}_ms": ms for (name, other), ms in zip(pairs, times)}
