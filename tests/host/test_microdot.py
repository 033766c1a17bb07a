"""A third party's HTTP server over our asyncio streams, unmodified, on both runtimes."""

import subprocess
import sys
from pathlib import Path

import microdot
import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_microdot_serves(runtime, micropython):
    command = [sys.executable] if runtime == "cpython" else [micropython, "-X", "heapsize=8M"]
    command += [ROOT / "tests" / "host" / "microdot_session.py", ROOT,
                Path(microdot.__path__[0]).parent]
    done = subprocess.run(command, text=True, timeout=60, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    assert done.returncode == 0 and done.stdout.endswith("served\n"), done.stdout
