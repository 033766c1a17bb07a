"""Runs MicroPython's test files and compares what they print with what they should.

A file with functions instance0(), instance1(), ... is run by as many processes, started one after
the other as each says that it is ready, which then talk through the runner (tests/multi_net in
MicroPython has the protocol). What is expected is in FILE.exp, or else what CPython prints.
"""

import collections
import contextlib
import json
import queue
import re
import resource
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from host_tools import unix_port
from host_tools.conformance.instance import CONFIG
from host_tools.demo.processes import die_with_parent

PASS, FAIL, SKIP = "pass", "fail", "skip"
GROUPS = {
    "multi_net": "multi_net/*.py",
    "net_hosted": "net_hosted/*.py",
    "socket": "extmod/socket_*.py",
    "select": "extmod/select_*.py",
    "asyncio": "extmod/asyncio_*.py",
}
HEAP = "24M"
# What a test that reaches for the Internet has to print; CPython would reach the real one.
_INTERNET = {"connect_timeout": "True\nTrue\n"}
_DESCRIPTORS = 1024         # as MicroPython's own runs of select_poll_fd have it
_SILENCE_S = 20             # MicroPython's runner gives 10, and no network to join first
_SCRIPT = "host_tools/conformance/instance.py"


@dataclass
class Result:
    """How a test file did. stock: the same on the platform's own sockets, where it was asked."""

    group: str
    name: str
    outcome: str
    seconds: float
    output: str = ""
    expected: str = ""
    metrics: list = field(default_factory=list)
    stock: str = ""


def find_tests(directory, only=()):
    """[(group, path)] of the test files in a checkout's tests directory.

    only: parts of names, of which one has to match. Raises ValueError when nothing is there.
    """
    found = [(group, path) for group, pattern in GROUPS.items()
             for path in sorted(Path(directory).glob(pattern))
             if not only or any(part in f"{group}/{path.name}" for part in only)]
    if not found:
        raise ValueError(f"no test of sockets in {directory}: name the directory `tests` of a "
                         "checkout of MicroPython")
    return found


class Runner:
    """member(i): the config of the i-th instance's node, {"home", "bind", "network"}.

    library: directories with modules that tests import, such as unittest.
    """

    def __init__(self, member, library=()):
        self._member = member
        self._library = [str(Path(path).resolve()) for path in library]

    def run(self, group, path):
        """The Result of one test file."""
        count = _instances(path)
        started = time.monotonic()
        outcome, output, metrics = self._run(path, count, self._overlay)
        result = Result(group, path.stem, outcome, 0, output, metrics=metrics)
        if outcome != SKIP and not _is_unittest(path):
            result.expected = self._expected(path, count)
            result.outcome = PASS if output == result.expected else FAIL
        result.seconds = time.monotonic() - started
        if result.outcome != PASS:
            result.stock = self._stock_outcome(path, count, result.expected)
        return result

    def _expected(self, path, count):
        beside = Path(f"{path}.exp")
        if beside.exists():
            return beside.read_text()
        if path.stem in _INTERNET:
            return _INTERNET[path.stem]
        return self._run(path, count, self._cpython)[1]

    def _stock_outcome(self, path, count, expected):
        outcome, output, _ = self._run(path, count, self._stock)
        if outcome == SKIP or _is_unittest(path):
            return outcome
        return PASS if output == expected else FAIL

    def _overlay(self, index, config):
        return unix_port.command(HEAP, _SCRIPT), config | self._member(index)

    def _stock(self, index, config):
        return unix_port.command(HEAP, _SCRIPT), config | {"stock": True}

    def _cpython(self, index, config):
        return [sys.executable, str(unix_port.ROOT / _SCRIPT)], config | {"stock": True}

    def _run(self, path, count, command):
        """(outcome, output, metrics) of a test; `command` tells its processes and their configs."""
        environment = unix_port.environment(*self._library)
        processes = []
        lines = queue.SimpleQueue()         # (process, line or None at its end)

        def start(index, **config):
            program, config = command(index, {"test": str(path), **config})
            process = _Process(program, path.parent, environment | {CONFIG: json.dumps(config)},
                               lines)
            processes.append(process)
            return process

        try:
            if not count:
                return _alone(path, start(0), lines)
            return _together(count, start, lines)
        finally:
            for process in processes:
                process.stop()


class _Process:
    """A process, the lines that it prints, which go into a queue with those of others, and those
    that it is sent."""

    def __init__(self, command, directory, environment, lines):
        self._child = subprocess.Popen(
            command, cwd=directory, env=environment, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=_prepare)
        self._lines = lines
        self.output = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._child.stdout:
            self._lines.put((self, line.decode("ascii", "backslashreplace").rstrip("\r\n")))
        self._lines.put((self, None))

    def write(self, line):
        try:
            self._child.stdin.write(line.encode() + b"\r\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            pass            # it has ended already

    def stop(self):
        if self._child.poll() is None:
            self._child.terminate()
        self._child.wait()
        self._reader.join()
        with contextlib.suppress(BrokenPipeError):      # what it did not want to hear
            self._child.stdin.close()
        self._child.stdout.close()


def _prepare():
    """In the child: what it needs before it runs."""
    die_with_parent()
    resource.setrlimit(resource.RLIMIT_NOFILE, (_DESCRIPTORS, _DESCRIPTORS))


def _alone(path, process, lines):
    try:
        while (line := lines.get(timeout=_SILENCE_S)[1]) is not None:
            process.output.append(line)
    except queue.Empty:
        process.output.append("TIMEOUT")
    output = "".join(line + "\n" for line in process.output)
    if "SKIP" in process.output:
        return SKIP, output, []
    if _is_unittest(path):
        done = process.output[-1:] == ["OK"] and "skipped" not in output
        return (PASS if done else FAIL), output, []
    return None, output, []


def _together(count, start, lines):
    """Start the instances in turn and carry their messages until all have ended."""
    processes, running, space, metrics = [], set(), [], []
    early = collections.deque()         # what others say while one starts
    for index in range(count):
        process = start(index, instance=index, globals="\n".join(space))
        processes.append(process)
        try:
            while True:
                who, line = lines.get(timeout=_SILENCE_S)
                if who is not process:
                    early.append((who, line))
                    continue
                if line in (None, "NEXT"):
                    break
                if line == "SKIP":
                    return SKIP, "", metrics
                if line.startswith("SET "):
                    space.append(line[4:])
                else:
                    process.output.append(line)
            if line is not None:
                running.add(process)
        except queue.Empty:
            process.output.append("TIMEOUT")
            running = set()
            break
    while running:
        try:
            process, line = early.popleft() if early else lines.get(timeout=_SILENCE_S)
        except queue.Empty:
            for process in running:
                process.output.append("TIMEOUT")
            break
        if line is None:
            running.discard(process)
        elif line.startswith("BROADCAST "):
            for other in processes:
                if other is not process:
                    other.write(line)
        elif line.startswith("OUTPUT_METRIC "):
            metrics.append(line.partition(" ")[2])
        else:
            process.output.append(line)
    return None, "".join(f"--- instance{index} ---\n" + "\n".join(process.output) + "\n"
                         for index, process in enumerate(processes)), metrics


def _instances(path):
    numbers = re.findall(r"^def instance(\d+)\(\):", path.read_text(), re.MULTILINE)
    return max(map(int, numbers), default=-1) + 1


def _is_unittest(path):
    return re.search(r"^import unittest", path.read_text(), re.MULTILINE) is not None
