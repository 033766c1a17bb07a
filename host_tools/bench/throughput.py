"""Section throughput: bulk TCP between our runtimes and libzt, on a clean and on a bad line."""

import statistics

from host_tools.bench.section import Result, Table, at_least

ABOUT = ("Bulk TCP one way, in MB/s, until the receiver has told that it has all; medians, in "
         "turns, between hosts in network namespaces. The bad line delays 20 ms and loses 5 % "
         "each way; Linux's Reno runs over it for comparison, between MicroPython's own sockets. "
         "Rings are a connection's buffers: the platform's own (mpcore.limits), or 256 KB. libzt "
         "sends as much at once as it may, which a UDP socket does not take with the latter.")

LARGE = 262144
_RENO = "kernel (Reno)"
_SIZE, _BAD_SIZE = 5000000, 500000
_STALL_S = 60           # after that a transfer counts as stalled, at 0 MB/s
_LOSS, _DELAY_MS = 5, 20
_OFTEN = 3              # times as many rounds for what chance decides most
_LEAST_MB_S = 5
_CLEAN = (("micropython", "cpython"), ("cpython", "micropython"), ("micropython", "micropython-2"),
          ("micropython", "libzt"), ("libzt", "micropython"), ("cpython", "libzt"),
          ("libzt", "cpython"), ("libzt", "libzt-2"))
_BAD = (("micropython", "cpython"), ("cpython", "micropython"), ("libzt", "libzt-2"))


def perform(stage, options):
    """{"clean": [...], "bad": [...], "by": what spoils the line}, from inside the namespaces.

    Each entry: {"from", "to", "rings": bytes or None, "MB_s": [each round; 0 for a stall]}.
    """
    from host_tools.bench.stage import warm
    ends = {"micropython": stage.node("micropython", "micropython"),
            "micropython-2": stage.node("micropython-2", "micropython"),
            "cpython": stage.node("cpython", "cpython")}
    if stage.libzt:
        ends["libzt"], ends["libzt-2"] = stage.sdk("libzt"), stage.sdk("libzt-2")
    host = ends["micropython"].host
    for end in (host, ends["cpython"].host):
        end.run("sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno")
        end.leave_nothing_to_hardware()
    kernel = stage.plain(host, "micropython", ends["cpython"].host)
    clean, bad = [
        [(a, b) for a, b in pairs if a in ends and b in ends] for pairs in (_CLEAN, _BAD)]
    for a, b in clean:
        warm(ends[a], ends[b].ip)
    figures = {"clean": [], "bad": [], "by": None}
    rounds = 1 if options.quick else options.rounds
    size, bad_size = (100000, 30000) if options.quick else (_SIZE, _BAD_SIZE)
    for rings in (None, LARGE):
        options.say(f"clean line, rings of {rings or 'their own size'}")
        _set_rings(ends, rings)
        _rounds(figures["clean"], rounds, size, rings,
                [(a, b, ends[a], ends[b]) for a, b in clean if not rings or "libzt" not in a + b])
    _set_rings(ends, None)
    _rounds(figures["clean"], rounds, size, None, [("kernel", "kernel", kernel, kernel)])
    for name in ("micropython", "libzt"):
        if name not in ends:
            continue
        with stage.lab.bad_line(ends[name].host, loss=_LOSS, delay_ms=_DELAY_MS, jitter_ms=0,
                                reorder=0, duplicate=0) as figures["by"]:
            pairs = [(a, b, ends[a], ends[b]) for a, b in bad if name in (a, b)]
            if name == "micropython":
                pairs.append((_RENO, _RENO, kernel, kernel))
            options.say(f"bad line at {name}")
            often = 1 if options.quick or name == "libzt" else _OFTEN
            _rounds(figures["bad"], often * rounds, bad_size, None, pairs)
    return figures


def _set_rings(ends, size):
    for end in ends.values():
        if end.kind != "libzt":
            end.call("rings", size=size)


def _rounds(found, rounds, size, rings, pairs):
    from host_tools.bench.stage import BULK, peers
    entries = [{"from": a, "to": b, "rings": rings, "MB_s": []} for a, b, _, _ in pairs]
    for _ in range(rounds):
        for entry, (_, _, sender, receiver) in zip(entries, pairs):
            try:
                took_s = sender.call("bulk", _STALL_S, ip=receiver.ip, port=BULK, size=size)
                entry["MB_s"].append(size / took_s / 1e6)
            except (TimeoutError, peers.PeerFailure):
                entry["MB_s"].append(0)
    found.extend(entries)


def measure(options):
    from host_tools.bench import stage
    found, missing = stage.performed("throughput", options)
    result = summary(found)
    if missing:
        result.notes.append(f"Without libzt: {missing}")
    return result


def summary(found):
    """The Result of perform()'s figures."""
    tables = []
    for line, title in (("clean", "clean line, MB/s"),
                        ("bad", f"bad line ({found['by']}), MB/s")):
        tables.append(Table(title, ["from", "to", "rings", "median", "least", "most"], [
            [entry["from"], entry["to"], entry["rings"] or "own", median(entry),
             round(min(entry["MB_s"]), 3), round(max(entry["MB_s"]), 3)]
            for entry in found[line]]))
    targets = []
    for entry in found["clean"]:
        if not entry["rings"] and {"micropython", "cpython"} & {entry["from"], entry["to"]}:
            targets.append(at_least(f"{entry['from']} to {entry['to']}", _LEAST_MB_S,
                                    median(entry), "MB/s"))
    reno = next(median(entry) for entry in found["bad"] if entry["from"] == _RENO)
    for entry in found["bad"]:
        if {entry["from"], entry["to"]} == {"micropython", "cpython"}:
            targets.append(at_least(f"bad line, {entry['from']} to {entry['to']}, beside Reno's",
                                    reno, median(entry), "MB/s"))
    return Result(tables, targets, figures=found)


def median(entry):
    return round(statistics.median(entry["MB_s"]), 3)
