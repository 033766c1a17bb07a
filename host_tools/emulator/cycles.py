"""Cycles that the kernels take on the Pico W: exactly repeatable, as the emulator counts them.

    python -m host_tools.emulator.cycles [--root DIR] [--json FILE]

The firmware's own heap and stack, .mpy files with machine code for the board. Each figure is the
least of some runs, as the rest is the allocator's state; no pipeline stalls and no flash cache.
"""

import argparse
import json
from pathlib import Path

from host_tools import unix_port
from host_tools.emulator import files
from host_tools.emulator.board import Board

_HZ = 125_000_000
_BUILD = unix_port.ROOT / "build" / "board"

_MEASURE = """
import gc, emulated
from machine import disable_irq, enable_irq
from mpcore.crypto import portable as c

def least(name, runs, call, *arguments):
    best = None
    call(*arguments)        # what it needs is loaded, through the serial port
    for _ in range(runs):
        gc.collect()
        # What mpremote does at the serial port is not for the kernel's account.
        state = disable_irq()
        began = emulated.cycles()
        call(*arguments)
        took = (emulated.cycles() - began) % (1 << 30)
        enable_irq(state)
        if best is None or took < best:
            best = took
    print("cycles", best, name)

def nothing(*arguments): pass

buf = bytearray(1500)
key = bytes(range(32))
least("an empty call", 5, nothing)
for n in (64, 1400):
    least("Salsa20/12, %d B" % n, 5, c.salsa20_xor, key, bytes(8), 0, buf, 0, n, 12)
    least("Poly1305, %d B" % n, 5, c.poly1305, key, buf, 0, n)
least("SHA-512, 1 block", 5, c.sha512, b"abc")
least("SHA-512, 9 blocks", 3, c.sha512, bytes(1024))
least("X25519", 2, c.x25519, key, bytes(range(1, 33)))
public = c.ed25519_public(key)
signature = c.ed25519_sign(key, b"message")
assert c.ed25519_verify(public, b"message", signature)
least("Ed25519 verify", 2, c.ed25519_verify, public, b"message", signature)
least("Ed25519 sign", 2, c.ed25519_sign, key, b"message")
"""


def measure(root=unix_port.ROOT):
    """Cycles by what they are for."""
    directory = _BUILD / "cycles"
    chosen = {on_board: source for on_board, source in files.core(root).items()
              if on_board.startswith(("mpcore/crypto/", "mpcore/__init__", "mpcore/limits",
                                            "mpcore/on_demand"))}
    # The facade and the package import the port, of which this measurement needs two facts.
    files.build(directory, chosen | files.app(files.GUEST), root)
    for package in ("mpcore", "mpcore/crypto"):
        (directory / package / "__init__.mpy").unlink(missing_ok=True)
        (directory / package / "__init__.py").write_text("")
    (directory / "mpcore" / "port.py").write_text("CODE_IN_HEAP = IS_BOARD = True\n")
    with Board(_BUILD) as board:
        said = board.mpremote("mount", directory, "exec", _MEASURE)
    found = {}
    for line in said.splitlines():
        if line.startswith("cycles "):
            _, count, name = line.split(" ", 2)
            found[name] = int(count)
    return found


def table(found):
    """The same for people."""
    return "\n".join(f"{name:24} {count:14,} cycles {1000 * count / _HZ:10.3f} ms"
                     for name, count in found.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=unix_port.ROOT, help="Another checkout.")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    found = measure(arguments.root.resolve())
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    print(table(found))


if __name__ == "__main__":
    main()
