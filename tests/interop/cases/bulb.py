"""Case 3: the bulb of the demonstration and its game."""

from cases.case import BROADCAST, OURS, Case
from host_tools.demo.figures import Figures
from scene import Unmet, wait_for

REACTIONS = 200
BULB = {"place": [500, 500], "radius": 150, "client": "bulb", "secret": "interop",
        "broadcast": BROADCAST}


def cases(scene):
    yield Case("3", "the bulb and a game whose HTTP runs over libzt's sockets", bulb,
               [*OURS, "libzt", "libzt-2"])


def bulb(scene):
    """A game on libzt; bulbs on both runtimes and, for comparison, on libzt, all at the same time.
    Then as many datagrams without any overlay.

    The one on libzt may stop: what is between it and its game is libzt's alone. Its figures say
    how far it came.
    """
    scene.members["libzt"].call("game", clients={BULB["client"]: BULB["secret"]})
    names = [*OURS, "libzt-2"]
    for name in names:
        scene.ping(name, "libzt")
        scene.ping("libzt", name)
        scene.members[name].call("bulb", config=BULB)
    figures = {}
    for name in names:
        member = scene.members[name]
        try:
            wait_for(f"{REACTIONS} reactions of the bulb on {name}",
                     lambda: len(member.call("reactions")) >= REACTIONS, 40)
        except Unmet as error:
            reached = len(member.call("reactions"))
            if name in OURS or not reached:
                raise Unmet(f"{error}, but {reached}") from None
        figures[name] = _percentiles(member.call("reactions")[:REACTIONS])
    figures["plain_udp"] = _percentiles(scene.plain_udp("libzt", "libzt-2", REACTIONS))
    return figures


def _percentiles(times_ms):
    figures = Figures()
    figures.reactions_ms = times_ms
    return {"reactions": len(times_ms), "p50_ms": figures.percentile(50),
            "p99_ms": figures.percentile(99), "max_ms": figures.percentile(100)}
