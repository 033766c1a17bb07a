"""Thousands of TCP connections over bad paths, in virtual time: what becomes of each.

    python -m host_tools.tcp_sweep --output build/tcp-sweep.svg --json build/tcp-sweep.json

A client sends, and ends its half; the server answers with a quarter of that, and closes. Both
check every byte. Each connection must end with everything delivered in order, or with an error on
a side that lacks something; one that does neither is wrong, one that does not end hangs. Exit
status 1 tells of either.

The chart shows the throughput of single connections against the loss of packets, with small rings
(a board's) and large ones (a host's, with window scaling and timestamps), where packets are only
lost, and where they are also late, doubled, damaged and met by changes of the MTU. Beside that
`crowd` runs many connections at a time over the worst paths, half of them in IPv6; some paths are
cut, some connections are dropped by their application.
"""

import argparse
import json
import sys
from multiprocessing import Pool
from pathlib import Path as File
from statistics import median, quantiles

from host_tools.chart import line_chart
from host_tools.simulation.path import Conditions, Path
from mpcore.ip import errors
from mpcore.ip.tcp import CLOSED, TcpSocket

LOSSES = (0, 1, 2, 3, 5, 7, 10, 15, 20, 25, 30)
SMALL, LARGE = None, 262144             # bytes of each ring; None: the board's
SIZES = {SMALL: 60000, LARGE: 400000}
SEEDS = 30
CROWDS, CROWD = 8, 16                   # paths of each loss, and connections on each
HANG_MS = 3600000
ALIVE_MS = 60000                        # keepalive: who only reads learns of a path that was cut

_MTUS = (576, 1000, 1280, 1400)
_MTUS6 = (1280, 1300, 1400)
_PORT = 80


class Exchange:
    """One connection: both applications, and what they saw."""

    def __init__(self, path, size, begin_ms=0, abort_ms=None):
        self.path = path
        self.request = path.random.randbytes(size)
        self.reply = path.random.randbytes(size >> 2)
        self.server = None
        self.client = TcpSocket(path.client)
        self.ends = [self._Side(self, self.request, self.reply)]
        self.delivered_ms = None
        self.begin_ms = begin_ms
        path.at(begin_ms, self._begin)
        if abort_ms is not None:
            path.at(abort_ms, self._abort)

    class _Side:
        """What one application has sent and received so far."""

        def __init__(self, exchange, outgoing, expected):
            self.exchange = exchange
            self.outgoing = outgoing
            self.expected = expected
            self.received = bytearray()
            self.ended = False
            self.sent = 0
            self.error = 0

        def turn(self, socket, answers):
            """Read what there is, write what may be written. answers: not before the end of what
            comes."""
            now = self.exchange.path.now
            try:
                while not self.ended and (data := socket.recv(now, 65536)) is not None:
                    self.ended = not data
                    self.received += data
                while self.sent < len(self.outgoing) and (self.ended or not answers):
                    n = socket.send(now, memoryview(self.outgoing)[self.sent:])
                    self.sent += n
                    if self.sent == len(self.outgoing):
                        socket.shutdown_write(now)
                    if not n:
                        break
                if self.ended and self.sent == len(self.outgoing):
                    socket.close(now)
            except OSError as error:
                self.error = error.errno

    def outcome(self):
        """"delivered", "failed" or "wrong"; None while it lasts."""
        client = self.ends[0]
        if len(self.ends) == 1:
            # Nobody has heard of it: an attempt that failed, or the client does not know yet.
            return "failed" if self.client.state == CLOSED and self.client.error else None
        if self.client.state != CLOSED or self.server.state != CLOSED:
            return None
        complete = [end.received == end.expected for end in self.ends]
        for end, whole in zip(self.ends, complete):
            if not end.expected.startswith(end.received) or (end.ended and not whole):
                return "wrong"
        if all(complete):
            return "delivered"
        return "failed" if client.error or self.ends[1].error else "wrong"

    def accepted(self, server):
        self.server = server
        side = self._Side(self, self.reply, self.request)
        self.ends.append(side)
        server.on_event = lambda: self._turn(1)
        self._turn(1)

    def _begin(self):
        self.client.on_event = lambda: self._turn(0)
        try:
            self.client.connect(self.path.now, self.path.server_ip, _PORT)
            self.client.keep_alive(self.path.now, ALIVE_MS)
        except OSError as error:
            self.client.error = error.errno
        self._turn(0)

    def _abort(self):
        self.ends[0].error = errors.ECONNRESET
        self.client.abort(self.path.now)
        self.client.error = self.client.error or errors.ECONNRESET

    def _turn(self, i):
        self.ends[i].turn((self.client, self.server)[i], answers=i == 1)
        if self.delivered_ms is None and len(self.ends) == 2:
            if self.ends[1].ended:
                self.delivered_ms = self.path.now


