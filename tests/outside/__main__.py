"""An outside peer's view of mpcore.ip: the Linux kernel's TCP, nmap, scapy and tshark.

    python tests/outside [--output build/outside.json] [--station NAME] [CASE ...]

Needs a network namespace and a TAP device in it. Exit code 0 when every case passed, or when
nothing could be run and the reason was told; with CI=true that is a failure too.
"""

import argparse
import importlib.util
import json
import os
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "outside"), str(ROOT / "tests" / "interop"), str(ROOT)]

import lab

BUILD = ROOT / "build"
_TUN = Path("/dev/net/tun")
_TUN_NUMBER = os.makedev(10, 200)
_TOOLS = {"tshark": "TSHARK", "nmap": "NMAP", "ping": "IPUTILS-PING"}
_BUDGET_S = 60
_LARGE = 1 << 18


class OutOfTime(Exception):
    """A case has used up its budget."""


def obstacle():
    """Why nothing can be run here, or None."""
    reason = lab.obstacle()
    missing = [package for tool, package in _TOOLS.items() if shutil.which(tool) is None]
    if reason:
        return reason
    if missing:
        return f"MISSING TOOLS: {' '.join(missing)} (DEBIAN'S PACKAGES OF THESE NAMES)"
    if importlib.util.find_spec("scapy") is None:
        return "NO SCAPY: `MAKE SETUP` INSTALLS IT"
    try:
        if not _TUN.exists():
            _TUN.parent.mkdir(exist_ok=True)
            os.mknod(_TUN, 0o600 | 0o020000, _TUN_NUMBER)
        _TUN.open("r+b", buffering=0).close()
    except OSError as error:
        return f"NO {_TUN}: {str(error).upper()}"
    return None


def run_case(case, bench):
    """The entry of one case in the result."""
    def late(number, frame):
        raise OutOfTime(f"not done within {_BUDGET_S} s")

    signal.signal(signal.SIGALRM, late)
    entry = {"case": case.__name__, "pass": False}
    began = time.monotonic()
    try:
        signal.alarm(_BUDGET_S)
        entry["figures"] = case(bench) or {}
        report = bench.settled()
        if report["exceptions"] or report["oversize"]:
            raise AssertionError(f"the station: {report}")
        entry["pass"] = True
    except Exception as error:
        if not isinstance(error, (AssertionError, OutOfTime, OSError)):
            traceback.print_exc()
        entry["error"] = f"{type(error).__name__}: {error} {bench.ended()}"
    finally:
        signal.alarm(0)
    entry["seconds"] = round(time.monotonic() - began, 1)
    return entry


def run_bench(name, runtime, ring, groups, wanted):
    """The wanted cases of some groups against one station, all by default; yields their entries.

    groups: name -> (cases, judge); judge(capture) looks at what passed while all of them ran.
    """
    import bench

    directory = BUILD / "outside" / name
    directory.mkdir(parents=True, exist_ok=True)
    with bench.Bench(runtime, ring, directory / "log") as there:
        for group, (cases, judge) in groups.items():
            cases = [case for case in cases if case.__name__ in (wanted or [case.__name__])]
            if not cases:
                continue
            capture = directory / f"{group}.pcap"
            there.bridge(record=str(capture))
            for case in cases:
                yield {"station": name, "group": group} | run_case(case, there)
                if there.ended():
                    return
            there.bridge(record=None)
            if wanted:
                continue

            def tshark(bench):
                return judge(capture)

            yield {"station": name, "group": group} | run_case(tshark, there)


def report(entry):
    verdict = "ok    " if entry["pass"] else "FAILED"
    detail = entry.get("error") or (json.dumps(entry["figures"]) if entry["figures"] else "")
    print(f"{verdict} {entry['station']} {entry['group']}: {entry['case']} ({entry['seconds']} s) "
          f"{detail}", flush=True)


def write(output, results, skipped=None):
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"skipped": skipped, "cases": results}, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=BUILD / "outside.json")
    parser.add_argument("--station", action="append", help="Of these only.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="Names; all by default.")
    arguments = parser.parse_args()
    if not lab.inside():
        reason = obstacle()
        if reason:
            print(f"OUTSIDE PEER SKIPPED: {reason}", file=sys.stderr)
            write(arguments.output, [], reason)
            return 1 if os.environ.get("CI") == "true" else 0
        lab.enter()
    import clean
    import oddities
    import probes
    import rough

    good = {"clean": (clean.CASES, clean.judge)}
    everything = good | {"rough": (rough.CASES, rough.judge),
                         "probes": (probes.CASES, probes.judge),
                         "oddities": (oddities.cases(), oddities.judge)}
    lab.run("mount", "-t", "tmpfs", "tmpfs", "/run")
    results = []
    for name, runtime, ring, groups in (
            ("cpython", "cpython", None, everything),
            ("micropython", "micropython", None, everything),
            ("cpython-256k", "cpython", _LARGE, good | {"rough": everything["rough"]})):
        if name not in (arguments.station or [name]):
            continue
        for entry in run_bench(name, runtime, ring, groups, arguments.cases):
            results.append(entry)
            report(entry)
            write(arguments.output, results)
    failed = sum(not entry["pass"] for entry in results)
    print(f"{len(results) - failed} of {len(results)} cases passed; {arguments.output}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
