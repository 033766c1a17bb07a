"""Cycles of whole reactions on the board: exactly repeatable, and within a budget."""

import json

from host_tools import unix_port

from tests.board import lockstep

CHANGES = 8
REACTION_CYCLES = 750_000       # datagram in -> pin set, 6 ms at 125 MHz; the median
SLOWEST_CYCLES = 9_000_000      # one that comes while the bulb collects its garbage
JOINED_MS = 5_000               # from power-on to an address in the network
FOLLOWING_MS = 7_000            # and to the game's stream: the heap is short, so much is collected


def test_reactions_repeat_to_the_cycle_and_stay_within_their_budget(tmp_path):
    flash = lockstep.prepare(tmp_path, None)        # the firmware's own heap
    first, second = [lockstep.play(tmp_path, flash, None, CHANGES) for _ in range(2)]
    assert first == second
    output = unix_port.ROOT / "build" / "board-reactions.json"
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps(first, indent=2) + "\n")
    assert 0 < first["joined_ms"] <= JOINED_MS
    assert first["joined_ms"] <= first["following_ms"] <= FOLLOWING_MS
    reactions = sorted(first["reactions"])
    assert len(reactions) == CHANGES
    assert 100_000 < reactions[0][0] <= reactions[CHANGES // 2][0] <= REACTION_CYCLES
    assert reactions[-1][0] <= SLOWEST_CYCLES
    assert all(cycles * 8 - 1000 <= nanos for cycles, nanos in reactions)   # at 125 MHz
