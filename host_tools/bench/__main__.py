"""`make bench`: what the node costs, section by section, beside what its users had before.

    python -m host_tools.bench [--only NAME,NAME] [--rounds N] [--quick] [--instructions]

Writes build/bench.json and build/bench.md. A section that was not measured this time keeps what
an earlier run wrote into the JSON. Exit status 1: a section failed; missed targets are told only.
"""

import argparse
import importlib
import json
import os
import platform
import sys
import tempfile
import time
import traceback
from pathlib import Path

from rich.console import Console

from host_tools import unix_port
from host_tools.bench import section

SECTIONS = ("faces", "kernels", "reaction", "throughput", "join", "idle", "board")
BUILD = unix_port.ROOT / "build"


def measured(name, options):
    """The entry of one section in the JSON."""
    module = importlib.import_module(f"host_tools.bench.{name}")
    began = time.monotonic()
    try:
        entry = module.measure(options).facts()
    except section.Skipped as reason:
        entry = {"skipped": str(reason)}
    return {"about": module.ABOUT, **entry, "seconds": round(time.monotonic() - began, 1)}


def machine():
    """The machine in a few words."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def names(text):
    found = text.split(",")
    unknown = [name for name in found if name not in SECTIONS]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    return found


def earlier(file):
    """Sections that a run before this has measured."""
    try:
        return json.loads(file.read_text())["sections"]
    except (OSError, ValueError, KeyError):
        return {}


def parse(arguments):
    parser = argparse.ArgumentParser(prog="host_tools.bench",
                                     description=__doc__.partition("\n")[0])
    parser.add_argument("--only", type=names, default=SECTIONS, metavar="NAME,NAME",
                        help=f"of {', '.join(SECTIONS)}; all by default")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds of each thing")
    parser.add_argument("--quick", action="store_true",
                        help="so little of each that the figures mean nothing")
    parser.add_argument("--instructions", action="store_true",
                        help="faces: count instructions too (valgrind), which takes minutes")
    parser.add_argument("--output", type=Path, default=BUILD / "bench.json", metavar="FILE.json",
                        help="the Markdown goes beside it")
    return parser.parse_args(arguments)


def main(arguments=None):
    arguments = parse(arguments)
    console, progress = Console(), Console(stderr=True)
    found, failed = {}, []
    for name in arguments.only:
        def say(text, name=name):
            if progress.is_terminal:
                progress.print(f"[dim]{name}: {text}[/dim]", highlight=False)

        say("starts")
        with tempfile.TemporaryDirectory(prefix="filament-bench-") as directory:
            try:
                found[name] = measured(name, section.Options(
                    Path(directory), arguments.rounds, arguments.quick, arguments.instructions,
                    say))
            except Exception:
                traceback.print_exc()
                failed.append(name)
                continue
        section.show(console, name, found[name])
    found = earlier(arguments.output) | found
    facts = {"when": time.strftime("%Y-%m-%d"), "machine": machine(),
             "sections": {name: found[name] for name in SECTIONS if name in found}}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    document = arguments.output.with_suffix(".md")
    document.write_text(section.markdown(facts))
    console.print(f"\n{arguments.output}, {document}", highlight=False)
    if failed:
        progress.print(f"failed: {', '.join(failed)}", highlight=False)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
