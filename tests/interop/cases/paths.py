"""Case 4: relay first, direct later, and back."""

import time

from cases.case import OURS, Case
from scene import wait_for

MOVE_S = 10             # within which both ends move to a direct path
_FALLBACK_S = 6         # after which a Filament node leaves a path that does not answer
_SLACK_S = 4


def cases(scene):
    strangers = [(runtime, "libzt-2") for runtime in OURS]
    if "zerotier-one" in scene.members:
        strangers.append(("cpython-2", "zerotier-one"))
    for name, other in strangers:
        yield Case("4", f"{name} and {other}: relayed while blocked, direct afterwards", blocked,
                   [name, other], name, other, budget_s=90)
    yield Case("4", "cpython and micropython fall back to the relay and return", path_lost,
               list(OURS), *OURS, budget_s=90)


def moves(scene, name, other, direct, connection, timeout_s):
    """Wait until the frames of both ends go this way; returns the seconds it took."""
    ends = [scene.members[each].address for each in (name, other)]

    def goes():
        before = [scene.recorder.count(a, b, direct=not direct) for a, b in (ends, ends[::-1])]
        there = [scene.recorder.count(a, b, direct=direct) for a, b in (ends, ends[::-1])]
        connection.transfer(2000, 40)
        now = [scene.recorder.count(a, b, direct=not direct) for a, b in (ends, ends[::-1])]
        fresh = [scene.recorder.count(a, b, direct=direct) for a, b in (ends, ends[::-1])]
        return now == before and all(f > t for f, t in zip(fresh, there))

    began = time.monotonic()
    way = "direct" if direct else "relayed"
    wait_for(f"the frames of {name} and {other} are {way}", goes, timeout_s)
    return round(time.monotonic() - began, 2)


def blocked(scene, name, other):
    """For two that have not talked to each other before."""
    one, two = scene.members[name].host, scene.members[other].host
    one.block(two)
    two.block(one)
    try:
        figures = {"relayed_first_ping_ms": scene.first_ping(name, other, 30)}
        scene.ping(other, name)
        connection = scene.connect(name, other)
        connection.transfer(100_000)
        figures["relayed_ping_ms"] = min(scene.ping(name, other) for _ in range(5))
        moves(scene, name, other, False, connection, 10)
    finally:
        one.unblock()
        two.unblock()
    figures["to_direct_s"] = moves(scene, name, other, True, connection, MOVE_S)
    connection.transfer(100_000)
    connection.close()
    figures["direct_ping_ms"] = min(scene.ping(name, other) for _ in range(5))
    return figures


def path_lost(scene, name, other):
    figures = {"first_ping_ms": scene.first_ping(name, other)}
    connection = scene.connect(name, other)
    moves(scene, name, other, True, connection, MOVE_S)
    one, two = scene.members[name].host, scene.members[other].host
    one.block(two)
    two.block(one)
    began = time.monotonic()
    try:
        scene.ping(name, other, _FALLBACK_S + _SLACK_S)
        figures["to_relay_s"] = round(time.monotonic() - began, 2)
        moves(scene, name, other, False, connection, 30)
        figures["tcp_resumed_s"] = round(time.monotonic() - began, 2)
    finally:
        one.unblock()
        two.unblock()
    figures["to_direct_s"] = moves(scene, name, other, True, connection, MOVE_S)
    connection.close()
    return figures
