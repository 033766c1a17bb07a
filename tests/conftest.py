"""Runs every portable test file twice: by pytest on CPython, and as a whole on MicroPython.

A file of tests/core is collected as usual and, beside its functions, as one item called
`micropython`, which runs the same file in a real MicroPython process.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "tests" / "core"
RUNNER = ROOT / "tests" / "micropython_runner.py"
HEAP = "32M"
TIMEOUT_S = 600


def micropython():
    """The path of the MicroPython executable: this environment's own before any other."""
    beside = Path(sys.executable).with_name("micropython")
    found = str(beside) if beside.exists() else shutil.which("micropython")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("micropython is not installed; `make setup` installs it", pytrace=False)
    if found is None:
        pytest.skip("micropython is not installed; `make setup` installs it")
    return found


class MicroPythonFailure(Exception):
    """The subprocess reported failures; its output is the message."""


class MicroPythonItem(pytest.Item):
    def runtest(self):
        command = [micropython(), "-X", "heapsize=" + HEAP, str(RUNNER), str(self.path)]
        done = subprocess.run(command, cwd=ROOT, text=True, timeout=TIMEOUT_S,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise MicroPythonFailure(done.stdout)

    def repr_failure(self, excinfo):
        if excinfo.errisinstance(MicroPythonFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self):
        return self.path, None, f"{self.path.name} on MicroPython"


class MicroPythonFile(pytest.File):
    def collect(self):
        yield MicroPythonItem.from_parent(self, name="micropython")


def pytest_collect_file(file_path, parent):
    if file_path.parent == CORE and file_path.match("test_*.py"):
        return MicroPythonFile.from_parent(parent, path=file_path)
    return None


@pytest.fixture(name="micropython")
def micropython_fixture():
    return micropython()
