"""Case 5: behind address- and port-rewriting NAT."""

import time
from functools import partial

from cases.case import Case
from cases.paths import MOVE_S, moves
from cases.traffic import MEGABYTE
from scene import check, together


def cases(scene):
    for other in scene.foreign:
        yield Case("5", f"cpython and {other} behind cone NAT meet directly", behind_nat,
                   ["cpython", other], other, False)
        yield Case("5", f"cpython and {other} behind symmetric NAT are relayed", behind_nat,
                   ["cpython", other], other, True)


def behind_nat(scene, other, symmetric):
    names = [scene.add_behind_nat(kind, symmetric) for kind in ("cpython", other)]
    try:
        together(*(partial(scene.enrol, name) for name in names))
        figures = {"first_ping_ms": scene.first_ping(*names)}
        connection = scene.connect(*names)
        if symmetric:
            # As long as moving to a direct path might take.
            end = time.monotonic() + MOVE_S
            while time.monotonic() < end:
                connection.transfer(20_000)
            one, two = (scene.members[name].address for name in names)
            relayed, direct = (scene.recorder.count(one, two, direct=way)
                               for way in (False, True))
            # Probes do go straight to where the other was said to be, and are lost.
            check(relayed > 10 * direct, f"{direct} packets past the root, {relayed} through it")
        else:
            figures["to_direct_s"] = moves(scene, *names, True, connection, MOVE_S)
        figures["transfer_ms"] = connection.transfer(MEGABYTE)
        figures["ping_ms"] = min(scene.ping(*names) for _ in range(5))
        return figures
    finally:
        for name in names:
            scene.remove(name)
