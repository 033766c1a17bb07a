"""Case 8: broadcasts and multicasts."""

import time

from cases.case import BROADCAST, OURS, Case
from scene import Unmet, check, wait_for

_GROUPS_S = 75          # a real node asks for more listeners of a group once a minute
_SAY_EVERY_S = 0.2
_LEFT_EVERY_S = 0.05
_TOLD_S = 1             # by then all have been told of it who need to be
_SAYINGS = 20


def cases(scene):
    everybody = list(scene.members)
    able = [name for name in everybody if scene.members[name].kind != "libzt"]
    yield Case("8", "a broadcast reaches every member", to_all, everybody, everybody, 4001,
               BROADCAST, None, budget_s=90)
    yield Case("8", "an IPv4 multicast reaches every member but libzt, which has no IGMP", to_all,
               able, able, 4002, "239.18.4.2", "239.18.4.2", budget_s=90)
    yield Case("8", "who has left a group is not sent to any more", left, able, able, 4003,
               "239.18.4.3", budget_s=90)


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


def left(scene, names, port, group):
    """A real node only ever forgets a listener after ten minutes, which takes virtual time
    (tests/core/test_multicast.py). Ours say that they have left, and senders forget them then."""
    to_all(scene, names, port, group, group)
    figures = {}
    for name in OURS:
        scene.members[name].call("leave_group", port=port)
        others = [other for other in names if other != name]

        def all_say():
            for other in others:
                scene.members[other].call("say", ip=group, port=port, text="left?")

        for _ in range(2):      # after the first, whoever keeps lists for others names it again
            all_say()
            time.sleep(_TOLD_S)
        ways = {other: (scene.members[other].address, scene.members[name].address)
                for other in others}
        before = {other: scene.recorder.count(*way) for other, way in ways.items()}
        for _ in range(_SAYINGS):
            all_say()
            time.sleep(_LEFT_EVERY_S)
        for other, way in ways.items():
            copies = scene.recorder.count(*way) - before[other]
            check(copies < _SAYINGS // 2,
                  f"{name} has left, yet {other} sends it {copies} packets")
            figures[f"{other}_{name}_packets"] = copies
    return figures
