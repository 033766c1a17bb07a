"""Third-party MicroPython programs, unmodified, over our sockets on the unix port.

    python tests/programs [--output build/programs-micropython.json] [PROGRAM ...]

Exit code 0 when every program that is here works; libraries.py says where they come from. The logs
of all nodes stay beside the output, in the directory `programs`.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "programs"), str(ROOT)]

import cases
import libraries
import stage
from host_tools import loopback

BUILD = ROOT / "build"


def run_case(case, missing):
    """The entry of one case in the result."""
    entry = {"program": case.program, "version": None, "works": None,
             "in_registry": libraries.in_registry(case.module)}
    if case.module in missing:
        return entry | {"skipped": missing[case.module]}
    began = time.monotonic()
    try:
        entry["version"] = case.version()
        entry["figures"] = case.run()
        entry["works"] = True
    except libraries.Unavailable as why:
        return entry | {"skipped": str(why)}
    except (loopback.Failure, subprocess.SubprocessError, OSError) as error:
        entry |= {"works": False, "error": str(error)}
    return entry | {"seconds": round(time.monotonic() - began, 1)}


def report(entry):
    verdict = {True: "works  ", False: "FAILED ", None: "SKIPPED"}[entry["works"]]
    detail = entry.get("error") or entry.get("skipped") or json.dumps(entry["figures"])
    print(f"{verdict} {entry['program']} {entry['version'] or ''}: {detail}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=BUILD / "programs-micropython.json")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="All by default.")
    arguments = parser.parse_args()
    library = BUILD / "programs-lib"
    missing = libraries.provide(library)
    results = []
    with stage.Stage(arguments.output.parent / "programs", library) as on:
        for case in cases.Cases(on).plan():
            if case.program in (arguments.programs or [case.program]):
                results.append(run_case(case, missing))
                report(results[-1])
    arguments.output.write_text(json.dumps(results, indent=2) + "\n")
    return 1 if any(entry["works"] is False for entry in results) else 0


if __name__ == "__main__":
    sys.exit(main())
