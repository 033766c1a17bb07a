"""The bulb's story on unmodified firmware, in a network whose root, controller and games run here:
two games, eight peers, a reset and a pulled cable. The code is in the board's flash, and the heap
is the firmware's own, of 205,568 bytes.
"""

import asyncio
import json

from host_tools import generate, unix_port
from host_tools.demo.scene import NODES
from host_tools.emulator import story

LIVE_BYTES = {"active": 32_000, "joined": 54_000, "reacting": 54_000, "more_peers": 57_000}
GROWTH_BYTES = 8_000        # what a few seconds more may add: caches that are not full yet
JOIN_MS = 5_000             # of the board's time, from a soft reset, importing included
SECONDS = 20


def test_the_bulb_on_the_board(tmp_path):
    # One test, as the story takes a minute and a half; its figures stay in build/board.json.
    identities = generate.generate(len(NODES) + story.MORE_PEERS, lambda found, hashes: None)
    figures = asyncio.run(story.play(tmp_path, identities, SECONDS))
    output = unix_port.ROOT / "build" / "board.json"
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps(figures, indent=2) + "\n")
    assert 0 < figures["join_ms"] <= JOIN_MS
    it_reacts_by_its_pin_and_after_its_cable_was_out(figures["reactions"])
    its_heap_stays_within_bounds_and_does_not_grow(figures["heap"])
    further_peers_fit(figures["heap"]["more_peers"])


def it_reacts_by_its_pin_and_after_its_cable_was_out(reactions):
    for name in ("reacting", "after_link"):
        assert reactions[name]["count"] >= 3
        # Each time that the program says so the pin has changed; the first and last may be cut.
        assert abs(reactions[name]["count"] - reactions[name]["said"]) <= 2


def its_heap_stays_within_bounds_and_does_not_grow(heap):
    assert heap["active"]["used"] <= LIVE_BYTES["active"]
    assert heap["joined"]["used"] <= LIVE_BYTES["joined"]
    for name in ("reacting", "after_link"):
        assert heap[name]["last"]["used"] <= LIVE_BYTES["reacting"]
        assert heap[name]["last"]["used"] <= heap[name]["first"]["used"] + GROWTH_BYTES


def further_peers_fit(met):
    """With the code that was loaded to get to know them."""
    assert met["count"] == story.MORE_PEERS
    assert met["last"]["used"] <= LIVE_BYTES["more_peers"]
