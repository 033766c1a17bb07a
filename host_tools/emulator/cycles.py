"""Cycles that the kernels take on the Pico W, and a frame that comes in: exactly repeatable, as
the emulator counts them.

    python -m host_tools.emulator.cycles [--root DIR] [--json FILE]

The firmware's own heap and stack for the kernels, .mpy files with machine code for the board. Each
figure is the least of some runs, as the rest is the allocator's state; no pipeline stalls and no
flash cache.
"""

import argparse
import json
from pathlib import Path

from host_tools import unix_port
from host_tools.emulator import files
from host_tools.emulator.board import ROOMY, Board
from tests.core.scenes import ROOT_AT, identity, planet

_HZ = 125_000_000
_BUILD = unix_port.ROOT / "build" / "board"

_LEAST = """
import gc, emulated
from machine import disable_irq, enable_irq

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

"""

_KERNELS = """
from mpcore.crypto import portable as c

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

# Two nodes up to VL1, which know each other: their own heap would not do for files in it.
_FRAME = """
from mpcore.vl1 import packet
from mpcore.vl1.identity import Identity
from mpcore.vl1.switch import VL1
from mpcore.vl1.world import World

SIZE, NOW, AT = 128, 1, bytes(6)
planet, _ = World.from_bytes(bytes.fromhex(%r))
first, second = [Identity.from_text(text) for text in %r]
taken = []

def send(endpoint, buf, off, n):
    taken.append(bytes(buf[off:off + n]))

def node(own, other):
    vl1 = VL1(own, planet, send, bytes, validate=False, sliced=False)
    return vl1, vl1.add_peer(0, other)

sender, receiver_there = node(first, second)
receiver, _ = node(second, first)
dispatched = []
receiver.on(packet.USER_MESSAGE, lambda now, peer, received: dispatched.append(now))
sender.send_to(NOW, receiver_there, AT, packet.USER_MESSAGE, bytes(SIZE - packet.HEADER))
buf = bytearray(1 + SIZE)

def work():
    buf[1:] = taken[0]
    receiver.receive(NOW, AT, buf, 1, SIZE)

assert len(taken[0]) == SIZE
least("frame of %%d B in, parsed, dearmored, dispatched" %% SIZE, 5, work)
assert len(dispatched) == 6
"""


def measure(root=unix_port.ROOT):
    """Cycles by what they are for."""
    return _kernels(root) | _frame(root)


def _kernels(root):
    directory = _BUILD / "cycles"
    chosen = {on_board: source for on_board, source in files.core(root).items()
              if on_board.startswith(("mpcore/crypto/", "mpcore/__init__", "mpcore/limits",
                                       "mpcore/fallback", "mpcore/on_demand"))}
    # The facade and the package import the port, of which this measurement needs two facts.
    files.build(directory, chosen | files.app(files.GUEST), root)
    for package in ("mpcore", "mpcore/crypto"):
        (directory / package / "__init__.mpy").unlink(missing_ok=True)
        (directory / package / "__init__.py").write_text("")
    (directory / "mpcore" / "port.py").write_text("CODE_IN_HEAP = IS_BOARD = True\n")
    return _run(directory, _KERNELS)


def _frame(root):
    directory = _BUILD / "frame"
    files.build(directory, files.core(root) | files.app(files.GUEST), root)
    code = _FRAME % (planet([(identity(0), [ROOT_AT])]).to_bytes().hex(),
                     [identity(i).to_text(secret=True) for i in (1, 2)])
    return _run(directory, "import emulated\nemulated.install()\n" + code, ROOMY)


def _run(directory, code, heap=None):
    with Board(_BUILD, heap=heap) as board:
        said = board.mpremote("mount", directory, "exec", _LEAST + code)
    found = {}
    for line in said.splitlines():
        if line.startswith("cycles "):
            _, count, name = line.split(" ", 2)
            found[name] = int(count)
    return found


def table(found):
    """The same for people."""
    return "\n".join(f"{name:50} {count:14,} cycles {1000 * count / _HZ:10.3f} ms"
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
