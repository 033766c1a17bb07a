"""Case 9: the recorded sessions, read by our decoder and played with our node in each place."""

import json
import os
import subprocess
import sys
from functools import partial

from cases.case import OURS, Case
from host_tools import unix_port
from peers import HERE
from scene import check, together

_SESSIONS = "tests/vectors/sessions"
_HEAP = "96M"
_READ = "host_tools/vector_checks/__main__.py"
_PLAY = ("tests/micropython_runner.py", "tests/core/test_session_replay.py")
_ROOT = HERE.parents[1]


def cases(scene):
    # Nobody of the scene takes part: once will do.
    if {scene.root.kind, scene.controller.kind} == {"filament"}:
        yield Case("9", "recorded sessions, read packet by packet, and played from every place",
                   sessions, list(OURS), budget_s=180)


def sessions(scene):
    figures = {}
    for runtime, read, played in together(*(partial(_both, runtime) for runtime in OURS)):
        figures |= {f"{runtime}_checks": read, f"{runtime}_played": played}
    return figures


def _both(runtime):
    files = sorted(str(path) for path in (_ROOT / _SESSIONS).glob("*.json"))
    results = [json.loads(line) for line in _run(runtime, _READ, *files).splitlines()
               if line.startswith("{")]
    check(len(results) == len(files), f"{runtime}: not every session was read to its end")
    failures = [failure for result in results for failure in result["failures"]]
    check(not failures, f"{runtime}: {'; '.join(failures)}")
    played = _run(runtime, *_PLAY).strip().splitlines()[-1]
    return runtime, sum(result["passed"] for result in results), played


def _run(runtime, script, *arguments):
    if runtime == "micropython":
        command, env = unix_port.command(_HEAP, script, *arguments), unix_port.environment()
    else:
        command = [sys.executable, script, *arguments]
        env = os.environ | {"PYTHONPATH": str(_ROOT)}
    done = subprocess.run(command, cwd=_ROOT, env=env, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    check(done.returncode == 0, f"{runtime}, {script}: {done.stdout[-600:]}")
    return done.stdout
