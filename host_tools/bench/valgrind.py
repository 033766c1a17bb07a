"""Counts the instructions of a MicroPython process (valgrind's callgrind): the same on any day."""

import re
import shutil
import subprocess
import sys

from host_tools import loopback, unix_port
from host_tools.bench.section import Skipped

_TIMEOUT_S = 600


def need():
    """Raises Skipped where there is no valgrind."""
    if shutil.which("valgrind") is None:
        raise Skipped("valgrind is missing: install Debian's package of that name")


def counted(command):
    """Instructions of a process from its start to its end. Raises loopback.Failure."""
    # The MicroPython of PyPI is a module in a program of Python.
    command = command if command[0] == sys.executable else [sys.executable, *command]
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
         "--smc-check=all-non-file", *command],     # native code is written as it runs
        cwd=unix_port.ROOT, text=True, env=unix_port.environment() | {"PYTHONHASHSEED": "0"},
        capture_output=True, timeout=_TIMEOUT_S)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        raise loopback.Failure(done.stdout[-2000:] + done.stderr[-2000:])
    return int(found[1])
