"""Interoperability with nodes that nobody here wrote: ZeroTier's SDK, and a stock zerotier-one.

    python tests/interop [--output build/interop.json] [--scene ROOT/CONTROLLER] [CASE ...]

Where there is a zerotier-one, all cases run four times: root and controller are ours, its, and
either way mixed.

Needs network namespaces; see lab.py. Exit code 0 when every case passed, or when nothing could be
run and the reason was told; with CI=true that is a failure too.
The logs of all nodes stay beside the output, in a directory of its name.
"""

import argparse
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "interop"), str(ROOT)]

import cases
import infrastructure
import lab
import libzt
import peers
import scene as scenes

BUILD = ROOT / "build"
OURS, STOCK = infrastructure.Filament.kind, infrastructure.Stock.kind
SCENES = {f"{root}/{controller}": (root, controller)
          for root, controller in ((OURS, OURS), (STOCK, STOCK), (STOCK, OURS), (OURS, STOCK))}


class OutOfTime(Exception):
    """A case has used up its budget."""


def skip(reason, output):
    """Nothing can be run: say so."""
    print(f"INTEROP SKIPPED: {reason}", file=sys.stderr)
    write(output, [], reason)
    return 1 if os.environ.get("CI") == "true" else 0


def write(output, results, skipped=None):
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"skipped": skipped, "cases": results}, indent=2) + "\n")


def run_case(case, scene):
    """The entry of one case in the result."""
    def late(number, frame):
        raise OutOfTime(f"not done within {case.budget_s} s")

    signal.signal(signal.SIGALRM, late)
    entry = {"case": case.number, "title": case.title, "pass": False,
             "infrastructure": scene.infrastructure()}
    began = time.monotonic()
    try:
        signal.alarm(case.budget_s)
        scene.revive()
        entry["figures"] = case.run(scene)
        entry["pass"] = True
    except (scenes.Unmet, OutOfTime, peers.PeerFailure, TimeoutError) as error:
        entry["error"] = str(error)
    except Exception as error:
        traceback.print_exc()
        entry["error"] = repr(error)
    finally:
        signal.alarm(0)
    entry["seconds"] = round(time.monotonic() - began, 1)
    entry["peers"] = [scene.describe(name) for name in case.members]
    return entry


def report(entry):
    verdict = "ok    " if entry["pass"] else "FAILED"
    detail = entry.get("error") or json.dumps(entry["figures"])
    print(f"{verdict} {entry['case']:>2} {entry['title']} ({entry['seconds']} s)\n"
          f"          {detail}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=BUILD / "interop.json")
    parser.add_argument("--scene", action="append", choices=list(SCENES),
                        metavar="ROOT/CONTROLLER",
                        help=f"{', '.join(SCENES)}; all by default. Repeatable.")
    parser.add_argument("cases", nargs="*", metavar="CASE",
                        help="Numbers, or words of titles; all by default.")
    arguments = parser.parse_args()
    stock = peers.desktop_program() is not None
    names = arguments.scene or [name for name in SCENES if stock or STOCK not in SCENES[name]]
    if not lab.inside():
        reason = lab.obstacle()
        try:
            libzt.provide(BUILD / "libzt")
        except libzt.Unavailable as error:
            reason = reason or str(error)
        if reason:
            return skip(reason, arguments.output)
        lab.enter()
    library = libzt.provide(BUILD / "libzt")
    results = []
    for name in names:
        print(f"root/controller: {name}")
        directory = arguments.output.with_suffix("") / name.replace("/", "-")
        with scenes.open_scene(directory, library, SCENES[name]) as scene:
            for case in cases.plan(scene):
                if case.enrols or not arguments.cases or any(
                        wanted == case.number or wanted in case.title.split()
                        for wanted in arguments.cases):
                    results.append(run_case(case, scene))
                    report(results[-1])
                    write(arguments.output, results)
    failed = sum(not entry["pass"] for entry in results)
    print(f"{len(results) - failed} of {len(results)} cases passed; {arguments.output}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
