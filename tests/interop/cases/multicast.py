"""Case 8: broadcasts and multicasts."""

import time

from cases.case import BROADCAST, Case
from scene import Unmet, wait_for

_GROUPS_S = 75          # a real node asks for more listeners of a group once a minute
_SAY_EVERY_S = 0.2


def cases(scene):
    everybody = list(scene.members)
    able = [name for name in everybody if scene.members[name].kind != "libzt"]
    yield Case("8", "a broadcast reaches every member", to_all, everybody, everybody, 4001,
               BROADCAST, None, budget_s=90)
    yield Case("8", "an IPv4 multicast reaches every member but libzt, which has no IGMP", to_all,
               able, able, 4002, "239.18.4.2", "239.18.4.2", budget_s=90)


def to_all(scene, names, port, ip, group):
    """Each member sends to `ip` again and again until all others have heard it: a real node asks
    for more listeners of a group once a minute."""
    for name in names:
        scene.members[name].call("listen", port=port, group=group)
    unheard = {name: set(names) - {name} for name in names}
    began = time.monotonic()
    figures = {}

    def everybody_heard():
        for name in [name for name in unheard if unheard[name]]:
            scene.members[name].call("say", ip=ip, port=port, text=name)
        time.sleep(_SAY_EVERY_S)
        for other in names:
            for name in set(scene.members[other].call("heard", port=port)):
                unheard[name].discard(other)
        for name, deaf in unheard.items():
            if not deaf and name not in figures:
                figures[name] = round((time.monotonic() - began) * 1000)
        return not any(unheard.values())

    try:
        wait_for("all hear all", everybody_heard, _GROUPS_S)
    except Unmet:
        raise Unmet("; ".join(f"{name} was not heard by {', '.join(sorted(deaf))}"
                              for name, deaf in unheard.items() if deaf)) from None
    return {f"{name}_ms": ms for name, ms in figures.items()}
