"""`filament flash` with esptool against a mock of the chips' boot loader, and stock firmware."""

import contextlib
import hashlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import tty
from pathlib import Path

import pytest
import serial

from host_tools.boards import facts, images
from host_tools.demo.processes import die_with_parent
from host_tools.device import esp_image, firmware, flashing, link, tree
from host_tools.unix_port import ROOT
from tests.host import stock_firmware as stock

KNOWN = facts.load()
ESP32S = sorted(board.board for board in KNOWN.values() if board.esptool_chip)
MB = 1 << 20
TIMEOUT_S = 120


class Chip:
    """A boot loader in a process of its own; `flash` is what it has in flash."""

    def __init__(self, directory, chip, *options):
        self._file = Path(directory, "flash.bin")
        self._child = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("mock_loader.py"), chip, self._file,
             *map(str, options)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            preexec_fn=die_with_parent)
        self.port = self._child.stdout.readline().strip()
        assert self.port, "the mock did not start"

    def wait_until_it_stalls(self):
        assert self._child.stdout.readline() == "stalled\n"

    @property
    def flash(self):
        return self._file.read_bytes()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._child.kill()
        self._child.wait()
        self._child.stdout.close()


@contextlib.contextmanager
def silent_port():
    """A port that says nothing; yields its path and what reads all that was sent to it."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)

    def sent():
        try:
            return os.read(master, 65536)
        except BlockingIOError:
            return b""

    try:
        yield os.ttyname(slave), sent
    finally:
        os.close(master)
        os.close(slave)


def filament(*arguments, **options):
    return subprocess.run([sys.executable, "-m", "host_tools", *map(str, arguments)], cwd=ROOT,
                          stdin=subprocess.DEVNULL, timeout=TIMEOUT_S,
                          **{"capture_output": True, "text": True} | options)


def flash(port, board, file, *arguments):
    return filament("flash", port, "--board", board, "--firmware", file, *arguments)


def complaint(done):
    """The one sentence of a command that failed, without the frame around it."""
    assert done.returncode == 1 and "Traceback" not in done.stderr
    framed = done.stderr[done.stderr.index("╭"):]
    return " ".join(line.strip("│╭╰╮╯─ ") for line in framed.splitlines()[1:-1]).strip()


@pytest.fixture
def image(tmp_path):
    """Writes a board's stock firmware, changed by a function, to a file."""
    def write(board, change=lambda content: content):
        path = tmp_path / f"{board}.bin"
        path.write_bytes(change(stock.of(board)))
        return path

    return write


# --- it works ------------------------------------------------------------------------------


@pytest.mark.parametrize("board", ESP32S)
def test_each_chip_gets_its_firmware_where_it_belongs(board, image, tmp_path):
    file = image(board)
    with Chip(tmp_path, board) as chip:
        done = flash(chip.port, board, file, "--json", *["--no-image"][:board == "esp32"])
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["image"] is None
        offset, content = KNOWN[board].flash_offset, stock.of(board)
        assert told["verified"] and told["offset"] == offset == {
            "esp32": 0x1000, "esp32s2": 0x1000}.get(board, 0)
        assert told["version"] == firmware.VERSION and told["flash_size"] == 4 * MB
        # to the byte, and nothing else has been touched
        assert chip.flash == (b"\xff" * offset + content).ljust(4 * MB, b"\xff")
    assert done.stderr.count("writing: 50 %") == 1 and "\x1b" not in done.stderr
    assert done.stderr.splitlines()[-1] == "verifying"


def image_of(texts):
    """A whole image for an ESP32."""
    board = KNOWN["esp32"]
    return images.image(images.parts(texts, "{}.mpy".format, board), board)


IMAGE = image_of({f"m{n}": f"x = {n}\n" for n in range(50)})


