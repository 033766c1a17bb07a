"""Every case of tests/programs, as one test: they share a network and the nodes on it."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "build" / "programs-micropython.json"
TIMEOUT_S = 600


def test_programs_of_other_people():
    RESULT.unlink(missing_ok=True)
    done = subprocess.run([sys.executable, "tests/programs"], cwd=ROOT, timeout=TIMEOUT_S,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0 and RESULT.exists(), done.stdout
    skipped = [entry["skipped"] for entry in json.loads(RESULT.read_text()) if "skipped" in entry]
    if skipped:
        warnings.warn("; ".join(dict.fromkeys(skipped)))
