"""`filament flash` of an RP2: the drive of its boot loader, which goes away when it has all."""

import errno
import os
import subprocess
import sys
import threading

import pytest

from host_tools.boards import facts, uf2
from host_tools.device import link, tree, uf2_drive
from host_tools.device.flashing import FlashError
from host_tools.unix_port import ROOT
from tests.host import stock_firmware as stock
from tests.host.repl_board import ReplBoard
from tests.host.test_device_flash import complaint, filament, silent_port
from tests.host.test_device_flash_images import RP2040_INFO, RP2350_INFO

KNOWN = facts.load()
PICO_W, PICO_2_W = KNOWN["rp2_pico_w"], KNOWN["rp2_pico2_w"]
SMALL = uf2.encode(bytes(4096) * 100, 0x10000000)       # 800 KB of file
PORT = "/dev/ttyACM0"


class BootDrive:
    """The drive of a board: what `pause` is called for passes, and then it acts."""

    def __init__(self, places, name="RPI-RP2", info=RP2040_INFO, expected=SMALL, stale=False):
        self.path = places / name
        self.path.mkdir()
        (self.path / uf2_drive.INFO).write_bytes(info)
        (self.path / "INDEX.HTM").write_text("")
        self.expected = expected
        self.stale = stale          # seems to be there after it has gone
        self.patience = 3
        self.taken = None
        self.ports = []

    def pause(self, seconds):
        assert 0 < seconds < 1
        self.patience -= 1
        file = self.path / "firmware.uf2"
        if self.taken is None and self.patience <= 0 and file.exists() \
                and file.read_bytes() == self.expected:
            self.taken = file.read_bytes()
            if self.stale:
                return
            for each in self.path.iterdir():
                each.unlink()
            self.path.rmdir()
        elif self.taken is not None:
            self.ports = [PORT]

    def flash(self, facts=PICO_W, content=SMALL, **options):
        return uf2_drive.flash(facts, content, pause=self.pause, places=[self.path.parent],
                               plugged_in=lambda: self.ports, **options)


def test_a_drive_is_found_written_and_gone_and_then_micropython_is_there(tmp_path):
    board, told = BootDrive(tmp_path), []
    assert board.flash(tell=lambda *step: told.append(step)) == PORT
    assert board.taken == SMALL
    written = [percent for what, percent in told if what == "writing"]
    assert written == sorted(written) and written[-1] == 100 and len(written) > 10
    assert told[-1] == ("waiting for MicroPython", None)


def test_who_has_no_ports_sees_no_micropython_and_that_is_no_error(tmp_path):
    board = BootDrive(tmp_path)
    assert uf2_drive.flash(PICO_W, SMALL, path=board.path, pause=board.pause,
                           plugged_in=list) is None
    assert board.taken == SMALL


def test_a_drive_that_seems_to_be_there_when_micropython_is(tmp_path):
    board = BootDrive(tmp_path, stale=True)
    assert board.flash() == PORT and (board.path / uf2_drive.INFO).exists()


def test_drives_are_found_two_levels_below_where_they_are_mounted(tmp_path):
    (tmp_path / "media/me").mkdir(parents=True)
    (tmp_path / "media/me/a stick").mkdir()
    (tmp_path / "media/me/wrong").mkdir()
    (tmp_path / "media/me/wrong" / uf2_drive.INFO).write_text("hello")
    first = BootDrive(tmp_path / "media/me")
    second = BootDrive(tmp_path / "media", "RP2350", RP2350_INFO)
    places = [tmp_path / "media", tmp_path / "missing"]
    assert {drive.path for drive in uf2_drive.drives(places)} == {
        str(first.path), str(second.path)}
    assert uf2_drive.find(PICO_W, places=places).path == str(first.path)
    assert uf2_drive.find(PICO_2_W, places=places).path == str(second.path)
    BootDrive(tmp_path / "media", "RPI-RP21")
    with pytest.raises(FlashError, match="several boards are in BOOTSEL mode.*--drive"):
        uf2_drive.find(PICO_W, places=places)
    with pytest.raises(FlashError, match="not the drive of a boot loader.*INFO_UF2.TXT"):
        uf2_drive.find(PICO_W, tmp_path / "media/me/a stick")