def run(job):
    """Run one path with its connections; a dict of what became of them."""
    profile, ring, loss, seed = job
    rough = profile != "loss"
    ipv6 = profile == "crowd" and seed % 2 == 0
    cut_ms = None
    if profile == "crowd" and seed % 4 == 3:
        cut_ms = 500 + 700 * (seed % 16)
    share = 0.03 if rough else 0.0
    path = Path(f"{profile} {ring} {loss} {seed}", Conditions(
        loss / 100, late=share, doubled=share, damaged=share, jitter_ms=10 if rough else 0,
        mtus=() if not rough else _MTUS6 if ipv6 else _MTUS, cut_ms=cut_ms), ipv6)
    for stack in (path.client, path.server):
        if ring:
            stack.tcp.send_ring = stack.tcp.receive_ring = ring
    pending = {}
    listener = TcpSocket(path.server)
    listener.bind(None, _PORT)
    listener.listen(8)
    listener.keep_alive(0, ALIVE_MS)

    def accept():
        while (server := listener.accept()) is not None:
            pending.pop(server.remote[1]).accepted(server)

    listener.on_event = accept
    exchanges = []
    for number in range(CROWD if profile == "crowd" else 1):
        size = SIZES[ring]
        begin_ms, abort_ms = 0, None
        if profile == "crowd":
            size = path.random.randrange(1, 30000)
            begin_ms = path.random.randrange(3000)
            if path.random.random() < 0.1:
                abort_ms = begin_ms + path.random.randrange(3000)
        exchange = Exchange(path, size, begin_ms, abort_ms)
        exchange.client.bind(None, 10000 + number)
        pending[10000 + number] = exchange
        exchanges.append(exchange)
    ended = path.run(lambda: all(e.outcome() for e in exchanges), HANG_MS)
    outcomes = [exchange.outcome() or "hanging" for exchange in exchanges]
    result = {"profile": profile, "ring": ring, "loss": loss, "seed": seed, "ended": ended,
              "ms": path.now, "packets": path.packets}
    for name in ("delivered", "failed", "wrong", "hanging"):
        result[name] = outcomes.count(name)
    if profile != "crowd" and outcomes == ["delivered"]:
        result["kB/s"] = SIZES[ring] / exchanges[0].delivered_ms
    return result


def jobs(seeds=SEEDS, crowds=CROWDS, losses=LOSSES):
    """Everything that a sweep runs: (profile, ring, loss in percent, seed)."""
    return [(profile, ring, loss, seed) for profile, count in (
        ("loss", seeds), ("rough", seeds), ("crowd", crowds))
        for ring in (SMALL, LARGE) for loss in losses for seed in range(count)]


def summary(results):
    """Sums over all of them."""
    return {name: sum(result[name] for result in results)
            for name in ("delivered", "failed", "wrong", "hanging", "packets")}


def chart(results):
    """The SVG of throughput against loss."""
    series = []
    for profile, ring, name, note in (
            ("loss", LARGE, "256 KB rings", "loss alone"),
            ("rough", LARGE, "256 KB rings", "late, doubled, damaged, MTUs"),
            ("loss", SMALL, "4 + 8 KB rings", "loss alone"),
            ("rough", SMALL, "4 + 8 KB rings", "late, doubled, damaged, MTUs")):
        points = []
        for loss in LOSSES:
            speeds = [result["kB/s"] for result in results if "kB/s" in result
                      and (result["profile"], result["ring"], result["loss"]) == (
                          profile, ring, loss)]
            if len(speeds) > 1:
                deciles = quantiles(speeds, n=10, method="inclusive")
                points.append((loss, median(speeds), deciles[0], deciles[-1]))
        series.append((name, note, points))
    total = summary(results)
    ended = sum(total[name] for name in ("delivered", "failed", "wrong", "hanging"))
    return line_chart(
        "TCP throughput against loss",
        ["One connection, round trip 30 ms, 20 Mbit/s: the median, and where 80 % of them are.",
         f"Of {ended:,} connections {total['delivered']:,} delivered all, {total['failed']:,} "
         f"raised an error, {total['wrong']} were wrong, {total['hanging']} hung."],
        "packets lost, % each way", "throughput, kB/s", series)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="host_tools.tcp_sweep", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=File, default=File("build/tcp-sweep.svg"))
    parser.add_argument("--json", type=File, help="write each path's result to this file, too")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="connections of each kind")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    with Pool(options.processes) as pool:
        results = pool.map(run, jobs(options.seeds), chunksize=4)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(chart(results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    total = summary(results)
    print(", ".join(f"{name} {count:,}" for name, count in total.items()))
    for result in results:
        if result["wrong"] or result["hanging"]:
            print("wrong or hanging:", json.dumps(result))
    return 1 if total["wrong"] or total["hanging"] else 0


if __name__ == "__main__":
    sys.exit(main())