def test_an_image_goes_beside_the_firmware_and_is_verified_with_it(image, tmp_path):
    file, beside = image("esp32"), tmp_path / "filament.bin"
    beside.write_bytes(IMAGE)
    board = KNOWN["esp32"]
    at = board.flash_free[0]
    with Chip(tmp_path, "esp32") as chip:
        done = flash(chip.port, "esp32", file, "--image", beside, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["image"] == str(beside)
        whole = b"\xff" * board.flash_offset + stock.of("esp32")
        assert chip.flash == (whole.ljust(at, b"\xff") + IMAGE).ljust(4 * MB, b"\xff")
        done = flash(chip.port, "esp32", file, "--image", beside, "--check")
        assert "the flash holds it: 1,759,456 bytes from 0x1000, and the image from 0x1b0000" \
            in done.stdout
        beside.write_bytes(image_of({"m": "x = 1\n"}))
        assert flash(chip.port, "esp32", file, "--image", beside, "--check").returncode == 1
        # the firmware alone, anew: the image stays
        assert flash(chip.port, "esp32", file, "--no-image").returncode == 0
        assert chip.flash[at:at + len(IMAGE)] == IMAGE
        # and that of this program, where nothing is said
        done = flash(chip.port, "esp32", file)
        assert "and the image from 0x1b0000" in done.stdout
        own = tree.image(board)
        images.check(own, board)
        assert chip.flash[at:at + len(own)] == own


def test_another_firmware_is_written_without_the_image(image, tmp_path):
    with Chip(tmp_path, "esp32") as chip:
        done = flash(chip.port, "esp32", image("esp32", _of_another_build))
        assert "Filament's code does not go into the flash with it: it would not run there" in \
            done.stdout
        assert not chip.flash[KNOWN["esp32"].flash_free[0]:].strip(b"\xff")


def test_an_image_that_is_not_taken_whole_is_found(image, tmp_path):
    beside = tmp_path / "filament.bin"
    beside.write_bytes(IMAGE)
    with Chip(tmp_path, "esp32", "--damage", KNOWN["esp32"].flash_free[0] + 70) as chip:
        assert "what is in the flash is not what was sent" in complaint(
            flash(chip.port, "esp32", image("esp32"), "--image", beside))


def _of_another_build(content):
    at = content.index(bytes.fromhex(KNOWN["esp32"].firmware_calls.build))
    start, end = 0x10000 - 0x1000, esp_image.read(content, 0x10000 - 0x1000).end
    changed = bytearray(content)
    changed[at] ^= 1
    changed[end - 32:end] = hashlib.sha256(changed[start:end - 32]).digest()
    return bytes(changed)


@pytest.mark.parametrize("board, change, content, expected", [
    ("esp32", _of_another_build, IMAGE, "only MicroPython 1.27.0 of 2025-12-09, without PSRAM"),
    ("esp32", bytes, IMAGE[:-1], "it is damaged or cut off"),
    ("esp32", bytes, b"no image", "it is none, or cut off"),
    ("esp32c3", bytes, IMAGE, "--image is not for esp32c3: no place in its flash is known"),
])
def test_an_image_that_cannot_run_is_not_sent(board, change, content, expected, image, tmp_path):
    beside = tmp_path / "filament.bin"
    beside.write_bytes(content)
    with silent_port() as (port, sent):
        assert expected in complaint(
            flash(port, board, image(board, change), "--image", beside))
        assert not sent()


def test_at_a_serial_port_files_stay_unless_all_is_erased(image, tmp_path):
    files = b"the file system "
    kept = tmp_path / "flash.bin"
    kept.write_bytes(files * (4 * MB // 16))
    end = len(stock.of("esp32c3"))
    assert end < 2 * MB
    with Chip(tmp_path, "esp32c3", "--pty") as chip:
        assert chip.port.startswith("/dev/")
        done = flash(chip.port, "esp32c3", image("esp32c3"))
        assert done.returncode == 0, done.stderr
        assert "written and verified: 1,724,720 bytes from 0x0" in done.stdout
        assert f"SHA-256  {firmware.hashlib.sha256(stock.of('esp32c3')).hexdigest()}" \
            in done.stdout
        assert chip.flash[:end] == stock.of("esp32c3")
        again = flash(chip.port, "esp32c3", image("esp32c3"), "--check")
        assert again.returncode == 0 and "the flash holds it" in again.stdout
        assert chip.flash[2 * MB:] == files * (2 * MB // 16)
    with Chip(tmp_path, "esp32c3") as chip:
        done = flash(chip.port, "esp32c3", image("esp32c3"), "--erase")
        assert done.returncode == 0, done.stderr
        assert chip.flash == stock.of("esp32c3").ljust(4 * MB, b"\xff")


def test_on_a_terminal_there_is_a_bar_and_nothing_of_it_stays(image, tmp_path):
    master, slave = pty.openpty()
    shown = bytearray()

    def watch():
        with contextlib.suppress(OSError):      # the end of a terminal is an error
            while chunk := os.read(master, 65536):
                shown.extend(chunk)

    watching = threading.Thread(target=watch)
    watching.start()
    with Chip(tmp_path, "esp32c3") as chip:
        done = filament("flash", chip.port, "--board", "esp32c3", "--firmware", image("esp32c3"),
                        capture_output=False, stdout=subprocess.PIPE, stderr=slave,
                        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"})
    os.close(slave)
    watching.join()
    os.close(master)
    assert done.returncode == 0
    assert b"writing" in shown and "━".encode() in shown and shown.endswith(b"\x1b[2K")
    assert "\x1b" not in done.stdout


def test_another_version_is_taken_from_a_file_only_and_named(tmp_path):
    file = tmp_path / stock.OLDER
    file.write_bytes(stock.content(stock.OLDER))
    with Chip(tmp_path, "esp32s3") as chip:
        done = flash(chip.port, "esp32s3", file)
        assert done.returncode == 0, done.stderr
    assert "MicroPython 1.24.1 of 2024-11-29 for esp32s3" in done.stdout
    assert f"Filament is tested with {firmware.VERSION}" in done.stdout


# --- what goes wrong on the way ------------------------------------------------------------


def test_a_flash_that_does_not_take_a_byte_is_found_and_mended(image, tmp_path):
    with Chip(tmp_path, "esp32c3", "--damage", "0x100123") as chip:
        done = flash(chip.port, "esp32c3", image("esp32c3"))
        assert "what is in the flash is not what was sent. Repeat the command" in complaint(done)
        assert "next:" not in done.stdout
        checked = flash(chip.port, "esp32c3", image("esp32c3"), "--check")
        assert complaint(checked).endswith("without --check it is written")
    with Chip(tmp_path, "esp32c3") as chip:
        assert chip.flash[0x100123] == stock.of("esp32c3")[0x100123] ^ 0x55
        assert flash(chip.port, "esp32c3", image("esp32c3")).returncode == 0
        assert chip.flash[:2 * MB] == stock.of("esp32c3").ljust(2 * MB, b"\xff")


def test_a_connection_that_breaks_once_is_taken_up_again(image, tmp_path):
    with Chip(tmp_path, "esp32c3", "--cut-at", 700_000) as chip:
        done = flash(chip.port, "esp32c3", image("esp32c3"))
        assert done.returncode == 0, done.stderr
        assert "lost the connection, trying again" in done.stderr
        assert chip.flash[:2 * MB] == stock.of("esp32c3").ljust(2 * MB, b"\xff")


def test_a_cable_that_is_pulled_leaves_a_part_and_the_next_run_mends_it(image, tmp_path):
    with Chip(tmp_path, "esp32", "--cut-at", 700_000, "--gone") as chip:
        done = flash(chip.port, "esp32", image("esp32"), "--no-image")
        assert "the firmware is in the flash in part, and the board does not start. Repeat the " \
            "command, which starts anew" in complaint(done)
        torn = chip.flash
        assert torn[0x1000:0x2000] == stock.of("esp32")[:0x1000]
        assert not torn[1_500_000:].strip(b"\xff")
    with Chip(tmp_path, "esp32") as chip:
        assert flash(chip.port, "esp32", image("esp32"), "--no-image").returncode == 0
        assert chip.flash[0x1000:2 * MB] == stock.of("esp32").ljust(2 * MB - 0x1000, b"\xff")


def can_be_stopped():
    """What a shell starts in the background ignores Ctrl-C, and so does all that comes of it."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_board_that_stalls_is_given_up_and_one_who_stops_it_is_told_the_same(
        image, tmp_path, monkeypatch):
    torn = "the firmware is in the flash in part, and the board does not start"

    def impatient_once_it_writes(what, percent):
        if what == "writing":
            monkeypatch.setattr(flashing, "_SILENCE_S", 1)

    with Chip(tmp_path, "esp32c3", "--cut-at", 700_000, "--stall") as chip:
        tool = flashing.Esptool(KNOWN["esp32c3"], chip.port, tell=impatient_once_it_writes)
        with pytest.raises(flashing.FlashError, match=f"esptool said nothing for 1 s; {torn}"):
            tool.write({0: stock.of("esp32c3")})
    with Chip(tmp_path, "esp32c3", "--cut-at", 700_000, "--stall") as chip:
        child = subprocess.Popen(
            [sys.executable, "-m", "host_tools", "flash", chip.port, "--board", "esp32c3",
             "--firmware", image("esp32c3")], cwd=ROOT, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, preexec_fn=can_be_stopped)
        chip.wait_until_it_stalls()
        child.send_signal(signal.SIGINT)
        output, errors = child.communicate(timeout=TIMEOUT_S)
        done = subprocess.CompletedProcess([], child.returncode, output, errors)
        assert f"you stopped it; {torn}" in complaint(done)
    with Chip(tmp_path, "esp32c3") as chip:
        assert flash(chip.port, "esp32c3", image("esp32c3")).returncode == 0
        assert chip.flash[:2 * MB] == stock.of("esp32c3").ljust(2 * MB, b"\xff")


@pytest.mark.parametrize("chip, options, expected", [
    ("esp32", (), "this board has an ESP32, and esp32c3 has an ESP32-C3: say --board esp32"),
    ("esp32c5", (), "this board has an ESP32-C5, and esp32c3 has an ESP32-C3: it is not "
                    "supported"),
    ("esp32c3", ("--flash-mb", 2), "it needs 4 MB of flash, and the board has 2 MB"),
    ("esp32c3", ("--early",), "the firmware is not for this revision of the chip"),
])
def test_a_board_that_is_another_is_left_as_it_is(chip, options, expected, image, tmp_path):
    with Chip(tmp_path, chip, *options) as board:
        assert expected in complaint(flash(board.port, "esp32c3", image("esp32c3")))
        assert not board.flash.strip(b"\xff")


# --- what is found before anything is sent -------------------------------------------------


@pytest.mark.parametrize("change, expected", [
    (lambda content: stock.of("esp32s3"), "it is for the ESP32-S3, and esp32c3 has an ESP32-C3"),
    (lambda content: stock.of("rp2_pico_w"), "no image for an ESP32 begins there"),
    (lambda content: content[:1_000_000], "it is cut off"),
    (lambda content: b"", "the file is empty"),
])
def test_a_file_that_is_not_for_the_board_is_not_sent(change, expected, image):
    with silent_port() as (port, sent):
        done = flash(port, "esp32c3", image("esp32c3", change))
        assert expected in complaint(done)
        assert "is no firmware for esp32c3" in complaint(done)
        assert sent() == b""


def test_a_port_that_says_nothing_is_left_after_some_attempts(image):
    with silent_port() as (port, _):
        said = complaint(flash(port, "esp32c3", image("esp32c3")))
    assert "no boot loader answers. Hold the board's BOOT button" in said


def test_a_port_that_is_not_there_or_taken_or_forbidden(image):
    file = image("esp32c3")
    said = complaint(flash("/dev/ttyUSB77", "esp32c3", file))
    assert said.startswith("/dev/ttyUSB77: there is no such port")
    with silent_port() as (port, _):
        with serial.Serial(port, exclusive=True):
            assert "another program uses this port; close it" in complaint(
                flash(port, "esp32c3", file))
        os.chmod(port, 0)
        try:
            if os.geteuid() == 0:
                os.seteuid(65534)
            with pytest.raises(link.LinkError, match="you may not use this port"):
                link.check_port(port)
        finally:
            os.seteuid(os.getuid())


@pytest.mark.parametrize("arguments, expected", [
    (("--board", "esp32c3"), "name the port of the esp32c3"),
    (("/dev/null", "--board", "toaster"), "there is no board toaster: there are esp32, esp32c3"),
    (("/dev/null", "--board", "unix"), "there is no board unix"),
    (("/dev/null", "--board", "esp32", "--drive", "/mnt"), "--drive is not for esp32, which is "
                                                           "flashed by esptool"),
    (("--board", "rp2_pico_w", "--erase"), "--erase is not for rp2_pico_w, which is flashed by "
                                           "UF2"),
    (("/dev/x", "--board", "rp2_pico_w", "--drive", "/mnt"), "the port or the drive, not both"),
    (("/dev/null", "--board", "esp32", "--firmware", "/no/such"), "no serial port that can"),
    (("/dev/null", "--board", "esp32", "--image", "x", "--no-image"), "not both"),
])
def test_what_cannot_be_meant_is_told(arguments, expected):
    assert expected in complaint(filament("flash", *arguments))