@pytest.mark.parametrize("info, expected", [
    (None, "no drive of a board in BOOTSEL mode is mounted: hold its BOOTSEL button"),
    (RP2350_INFO, r"the drive of a Raspberry Pi RP2350 \(RP2350\), and rp2_pico_w has an RP2040"),
])
def test_without_its_drive_nothing_is_written(info, expected, tmp_path):
    if info:
        drive = BootDrive(tmp_path, info=info)
    with pytest.raises(FlashError, match=expected):
        uf2_drive.flash(PICO_W, SMALL, places=[tmp_path], plugged_in=list)
    assert not info or not (drive.path / "firmware.uf2").exists()


def test_a_full_drive(tmp_path):
    board = BootDrive(tmp_path)
    (board.path / "firmware.uf2").symlink_to("/dev/full")
    with pytest.raises(FlashError, match="the drive is full: .*then repeat the command"):
        board.flash()
    assert not os.path.lexists(board.path / "firmware.uf2")     # and the next run writes
    assert board.flash() == PORT


def test_a_board_that_does_not_take_it(tmp_path):
    board = BootDrive(tmp_path, expected=b"something else")
    with pytest.raises(FlashError, match="has not restarted within 20 s, so it did not take it"):
        board.flash()


def fails_after(monkeypatch, count, number):
    """From the sync after `count` pieces on, the system calls it an error."""
    left = [count]

    def fsync(handle):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)


