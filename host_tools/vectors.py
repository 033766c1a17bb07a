"""`filament vectors`: the product against files of test vectors, on either runtime."""

import json
import subprocess
from pathlib import Path

from rich.console import Console
from rich.text import Text

from host_tools import unix_port
from host_tools.vector_checks import check_file

_HEAP = "96M"        # the largest files are read as a whole


def run(directory, runtime="cpython", json_output=False):
    """Check every .json file in and below a directory; returns the exit code.

    runtime: "cpython" or "micropython". json_output: print one JSON object instead of a line for
    each file. The code is 0 only when there are files and all of them pass.
    """
    root = Path(directory)
    paths = sorted(path for path in root.rglob("*.json") if path.is_file())
    console = Console(highlight=False, soft_wrap=True, quiet=json_output)
    check = _on_micropython if runtime == "micropython" else _here
    files = []
    with console.status("checking"):
        for path, result in zip(paths, check(paths)):
            files.append({"file": str(path.relative_to(root)), **result})
            _show(console, files[-1])
    total = {"runtime": runtime, "passed": sum(file["passed"] for file in files),
             "failed": sum(file["failed"] for file in files), "files": files}
    if json_output:
        print(json.dumps(total))
    elif files:
        _show(console, {**total, "file": f"all on {runtime}", "failures": []})
    else:
        console.print(Text(f"no vector files in {directory}", style="red"))
    return 0 if files and not total["failed"] else 1


def _here(paths):
    for path in paths:
        yield check_file(str(path))


def _on_micropython(paths):
    """The results that one MicroPython process prints; of what it does not reach, why."""
    if not paths:
        return
    command = unix_port.command(_HEAP, "host_tools/vector_checks/__main__.py", *map(str, paths))
    with subprocess.Popen(command, env=unix_port.environment(), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        line = ""
        done = 0
        for line in process.stdout:
            if line.startswith("{"):
                done += 1
                yield json.loads(line)
    cause = line.strip() or f"exit code {process.returncode}"
    for _ in paths[done:]:
        yield {"passed": 0, "failed": 1, "failures": [f"MicroPython stopped early: {cause}"]}


def _show(console, file):
    failed = file["failed"]
    counts = f"{file['passed']:6} passed" + (f" {failed:6} failed" if failed else "")
    console.print(Text.assemble((f"{file['file']:30}", "bold"),
                                (counts, "red" if failed else "green")))
    for failure in file["failures"]:
        console.print(Text("    " + failure))
    if failed > len(file["failures"]) > 0:
        console.print(Text(f"    and {failed - len(file['failures'])} more"))
