"""Cycles of whole reactions on the board: exactly repeatable, and within a budget."""

import pytest

from host_tools.emulator.board import ROOMY

from tests.board import lockstep

CHANGES = 8
REACTION_CYCLES = 900_000       # datagram in -> pin set, 7.2 ms at 125 MHz
FOLLOWING_MS = 10_000           # from power-on to the game's stream


@pytest.fixture(name="runs", scope="module")
def runs_fixture(tmp_path_factory):
    directory = tmp_path_factory.mktemp("lockstep")
    flash = lockstep.prepare(directory, ROOMY)
    return [lockstep.play(directory, flash, ROOMY, CHANGES) for _ in range(2)]


def test_it_all_repeats_to_the_cycle(runs):
    assert runs[0] == runs[1]
    assert len(runs[0]["reactions"]) == CHANGES


def test_a_reaction_stays_within_its_budget(runs):
    for cycles, nanos in runs[0]["reactions"]:
        assert 100_000 < cycles <= REACTION_CYCLES
        assert cycles * 8 <= nanos      # at 125 MHz; the rest it waited


def test_it_follows_a_game_soon_after_power_on(runs):
    assert runs[0]["joined_ms"] < runs[0]["following_ms"] <= FOLLOWING_MS
