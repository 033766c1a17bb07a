"""Case 6: what packets are armored with."""

import time

from cases.case import OURS, Case
from scene import check

_RECORDED_S = 5         # for the recorder to have seen what has been answered


def cases(scene):
    yield Case("6", "ciphers on the wire", ciphers, list(scene.members))


def ciphers(scene):
    """Nodes of hosts prefer AES among each other; whoever talks to a board keeps to Salsa20."""
    figures = {}
    members = scene.members
    for name in OURS:
        for other in [*scene.foreign, "micropython" if name == "cpython" else "cpython"]:
            scene.ping(name, other)
            scene.ping(other, name)
            pair = members[name].address, members[other].address
            salsa, aes = (sum(scene.recorder.count(*way, kind=kind) for way in (pair, pair[::-1]))
                          for kind in (1, 3))
            figures[f"{name}_{other}_salsa"], figures[f"{name}_{other}_aes"] = salsa, aes
            if "micropython" in (name, other):
                check(salsa and not aes, f"{name} and {other}: {aes} packets under AES")
            else:
                before = aes
                scene.udp(name, other, [100] * 20)
                end = time.monotonic() + _RECORDED_S
                while aes < before + 40 and time.monotonic() < end:
                    aes = sum(scene.recorder.count(*way, kind=3) for way in (pair, pair[::-1]))
                check(aes >= before + 40, f"{name} and {other}: only {aes - before} packets of "
                      "some 40 under AES")
    return figures
