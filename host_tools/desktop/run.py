"""`filament run`: a command whose Python programs are on the virtual networks."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from host_tools.desktop.app.filament_sockets import VARIABLE

_HOOK = Path(__file__).parent / "app"       # holds the sitecustomize that does it
_PASSED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_OF_TERMINAL = (signal.SIGINT, signal.SIGQUIT)


def completed(command):
    """The command with an interpreter before what is no program: script.py, -m module."""
    if command[0] in ("-m", "-c") or command[0].endswith(".py"):
        return [sys.executable, *command]
    return list(command)


def environment(path):
    """The environment of a program whose sockets an Exchange at `path` serves."""
    inherited = os.environ.get("PYTHONPATH")
    return os.environ | {VARIABLE: path,
                         "PYTHONPATH": os.pathsep.join([str(_HOOK), *filter(None, [inherited])])}


async def run(command, path):
    """Run a command; signals go on to it. Returns its exit code, that of a signal negative.

    Raises FileNotFoundError or PermissionError when it cannot be started.
    """
    child = await asyncio.create_subprocess_exec(*command, env=environment(path))

    def pass_on(number):
        if child.returncode is None:
            child.send_signal(number)

    loop = asyncio.get_running_loop()
    for number in _PASSED:
        loop.add_signal_handler(number, pass_on, number)
    for number in _OF_TERMINAL:
        loop.add_signal_handler(number, lambda number=number: _from_terminal() or pass_on(number))
    return await child.wait()


def _from_terminal():
    """Does a signal of the keyboard reach the whole process group, the child too?"""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)


def leave(code):
    """End this process as the child ended."""
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code if code >= 0 else 128 - code)
