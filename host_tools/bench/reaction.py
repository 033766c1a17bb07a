"""Section reaction: how soon what is sent is there, beside plain sockets and beside libzt."""

import os

from host_tools.bench.section import Result, Table, at_most

ABOUT = ("64 bytes: echoes by UDP and TCP, and one-way pushes on an open connection, one each "
         "3 ms, timed from the write in one process to the arrival in the other. Nodes use the "
         "aio face; plain are MicroPython's own blocking sockets over the same wire, without "
         "encryption. In turns, each on hosts (network namespaces) of its own. Where the "
         "scheduler puts both ends on one core, they hand it to each other and no core has to "
         "wake; `apart` is with each end on a core of its own, as two hosts are.")

APART = ("node apart", "plain apart")
THINGS = ("udp_echo", "tcp_echo", "udp_push", "tcp_push")
_COUNT = 400
_P99_MS = 3
_TIMES_PLAIN = 3


def perform(stage, options):
    """{"who": {"thing": [microseconds, sorted]}}, from inside the namespaces."""
    from host_tools.bench.stage import warm
    hosts = stage.node("micropython-1", "micropython"), stage.node("micropython-2", "micropython")
    pairs = {"node": hosts,
             "plain": (stage.plain(hosts[0].host, "micropython", hosts[1].host),) * 2}
    if stage.libzt:
        pairs["libzt"] = stage.sdk("libzt-1"), stage.sdk("libzt-2")
    for asking, asked in pairs.values():
        warm(asking, asked.ip)
    figures = {who: {} for who in pairs}
    count = 20 if options.quick else _COUNT
    _ask(pairs, figures, count, options)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        asking = pairs["plain"][0]
        for end, core in zip((*hosts, asking, asking.server), cores[:2] * 2):
            end.keep_to(core)
        pairs = {who: pairs[who.split()[0]] for who in APART}
        figures.update({who: {} for who in pairs})
        _ask(pairs, figures, count, options)
    return {who: {thing: sorted(found) for thing, found in things.items()}
            for who, things in figures.items()}


def _ask(pairs, figures, count, options):
    """Add `options.rounds` rounds of each thing by each pair to the figures."""
    from host_tools.bench.stage import ECHO, PUSH
    for number in range(options.rounds):
        options.say(f"round {number + 1}")
        for thing in THINGS:
            for who, (asking, asked) in pairs.items():
                if thing == "udp_push" and not who.startswith("plain"):
                    continue
                port = PUSH if thing.endswith("push") else ECHO
                figures[who].setdefault(thing, []).extend(asking.call(
                    thing, 120, ip=asked.ip, port=port, count=count))


def quantile(ordered, share):
    """The value that this share of an ordered list does not exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None


def measure(options):
    from host_tools.bench import stage
    found, missing = stage.performed("reaction", options)
    result = summary(found)
    if missing:
        result.notes.append(f"Without libzt: {missing}")
    return result


def summary(found):
    """The Result of perform()'s figures."""
    figures = {who: {thing: {"p50_us": quantile(ordered, .5), "p99_us": quantile(ordered, .99),
                             "count": len(ordered)}
                     for thing, ordered in things.items()} for who, things in found.items()}
    columns = [who for who in ("node", "plain", "libzt", *APART) if who in figures]
    table = Table("p50 / p99, µs", ["what", *columns, "node / plain", "node / libzt",
                                     "apart: node / plain"])
    for thing in THINGS:
        row = [figures[who].get(thing) for who in columns]
        if not any(row):
            continue
        table.rows.append([thing.replace("_", " "), *(
            cell and f"{cell['p50_us']} / {cell['p99_us']}" for cell in row), *(
            times(figures, thing, thing, who) for who in ("plain", "libzt")),
            times(figures, thing, thing, *reversed(APART))])
    udp = figures["plain"]
    return Result([table], [
        at_most("push on an open TCP stream, p99", _P99_MS,
                figures["node"]["tcp_push"]["p99_us"] / 1000, "ms"),
        at_most("push on an open TCP stream, p50 beside plain UDP's", _TIMES_PLAIN,
                figures["node"]["tcp_push"]["p50_us"] / udp["udp_push"]["p50_us"], "times"),
        at_most("UDP echo, p50 beside plain UDP's", _TIMES_PLAIN,
                times(figures, "udp_echo", "udp_echo", "plain"), "times"),
        at_most("TCP echo, p50 beside plain UDP's", _TIMES_PLAIN,
                times(figures, "tcp_echo", "udp_echo", "plain"), "times"),
    ], figures=figures)


def times(figures, thing, other, who, node="node"):
    """The node's p50 of a thing over that of another by somebody else; None where that lacks."""
    ours = figures.get(node, {}).get(thing)
    theirs = figures.get(who, {}).get(other)
    return round(ours["p50_us"] / theirs["p50_us"], 2) if ours and theirs else None
