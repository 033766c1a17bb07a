"""Section faces: what the faces of a node cost beside the platform's own sockets, on loopback."""

import os
import shutil
import socket
import statistics
import sys
from contextlib import contextmanager

from host_tools import loopback, unix_port
from host_tools.bench.section import Result, Table, at_most
from host_tools.bench.valgrind import counted, need
from tests.core.scenes import identity

ABOUT = ("A 64-byte round trip and a bulk transfer through each face, between two processes on "
         "loopback, each on a core of its own, in turns; medians. `ratio` is to the same face of "
         "the platform's sockets (event: to asyncio's streams) that carry as many bytes, armored "
         "and dearmored as a node does it. Instructions are those of the pinging process alone for one round trip.")

SIZE = 64
BULK_BYTES = 1200           # of a message, as ends/faces.BULK
BULK_MESSAGES = 500
HEAP = "32M"
FACES = "host_tools/bench/ends/faces.py"
_PORT = 7
_COUNTED = 50, 150          # round trips of the two runs whose instructions are subtracted
_BESIDE = {"event": "stream"}
_MOST_RATIO = 1.5

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
            command = unix_port.command(HEAP, "host_tools/bench/ends/heap.py",
                                        self._network.arguments("ping",
                                                                self._network.node("ping")),
                                        addresses[0], str(_PORT))
            with self._process("heap", command) as process:
                return process.wait_for("heap")["heap"]

    def _counted(self, variant, count):
        with self._echoing(variant, count, 1) as command:
            return counted(command)

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
        return loopback.Process(_pinned(command, name), self._log(name),
                                env=unix_port.environment())

    def _log(self, name):
        return self._network.directory / f"{name}.log"


def _pinned(command, name):
    """The command on a core of its own, as if the ends were two hosts: where the scheduler puts
    both on one, now and then, would decide more than what is measured."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2 or shutil.which("taskset") is None:
        return command
    return ["taskset", "--cpu-list", str(cores[name == "ping"]), *command]


def _addresses(status):
    return [address.partition("/")[0] for network in status["networks"]
            for address in network["assignedAddresses"]]


def timed(bench, rounds, count, say=lambda text: None):
    """{variant: {"us", "MB_s"}}, medians of interleaved rounds."""
    samples = {variant: [] for variant in VARIANTS}
    for number in range(rounds):
        for variant in VARIANTS:
            say(f"round {number + 1}: {' '.join(variant)}")
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


def count_all(bench, figures, say):
    """Add the instructions of MicroPython's variants."""
    need()
    for variant, each in figures.items():
        if variant[0] == "micropython":
            say(f"instructions: {' '.join(variant)}")
            each["instructions"] = bench.instructions(variant)


def network_of(options, names):
    """A loopback.Network with these members, whose identities are those of the tests."""
    return loopback.Network(options.directory / "network",
                            [identity(i) for i in range(1 + len(names))], names)


def measure(options):
    with network_of(options, ["echo", "ping"]) as network:
        bench = Bench(network)
        figures = timed(bench, options.rounds, 20 if options.quick else 500, options.say)
        if options.instructions:
            count_all(bench, figures, options.say)
        options.say("heap")
        heap = bench.heap()
    compare(figures, "us")
    compare(figures, "instructions")
    faces = Table("round trips", ["runtime", "network", "face", "µs", "ratio", "instructions",
                                  "ratio", "MB/s"])
    for variant, each in figures.items():
        faces.rows.append([*variant, *(each.get(key) for key in (
            "us", "us_ratio", "instructions", "instructions_ratio", "MB_s"))])
    steps = Table("heap of MicroPython, from source, 64 bits", ["step", "bytes"],
                  [list(step) for step in heap])
    ratio = figures["micropython", "node", "event"]["us_ratio"]
    return Result([faces, steps], [
        at_most("mpcore.aio on MicroPython beside asyncio's streams with the same ciphers",
                _MOST_RATIO, ratio, "times")],
        figures={"size": SIZE, "heap": heap, "faces": [
            dict(zip(("runtime", "network", "face"), variant), **each)
            for variant, each in figures.items()]})