PIECES = -(-len(SMALL) // (128 * 512))


def test_a_cable_that_is_pulled_and_the_next_run(tmp_path, monkeypatch):
    board = BootDrive(tmp_path)
    with monkeypatch.context() as patch:
        fails_after(patch, 5, errno.EIO)
        with pytest.raises(FlashError, match=r"the transfer broke off at \d\d % .*in part.*which "
                                             "starts anew"):
            board.flash()
    assert board.flash() == PORT and board.taken == SMALL


def test_a_board_that_restarts_while_the_system_still_writes(tmp_path, monkeypatch):
    fails_after(monkeypatch, PIECES - 1, errno.EIO)
    board = BootDrive(tmp_path)
    assert board.flash() == PORT
    fails_after(monkeypatch, PIECES - 1, errno.EIO)
    board = BootDrive(tmp_path)
    with pytest.raises(FlashError, match="it cannot be told whether all of the firmware arrived"):
        uf2_drive.flash(PICO_W, SMALL, path=board.path, pause=board.pause, plugged_in=list)


def test_a_drive_that_may_not_be_written(tmp_path, monkeypatch):
    fails_after(monkeypatch, 0, errno.EROFS)
    with pytest.raises(FlashError, match="you may not write there"):
        BootDrive(tmp_path).flash()


# --- a board that runs MicroPython ---------------------------------------------------------


def test_a_board_that_runs_micropython_is_sent_into_its_boot_loader(tmp_path):
    places = tmp_path / "media"
    places.mkdir()
    other = BootDrive(places, "RPI-RP21")           # of another board, which is left alone
    with ReplBoard(tmp_path) as running:
        with link.open_link(running.port) as board:
            board.write("/machine.py", b"import sys\ndef bootloader():\n sys.exit()\n")
        came, pauses = [], []

        def pause(seconds):
            pauses.append(seconds)
            if not came and len(pauses) == 3:
                came.append(BootDrive(places))
            for drive in came:
                drive.pause(seconds)

        shown = uf2_drive.flash(PICO_W, SMALL, port=running.port, pause=pause, places=[places],
                                plugged_in=lambda: came[0].ports if came else [])
    assert shown == PORT and came[0].taken == SMALL
    assert not (other.path / "firmware.uf2").exists()


def test_a_board_whose_drive_nobody_mounts_and_one_without_a_boot_loader(tmp_path):
    with ReplBoard(tmp_path) as running:
        with pytest.raises(FlashError, match="(?s)bootloader.*hold the board's BOOTSEL button"):
            uf2_drive.enter_boot_loader(PICO_W, running.port, [tmp_path])
        with link.open_link(running.port) as board:
            board.write("/machine.py", b"import sys\ndef bootloader():\n sys.exit()\n")
        with pytest.raises(FlashError, match="no drive came up within 30 s.*--drive"):
            uf2_drive.enter_boot_loader(PICO_W, running.port, [tmp_path], lambda seconds: None)


# --- the command ---------------------------------------------------------------------------


@pytest.mark.parametrize("own", [True, False])
def test_the_command_writes_firmware_and_an_image_of_filament_in_one(own, tmp_path):
    second = tmp_path / "filament.uf2"
    second.write_bytes(tree.image(PICO_W) if own else
                       uf2.encode(b"Filament" * 1000, PICO_W.flash_free[0]))
    file = tmp_path / "firmware.uf2"
    file.write_bytes(stock.of("rp2_pico_w"))
    (tmp_path / "media").mkdir()
    board = BootDrive(tmp_path / "media", expected=uf2.join(file.read_bytes(),
                                                            second.read_bytes()))
    child = subprocess.Popen(
        [sys.executable, "-m", "host_tools", "flash", "--board", "rp2_pico_w", "--firmware", file,
         *(() if own else ("--image", second)), "--drive", board.path], cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True)
    stopped = threading.Event()

    def live():
        while board.taken is None and not stopped.wait(0.05):
            board.pause(0.05)

    thread = threading.Thread(target=live)
    thread.start()
    try:
        output, errors = child.communicate(timeout=60)
    finally:
        stopped.set()
        thread.join()
    assert child.returncode == 0, errors
    assert "MicroPython 1.27.0 of 2025-12-09 for rp2_pico_w" in output
    assert "written; the board has restarted" in output
    blocks = uf2.check(board.taken, PICO_W.uf2_family, PICO_W.flash_size)
    assert {block.address for block in blocks} > set(range(0x100D8000, 0x100D9F00, 256))


@pytest.mark.parametrize("content, expected", [
    (uf2.encode(b"x", 0x10000000), "it does not lie in the flash that firmware and file system "
                                   "leave free"),
    (uf2.encode(b"x", 0x100D8000, PICO_2_W.uf2_family), "it is for the RP2350 (Arm)"),
    (uf2.encode(b"x", 0x100D8000)[:-512], "it is cut off"),
])
def test_an_image_that_is_not_for_the_board(content, expected, tmp_path):
    drive = BootDrive(tmp_path)
    (tmp_path / "own.uf2").write_bytes(content)
    (tmp_path / "firmware.uf2").write_bytes(stock.of("rp2_pico_w"))
    done = filament("flash", "--board", "rp2_pico_w", "--firmware", tmp_path / "firmware.uf2",
                    "--image", tmp_path / "own.uf2", "--drive", drive.path)
    assert expected in complaint(done)
    assert not (drive.path / "firmware.uf2").exists()


def test_a_uf2_file_for_another_family_and_a_port_that_says_nothing(tmp_path):
    (tmp_path / "firmware.uf2").write_bytes(stock.of("rp2_pico_w"))
    done = filament("flash", "--board", "rp2_pico2_w", "--firmware", tmp_path / "firmware.uf2",
                    "--drive", tmp_path)
    assert "it is for the RP2040, and not for the RP2350 (Arm)" in complaint(done)
    with silent_port() as (port, _):
        done = filament("flash", port, "--board", "rp2_pico_w", "--firmware",
                        tmp_path / "firmware.uf2", "--no-image")
    assert "no MicroPython answers there; hold the board's BOOTSEL button" in complaint(done)
