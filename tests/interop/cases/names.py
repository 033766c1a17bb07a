"""Names: mDNS and a network's DNS between ours and the kernel of a zerotier-one's host."""

import time

from cases.case import OURS, Case
from scene import check, wait_for

_GROUPS_S = 75          # a real node asks for more listeners of a group once a minute
_CONFIG_S = 30
_LOOKUP_S = 60          # longer than any takes
_DESKTOP = "zerotier-one"


def cases(scene):
    if _DESKTOP in scene.members:
        members = [_DESKTOP, *OURS]
        yield Case("names", "a board is found by its hostname, and who comes second takes another",
                   by_hostname, members, budget_s=4 * _GROUPS_S)
        yield Case("names", "members ask the servers that the controller names", by_servers,
                   members, budget_s=90)


def by_hostname(scene):
    figures = {}

    def finds(asker, name, owner):
        began = time.monotonic()
        wait_for(f"{asker} finds {name}", lambda: _found(scene, asker, name)
                 == [scene.members[owner].ip], _GROUPS_S)
        figures[f"{asker}_{name}_ms"] = round((time.monotonic() - began) * 1000)

    first, second = OURS
    scene.members[first].call("answer_for", hostname="bulb")
    finds(_DESKTOP, "bulb.local", first)
    finds(second, "bulb.local", first)
    scene.members[second].call("answer_for", hostname="bulb")
    finds(_DESKTOP, "bulb-2.local", second)
    finds(_DESKTOP, "bulb.local", first)
    return figures


def by_servers(scene):
    server = scene.members[_DESKTOP]
    server.call("serve_names", ip=server.ip, names={"lamp.lab.example": "192.0.2.7"})
    scene.change_network({"dns": {"domain": "lab.example", "servers": [server.ip]}})
    try:
        for name in OURS:
            wait_for(f"{name} finds lamp.lab.example",
                     lambda: _found(scene, name, "lamp") == ["192.0.2.7"], _CONFIG_S)
            check(not _found(scene, name, "lump.lab.example"), f"{name} finds what there is not")
    finally:
        scene.change_network({"dns": []})


def _found(scene, asker, name):
    return scene.members[asker].call("resolve", _LOOKUP_S, name=name)
