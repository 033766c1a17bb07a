"""`make bench`: what the faces of a node cost beside the platform's own sockets, on loopback.

    python -m host_tools.bench [--rounds N] [--count N] [--instructions] [--output FILE]

Every face is measured once a round, in turn, between two processes; a figure is the median of the
rounds' medians. `ratio` is to the same face of the platform's sockets (event: to asyncio's
streams) that carry as many bytes, armored and dearmored as a node does it. Wall time has the
kernel's in it; --instructions counts, with valgrind, those of the pinging process alone.
"""

import argparse
import json
import re
import socket
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from host_tools import generate, loopback, unix_port

SIZE = 64
BULK_BYTES = 1200           # of a message, as faces.BULK
BULK_MESSAGES = 500
HEAP = "32M"
FACES = "host_tools/bench/faces.py"
_PORT = 7
_COUNTED = 100, 300         # round trips of the two runs whose instructions are subtracted
_BESIDE = {"event": "stream"}

# (runtime, network, face); CPython's own asyncio and poll want real descriptors.
VARIANTS = [
    *(("micropython", network, face) for network in ("platform", "platform + crypto")
      for face in ("blocking", "poll", "stream")),
    *(("micropython", "node", face) for face in ("event", "stream", "poll", "blocking")),
    *(("cpython", network, face) for network in ("platform", "platform + crypto")
      for face in ("blocking", "stream")),
    *(("cpython", "node", face) for face in ("event", "blocking")),
]


class Bench:
    """Measures on one network, whose members are `echo` and `ping`."""

    def __init__(self, network):
        self._network = network

    def time(self, variant, count):
        """What faces.py tells of `count` round trips."""
        with self._echoing(variant, count, BULK_MESSAGES) as command:
            with self._process("ping", command) as ping:
                return ping.wait_for("us")

    def instructions(self, variant):
        """Instructions of the pinging process for one round trip."""
        few, many = [self._counted(variant, count) for count in _COUNTED]
        return (many - few) // (_COUNTED[1] - _COUNTED[0])

    def heap(self):
        """[[step, bytes of MicroPython's heap]], see heap.py."""
        node = self._network.node("echo")
        with loopback.Process([
                sys.executable, "-m", "host_tools", "node", "--loopback", "--home", node["home"],
                "--bind", node["bind"], "--join", node["network"], "--echo", str(_PORT)],
                self._log("echo")) as echo:
            while not (addresses := _addresses(echo.wait_for("networks"))):
                pass
            command = unix_port.command(HEAP, "host_tools/bench/heap.py",
                                        self._network.arguments("ping",
                                                                self._network.node("ping")),
                                        addresses[0], str(_PORT))
            with self._process("heap", command) as process:
                return process.wait_for("heap")["heap"]

    def _counted(self, variant, count):
        with self._echoing(variant, count, 1) as command:
            if command[0] != sys.executable:
                command = [sys.executable, *command]    # the MicroPython of PyPI is a module
            done = subprocess.run(
                ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                 "--smc-check=all-non-file", *command], cwd=unix_port.ROOT, text=True,
                env=unix_port.environment(), capture_output=True, timeout=loopback.START_S * 5)
        found = re.search(r"Collected : (\d+)", done.stderr)
        if done.returncode or not found:
            raise loopback.Failure(done.stdout + done.stderr[-2000:])
        return int(found[1])

    @contextmanager
    def _echoing(self, variant, count, bulk):
        """The command of the pinging process, while the echo for it runs."""
        runtime, network, face = variant
        on_node = network == "node"
        (port,) = [_PORT] if on_node else loopback.free_ports(["echo"], socket.SOCK_STREAM)
        common = {"face": face, "port": port, "size": SIZE, "count": count, "bulk": bulk,
                  "crypto": network == "platform + crypto"}
        ends = [common | {"role": role} | ({"node": self._network.node(role)} if on_node else {})
                for role in ("echo", "ping")]
        with self._process("echo", self._command(runtime, ends[0])) as echo:
            yield self._command(runtime, ends[1] | echo.wait_for("host"))

    def _command(self, runtime, arguments):
        file = self._network.arguments(arguments["role"], arguments)
        if runtime == "micropython":
            return unix_port.command(HEAP, FACES, file)
        return [sys.executable, str(unix_port.ROOT / FACES), file]

    def _process(self, name, command):
        return loopback.Process(command, self._log(name), env=unix_port.environment())

    def _log(self, name):
        return self._network.directory / f"{name}.log"


def _addresses(status):
    return [address.partition("/")[0] for network in status["networks"]
            for address in network["assignedAddresses"]]


def measure(bench, rounds, count):
    """{variant: {"us", "MB_s"}}, medians of interleaved rounds."""
    samples = {variant: [] for variant in VARIANTS}
    for _ in range(rounds):
        for variant in VARIANTS:
            samples[variant].append(bench.time(variant, count))
    return {variant: {
        "us": statistics.median(each["us"] for each in found),
        "MB_s": round(BULK_MESSAGES * BULK_BYTES
                      / statistics.median(each["bulk_us"] for each in found), 2)}
        for variant, found in samples.items()}


def compare(figures, unit):
    """Add each node's face its ratio to the platform's face with crypto."""
    for (runtime, network, face), each in figures.items():
        if network == "node" and unit in each:
            beside = figures[runtime, "platform + crypto", _BESIDE.get(face, face)]
            each[f"{unit}_ratio"] = round(each[unit] / beside[unit], 2)


def show(figures, heap):
    table = Table("runtime", "network", "face", "round trip, us", "ratio", "instructions", "ratio",
                  "MB/s")
    for variant, each in figures.items():
        table.add_row(*variant, *(str(each.get(key, "")) for key in (
            "us", "us_ratio", "instructions", "instructions_ratio", "MB_s")))
    steps = Table("heap of MicroPython, from source, 64 bits", "bytes")
    for step, size in heap:
        steps.add_row(step, f"{size:,}")
    console = Console()
    console.print(table)
    console.print(steps)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=500, help="Round trips in a round.")
    parser.add_argument("--instructions", action="store_true", help="Count them; takes minutes.")
    parser.add_argument("--output", type=Path, default=unix_port.ROOT / "build" / "bench.json")
    arguments = parser.parse_args()
    identities = generate.generate(3, lambda found, hashes: None)
    with tempfile.TemporaryDirectory() as directory, \
            loopback.Network(Path(directory) / "network", identities, ["echo", "ping"]) as network:
        bench = Bench(network)
        figures = measure(bench, arguments.rounds, arguments.count)
        if arguments.instructions:
            for variant, each in figures.items():
                if variant[0] == "micropython":
                    each["instructions"] = bench.instructions(variant)
        heap = bench.heap()
    compare(figures, "us")
    compare(figures, "instructions")
    show(figures, heap)
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps({
        "size": SIZE, "rounds": arguments.rounds, "count": arguments.count, "heap": heap,
        "faces": [dict(zip(("runtime", "network", "face"), variant), **each)
                  for variant, each in figures.items()]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
