"""Writes docs/profile.md: where a node's instructions go, layer by layer.

    python -m host_tools.bench.profile [--measured build/bench.json] [--output FILE]

It measures, unless it is given what `make bench` has measured already.
"""

import argparse
import json
import tempfile
from pathlib import Path

from rich.console import Console

from host_tools import unix_port
from host_tools.bench import kernels
from host_tools.bench.section import Options, markdown_table

_WIDTH = 50


def document(figures):
    """The text of the file, from the section's figures."""
    whole = figures["whole"]["instructions"]
    lines = ["# Where the instructions go", "",
             "Written by `python -m host_tools.bench.profile`. " + kernels.ABOUT, "",
             f"One end of a 64-byte TCP round trip through `mpcore.aio`: {whole:,} instructions.",
             "", "```"]
    at = 0
    width = max(len(each["layer"]) for each in figures["layers"])
    for each in figures["layers"]:
        size = round(max(each["share"], 0) * _WIDTH)
        bar = (" " * at + "█" * size)[:_WIDTH].ljust(_WIDTH)
        lines.append(f"{each['layer'].ljust(width)}  {bar} {each['instructions']:>9,} "
                     f"{100 * each['share']:5.1f} %")
        at += size
    lines += ["```", "", *markdown_table(["kernel", "instructions", "heap, bytes"], [
        [each["kernel"], each["instructions"], each["heap"]] for each in figures["kernels"]])]
    return "\n".join(lines)


def measured():
    """The section's figures of now."""
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="filament-profile-") as directory:
        return kernels.measure(Options(
            Path(directory), say=lambda text: console.print(text, highlight=False))).figures


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="host_tools.bench.profile",
                                     description=__doc__.partition("\n")[0])
    parser.add_argument("--measured", type=Path, metavar="FILE.json",
                        help="what `make bench` wrote, section kernels in it")
    parser.add_argument("--output", type=Path, default=unix_port.ROOT / "docs" / "profile.md")
    options = parser.parse_args(arguments)
    if options.measured:
        figures = json.loads(options.measured.read_text())["sections"]["kernels"]["figures"]
    else:
        figures = measured()
    options.output.write_text(document(figures).rstrip() + "\n")


if __name__ == "__main__":
    main()
