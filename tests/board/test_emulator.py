"""The emulated board itself: what the firmware finds there, and that it all repeats."""

import hashlib

import pytest

from host_tools.emulator import cycles, provisions
from host_tools.emulator.board import ROOMY, Board, Failure


@pytest.fixture(name="directory", scope="module")
def directory_fixture(tmp_path_factory):
    return tmp_path_factory.mktemp("board")


def test_the_firmware_is_the_stock_one_with_its_own_heap(directory):
    with Board(directory) as board:
        said = board.run("import sys, gc; gc.collect(); print(sys.implementation._machine, "
                         "sys.implementation.version, gc.mem_alloc() + gc.mem_free())")
    assert said.split("\n")[0].strip() == (
        "Raspberry Pi Pico W with RP2040 (1, 27, 0, '') 205568")


def test_a_roomy_board_has_another_heap_and_a_deeper_stack(directory):
    code = ("import gc\ndef deep(n): return n if n == 0 else deep(n - 1)\n"
            "print(gc.mem_free(), deep(60))")
    with Board(directory, heap=ROOMY) as board:
        free, depth = map(int, board.run(code).split())
        assert free > 400_000 and depth == 0
    with Board(directory) as board, pytest.raises(Failure, match="recursion depth"):
        board.run(code)


def test_files_stay_when_the_flash_is_kept(directory):
    with Board(directory) as board:
        board.run("with open('kept.txt', 'w') as file: file.write('x' * 5000)")
        board.save(directory / "flash.bin")
    with Board(directory, flash=directory / "flash.bin") as board:
        assert board.run("print(len(open('kept.txt').read()))").strip() == "5000"
    with Board(directory) as board:
        assert board.run("import os; print(os.listdir())").strip() == "[]"


def test_random_bits_come_from_the_seed(directory):
    def drawn(seed):
        with Board(directory, seed=seed) as board:
            return board.run("import os; print(os.urandom(16).hex(), os.urandom(16).hex())")

    first = drawn(1)
    assert len(set(first.split())) == 2
    assert first == drawn(1) != drawn(2)


def test_a_pin_that_is_set_is_told_and_reads_back(directory):
    with Board(directory) as board:
        assert board.run("from machine import Pin\np = Pin(15, Pin.OUT)\np.value(1)\n"
                         "print(p.value()); p.value(0); print(p.value())").split() == ["1", "0"]
        assert board.wait_for("pin", value=1)["cycles"] < board.wait_for("pin", value=0)["cycles"]


def test_a_kernel_takes_the_same_cycles_every_time():
    first = cycles.measure()
    assert first == cycles.measure()
    assert first["Salsa20/12, 64 B"] < first["Salsa20/12, 1400 B"] < first["X25519"]


def test_what_is_provided_is_checked(tmp_path, monkeypatch):
    firmware, bootrom = provisions.provide(tmp_path)
    bootrom.write_bytes(b"damaged")
    assert hashlib.sha256(provisions.provide(tmp_path)[1].read_bytes()).hexdigest().startswith(
        "90b31e10")
    monkeypatch.setattr(provisions, "_firmware", lambda: b"another")
    firmware.unlink()
    with pytest.raises(provisions.Missing, match="SHA-256"):
        provisions.provide(tmp_path)


def test_a_board_that_cannot_start_says_why(tmp_path):
    (tmp_path / "flash.bin").mkdir()
    with pytest.raises(Failure, match="EISDIR"):
        Board(tmp_path, flash=tmp_path / "flash.bin")
