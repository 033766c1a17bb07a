"""Cases 1 and 2: ICMP, UDP and TCP between two members."""

from functools import partial

from cases.case import OURS, Case
from scene import together

MEGABYTE = 1_000_000
# Two libzt nodes need more than a minute for a megabyte there and back on the bad line.
BAD_LINE_BYTES = 100_000
SIZES = [1, 2, 3, 7, 64, 100, 1000, 1371, 1372, 1373, 1404, 1405, 1432, 1433, 1472, 1500, 2000,
         2771, 2772, 2773, 2799, 2800]
FEW_SIZES = [1, 1372, 2000, 2772, 2800]


def cases(scene):
    yield Case("1", "two libzt nodes through our root and our controller", exchange,
               ["libzt", "libzt-2"], "libzt", "libzt-2")
    for other in scene.foreign:
        for runtime in OURS:
            yield Case("2", f"{runtime} and {other}: ICMP, UDP, TCP both ways", both_ways,
                       [runtime, other], runtime, other)
    for other in scene.foreign:
        yield Case("2", f"the same with {other} on a line that loses, delays, reorders and "
                   "doubles", bad_line, [*OURS, other], other, budget_s=180)


def exchange(scene, name, other):
    """Echoes and a megabyte, from `name` to `other`."""
    figures = {"first_ping_ms": scene.first_ping(name, other)}
    figures["ping_ms"] = min(scene.ping(name, other) for _ in range(5))
    scene.ping(other, name)
    figures |= scene.tcp(name, other, MEGABYTE)
    return figures


def both_ways(scene, name, other):
    figures = {"first_ping_ms": scene.first_ping(name, other)}
    figures["ping_ms"] = min(scene.ping(name, other) for _ in range(5))
    figures["ping_back_ms"] = min(scene.ping(other, name) for _ in range(5))
    for size in (1, 1400, 2772):
        scene.ping(name, other, size=size)
        scene.ping(other, name, size=size)
    for kind, (client, server) in {"client": (name, other), "server": (other, name)}.items():
        scene.udp(client, server, SIZES)
        for key, value in scene.tcp(client, server, MEGABYTE).items():
            figures[f"{kind}_{key}"] = value
    return figures


def bad_line(scene, other):
    """Both runtimes and both directions at the same time, through the other's bad line."""
    def exercise(client, server):
        scene.ping(client, server, 30)
        scene.udp(client, server, FEW_SIZES, timeout_ms=1000, attempts=12)
        done = scene.tcp(client, server, BAD_LINE_BYTES)
        return {f"{client}_{server}_{key}": value for key, value in done.items()}

    pairs = []
    for name in OURS:
        pairs += [(name, other), (other, name)]
    with scene.bad_line(other, loss=5, delay_ms=40, jitter_ms=4, reorder=2, duplicate=2) as means:
        figures = {"means": means, "bytes": BAD_LINE_BYTES}
        for each in together(*(partial(exercise, *pair) for pair in pairs)):
            figures |= each
    return figures
