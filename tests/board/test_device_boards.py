"""`filament boards --probe` at a board with stock firmware."""

import json
import subprocess
import sys

from host_tools.boards import facts
from host_tools.device import firmware
from host_tools.emulator.board import Board
from host_tools.unix_port import ROOT

TIMEOUT_S = 120


def test_a_board_is_asked_what_it_is_and_goes_on_with_its_program(tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    (files / "main.py").write_text('print(\'{"event": "started"}\')\n')
    with Board(tmp_path) as board:
        board.copy(files)
        done = subprocess.run([sys.executable, "-m", "host_tools", "boards", board.serial,
                               "--probe", "--json"], cwd=ROOT, capture_output=True, text=True,
                              timeout=TIMEOUT_S)
        [told] = json.loads(done.stdout)["ports"]
        board.wait_for("started")
    running = told["running"]
    assert running["firmware"] == f"micropython {firmware.VERSION}"
    assert running["board"] == "rp2_pico_w"
    assert running["machine"].endswith(f"with {facts.load()['rp2_pico_w'].chip}")
    assert running["heap"][0] > 100_000 and running["address"] is None
