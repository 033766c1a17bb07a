"""What each module takes of the heap when real firmware imports it from an .mpy file.

    python -m host_tools.emulator.heap [--plain [--root DIR]] [--json FILE] [MODULE ...]

The files are those of `make boards`, where the core is one thing to import; --plain: each module
for itself, in the order in which they import each other. Bytes that are live after a collection.
The names
that a module brings (qstrs) are counted apart: the firmware keeps them in pools that grow in
steps, so a module's own row has them only by chance.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

from host_tools import unix_port
from host_tools.emulator import files
from host_tools.emulator.board import ROOMY, Board

_BUILD = unix_port.ROOT / "build" / "board"
_MODULES = ["mpcore.nic", "mpcore.aio", "bulb", "sse"]

_ORDER = """
import builtins, sys
load = builtins.__import__
def told(name, g=None, l=None, names=(), level=0):
    new = name not in sys.modules
    module = load(name, g, l, names, level)
    if new and not hasattr(module, "__path__"):
        print(name)
    return module
builtins.__import__ = told
for name in %r: __import__(name)
"""

# A package's own file is loaded with the first of its modules: what it imports counts for that.
_MEASURE = """
import gc, micropython, sys
import asyncio, errno, json, select, socket, struct, time, board
asyncio.Event, asyncio.StreamReader, asyncio.Lock, asyncio.sleep_ms
gc.collect(); print("free", gc.mem_free(), gc.mem_alloc())
for name in %r:
    gc.collect(); before = gc.mem_alloc()
    try:
        __import__(name)
    except (MemoryError, RuntimeError) as e:
        print("failed", name, repr(e)); break
    gc.collect(); print("module", name, gc.mem_alloc() - before)
    micropython.qstr_info()
"""


def order(modules, root):
    """All modules that these import, those that are imported by others first."""
    done = subprocess.run([unix_port.executable(), "-c", _ORDER % (modules,)], check=True,
                          capture_output=True, text=True, cwd=root,
                          env=unix_port.environment(str(root / "boards/apps/bulb"), str(root)))
    names = [name.replace("micropython_unix", "micropython_board")
             for name in done.stdout.split()]
    return [name for name in dict.fromkeys(names) if name.split(".")[0] in ("mpcore", *modules)]


def measure(modules, root=unix_port.ROOT, heap=ROOMY, optimise=2, plain=False):
    """{"free": bytes before, "modules": [[name, bytes, bytes of new qstrs], ...], "failed": what
    did not fit, or None}. root and optimise are for plain files."""
    directory = _BUILD / "heap"
    files.build(directory, files.core(root) | files.app(files.GUEST, "boards/apps/bulb"), root,
                optimise, short=not plain)
    names = order(modules, root) if plain else ["mpcore", *modules]
    with Board(_BUILD, heap=heap) as board:
        said = board.mpremote("mount", directory, "exec", _MEASURE % (names,))
    found = {"modules": [], "failed": None}
    names_before = None
    for line in said.splitlines():
        words = line.split()
        if words[:1] == ["free"]:
            found |= {"free": int(words[1]), "before": int(words[2])}
        elif words[:1] == ["module"]:
            found["modules"].append([words[1], int(words[2]), 0])
        elif words[:1] == ["failed"]:
            found["failed"] = line[len("failed "):]
        elif match := re.match(r"qstr pool: .*n_total_bytes=(\d+)", line):
            names = int(match[1])
            found["modules"][-1][2] = names - (names_before or names)
            names_before = names
    if not found["modules"]:
        sys.exit(f"the board measured nothing:\n{said}")
    return found


def table(found):
    """The same for people."""
    lines, total = [f"free before: {found['free']:,} bytes", ""], 0
    for name, size, names in found["modules"]:
        total += size
        lines.append(f"{name:36} {size:8,} {total:9,}   names {names:6,}")
    sums = {}
    for name, size, _ in found["modules"]:
        group = ".".join(name.split(".")[:2])
        sums[group] = sums.get(group, 0) + size
    lines += ["", *(f"{group:36} {size:8,}" for group, size in sums.items()), "",
              f"{'all':36} {total:8,}"]
    if found["failed"]:
        lines.append(f"NOT ALL: {found['failed']}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plain", action="store_true", help="Modules as they are written.")
    parser.add_argument("--root", type=Path, default=unix_port.ROOT, help="Another checkout.")
    parser.add_argument("--real", action="store_true",
                        help="The firmware's own heap of 201 KB, whether it fits or not.")
    parser.add_argument("-O", dest="optimise", type=int, default=2, choices=(0, 1, 2, 3),
                        help="mpy-cross's; 3: no line numbers.")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("modules", nargs="*", metavar="MODULE", default=_MODULES)
    arguments = parser.parse_args()
    found = measure(arguments.modules, arguments.root.resolve(),
                    None if arguments.real else ROOMY, arguments.optimise, arguments.plain)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    print(table(found))


if __name__ == "__main__":
    main()
