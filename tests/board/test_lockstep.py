"""Cycles of whole reactions on the board: exactly repeatable, and within a budget.

Heap and stack are the firmware's own, whether the code is in the board's flash or in .mpy files.
"""

import json

import pytest

from host_tools import unix_port
from host_tools.emulator import lockstep, reacting

CHANGES = 8
REACTION_CYCLES = 750_000       # datagram in -> pin set, 6 ms at 125 MHz; the median
SLOWEST_CYCLES = 4_000_000      # one that comes while the bulb collects its garbage
REFRESH_MS = 75_000             # in which a config is refreshed and its signature checked
LATE_MS = 11                    # at most 1 in 100 takes longer meanwhile
FOLLOWING_MS = 3_500            # from power-on to the game's stream
JOINED_BYTES = 37_000           # in use, of 205,568
REACTING_BYTES = 43_000         # with what the last events have left to be done
GROWN_BYTES = 512               # by ten times more reactions: what one leaves would add up
MPY_JOINED_MS = 5_000           # the same from .mpy files: the heap is short, much is collected
MPY_FOLLOWING_MS = 7_000
ECHO_CYCLES = 1_200_000
ECHOES = 8


@pytest.fixture(name="directory")
def directory_fixture(tmp_path):
    return tmp_path / "board"


def test_reactions_repeat_to_the_cycle_and_stay_within_their_budget(directory):
    installed = lockstep.prepare(directory)
    assert installed["heap"] is None
    first, second = [lockstep.play(directory, installed, CHANGES) for _ in range(2)]
    assert first == second
    output = unix_port.ROOT / "build" / "board-reactions.json"
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps(first, indent=2) + "\n")
    assert 0 < first["joined_ms"]
    assert first["joined_ms"] <= first["following_ms"] <= FOLLOWING_MS
    reactions = sorted(first["reactions"])
    assert len(reactions) == CHANGES
    assert 100_000 < reactions[0][0] <= reactions[CHANGES // 2][0] <= REACTION_CYCLES
    assert reactions[-1][0] <= SLOWEST_CYCLES
    assert all(cycles * 8 - 1000 <= nanos for cycles, nanos in reactions)   # at 125 MHz
    assert 0 < first["joined"]["used"] <= JOINED_BYTES
    assert first["joined"]["used"] < first["heap"]["used"] <= REACTING_BYTES
    assert first["grown"] <= GROWN_BYTES


def test_what_is_done_every_minute_delays_no_reaction_for_long(directory):
    with lockstep.Play(directory, lockstep.prepare(directory)) as play:
        play.follow()
        found = reacting.quantiles(play.react_for(REFRESH_MS))
    assert found["count"] > REFRESH_MS // lockstep.CHANGE_MS - 10
    assert found["p99_ms"] <= LATE_MS


def test_the_code_fits_from_mpy_files_too(directory):
    installed = lockstep.prepare(directory, in_flash=False)
    assert installed["heap"] is None
    found = lockstep.play(directory, installed, CHANGES)
    assert 0 < found["joined_ms"] <= MPY_JOINED_MS
    assert found["joined_ms"] <= found["following_ms"] <= MPY_FOLLOWING_MS
    reactions = sorted(found["reactions"])
    assert len(reactions) == CHANGES
    assert reactions[CHANGES // 2][0] <= REACTION_CYCLES
    assert reactions[-1][0] <= SLOWEST_CYCLES


def test_echoes_and_a_start_with_what_is_in_storage(directory):
    with lockstep.Play(directory, lockstep.prepare(directory, program="echo")) as play:
        play.wait_for("serving")
        address = play.address()
        for found in play.echo_udp(ECHOES), play.echo_tcp(ECHOES):
            assert len(found) == ECHOES
            assert 100_000 < min(found)[0] <= ECHO_CYCLES       # the first come while it learns
        play.run(lockstep.STORED_MS)
        play.power_cycle()
        play.ping(play.lan.members[0], address)
        assert 0 < play.now_ms < lockstep.LIMIT_MS
        play.wait_for("serving")
        assert play.address() == address
