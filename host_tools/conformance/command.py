"""`filament conformance`."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import rich_click as click
from rich.console import Console
from rich.table import Table

from host_tools import unix_port
from host_tools.command import generate_identities, json_option
from host_tools.conformance.runner import PASS, Runner, find_tests
from host_tools.conformance.scene import IDENTITIES, Scene

_PAGE = """# MicroPython's own tests of sockets, over a virtual network

Written by `filament conformance --micropython-tests DIR --markdown docs/conformance.md`, where
DIR is the directory `tests` of a checkout of MicroPython; none of its files is kept here. Each
test file runs unmodified on MicroPython's unix port with `mpcore.interpose()` in place: those of
multi_net as two nodes in two processes, on a network with a root and a controller of its own on
loopback. What micropython.org and two dead addresses are to some tests, a third node and two
routes are here.

A test passes when it prints exactly what its `.exp` file says, or without one what CPython
prints. One that skips has not passed. "stock sockets" tells how one that did not pass does on the
platform's own sockets, without Filament.

MicroPython: {version}. {summary}.

| group | test | result | remark |
|---|---|---|---|
{rows}"""
_STYLES = {"pass": "green", "fail": "red", "skip": "yellow"}


@click.command()
@click.option("--micropython-tests", "directory", required=True, metavar="DIR",
              type=click.Path(exists=True, file_okay=False),
              help="The directory `tests` of a checkout of MicroPython.")
@click.option("--library", multiple=True, type=click.Path(exists=True, file_okay=False),
              help="Directory with modules that tests import, such as unittest of "
                   "micropython-lib. Repeatable.")
@click.option("--only", multiple=True, metavar="PART",
              help="Run the files whose group/name has this in it. Repeatable.")
@click.option("--markdown", type=click.Path(dir_okay=False),
              help="Write the table there too, as a page.")
@click.option("-v", "--verbose", is_flag=True, help="Show what a test that did not pass printed.")
@json_option
def conformance(directory, library, only, markdown, verbose, as_json):
    """Run MicroPython's own tests of sockets over a virtual network.

    The files for sockets, select, streams and asyncio run unmodified on MicroPython's unix port,
    those with two instances as two nodes. A test that does not pass is run on the platform's own
    sockets too, which tells whose fault it is. Exit code 1 unless everything passed; a test that
    skips has not passed.
    """
    unix_port.executable()
    found = find_tests(directory, only)
    library = [*library, *_beside(directory)]
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        with Scene(Path(scratch, "nodes"), generate_identities(IDENTITIES)) as scene:
            runner = Runner(scene.member, library)
            for group, path in found:
                result = runner.run(group, path.resolve())
                results.append(result)
                if not as_json:
                    _tell(result, verbose)
    passed = sum(result.outcome == PASS for result in results)
    summary = f"{passed} of {len(results)} passed"
    if as_json:
        click.echo(json.dumps({"passed": passed, "results": [vars(each) for each in results]}))
    elif sys.stdout.isatty():
        _show(results, summary)
    else:
        click.echo(summary)
    if markdown:
        Path(markdown).write_text(_markdown(results, summary))
    sys.exit(0 if passed == len(results) else 1)


def _beside(directory):
    """Where a checkout has unittest, when its submodules are there."""
    library = Path(directory, "../lib/micropython-lib/python-stdlib/unittest")
    return [library] if library.exists() else []


def _remark(result):
    return f"stock sockets: {result.stock}" if result.stock else ", ".join(result.metrics)


def _tell(result, verbose):
    line = f"{result.outcome} {result.group}/{result.name} {result.seconds:.1f} s"
    click.echo(" ".join((line, _remark(result))).rstrip())
    if verbose and result.outcome != PASS:
        click.echo(f"printed:\n{result.output}\nexpected:\n{result.expected}")


def _show(results, summary):
    table = Table("group", "test", "result", "s", "remark", title=summary)
    for result in results:
        table.add_row(result.group, result.name,
                      f"[{_STYLES[result.outcome]}]{result.outcome}[/]", f"{result.seconds:.1f}",
                      _remark(result))
    Console().print(table)


def _markdown(results, summary):
    rows = "".join(f"| {result.group} | {result.name} | {result.outcome} | {_remark(result)} |\n"
                   for result in results)
    version = subprocess.run([unix_port.executable(), "-c", "import sys; print(sys.version)"],
                             capture_output=True, text=True, check=True).stdout.strip()
    return _PAGE.format(version=version, summary=summary, rows=rows)
