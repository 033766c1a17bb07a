"""Runs files of this project on the MicroPython unix port of the environment."""

import os
import shutil
import sys
from pathlib import Path

import microdot

ROOT = Path(__file__).parent.parent


def executable():
    """Path of the `micropython` program. Raises ValueError when it is not installed."""
    beside = Path(sys.executable).with_name("micropython")
    found = str(beside) if beside.exists() else shutil.which("micropython")
    if found is None:
        raise ValueError("micropython is not installed: `make setup` installs it")
    return found


def command(heap, script, *arguments):
    """The argument list that runs `script` (a path inside the project) with a heap limit.

    heap: as for `-X heapsize=`, such as "16M".
    """
    return [executable(), "-X", f"heapsize={heap}", str(ROOT / script), *arguments]


def environment(*paths):
    """This process's environment, with what MicroPython may import: `paths` of the project, the
    project itself, what is built in, and microdot."""
    search = [*(str(ROOT / path) for path in paths), str(ROOT), ".frozen",
              str(Path(microdot.__file__).parent.parent)]
    return os.environ | {"MICROPYPATH": ":".join(search)}
