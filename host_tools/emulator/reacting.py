"""The bulb on an emulated Pico W reacts for minutes of the board's time, first to one game in a
small network, then with more members: how long each reaction takes, and whether its heap grows.

    python -m host_tools.emulator.reacting [--minutes N] [--mpy] [--json FILE]

In lockstep with a simulated network (lockstep.py), so the figures repeat to the cycle. The code is
in the board's flash and its heap is its own; with --mpy it is loaded from .mpy files, with more
heap than a board has.
"""

import argparse
import json
import sys
from pathlib import Path

from host_tools import unix_port
from host_tools.emulator import lockstep

HZ = 125_000_000
SAMPLE_S = 30
FURTHER = 5                 # members; with the root, the controller and the game there are eight
_BUILD = unix_port.ROOT / "build" / "board"


def quantiles(reactions):
    """{"count", "p50_ms", "p99_ms", "max_ms", "p50_cycles", "p99_cycles"} of [[cycles, ns], …].

    Milliseconds are from the datagram's arrival, what the board did before it was taken included.
    """
    cycles, nanos = [sorted(column) for column in zip(*reactions)]

    def at(ordered, share):
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    return {"count": len(reactions), "p50_ms": round(at(nanos, .5) / 1e6, 2),
            "p99_ms": round(at(nanos, .99) / 1e6, 2), "max_ms": round(nanos[-1] / 1e6, 2),
            "p50_cycles": at(cycles, .5), "p99_cycles": at(cycles, .99)}


def measure(directory, seconds, in_flash=True, say=lambda text: None):
    """{"joined_ms", "following_ms", "joined", "reacting", "reacting_peers", "reactions",
    "reactions_meeting", "reactions_peers"}: the first two and reactions (see quantiles) in board
    time; memory (see Play.memory) once joined, and lists of it, each with "s", one every SAMPLE_S.
    The game's reactions are timed without further members, while these come, and with them."""
    say("copying the files")
    installed = lockstep.prepare(directory, in_flash, roomy=not in_flash)
    with lockstep.Play(directory, installed) as play:
        say("joining")
        found = play.follow()
        for name, further in (("", 0), ("_peers", FURTHER)):
            if further:
                found["reactions_meeting"] = quantiles(play.meet(further))
            samples, reactions = [], []
            for elapsed_s in [*range(SAMPLE_S, int(seconds), SAMPLE_S), seconds]:
                since_s = samples[-1]["s"] if samples else 0
                reactions += play.react_for((elapsed_s - since_s) * 1000)
                samples.append({"s": elapsed_s, **play.memory()})
                play.react(1)           # which may have waited for that: 25 ms of the board's
                say(f"{elapsed_s} s, {further} further members: {samples[-1]['used']} B")
            found |= {"reacting" + name: samples, "reactions" + name: quantiles(reactions)}
    return found


def growth(samples):
    """Bytes by which the heap in use grew from the first sample to the last."""
    return samples[-1]["used"] - samples[0]["used"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--mpy", action="store_true",
                        help="the code in .mpy files, more heap than a board has")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    found = measure(_BUILD / "reacting", round(arguments.minutes * 60), not arguments.mpy,
                    lambda text: print(text, file=sys.stderr, flush=True))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
