"""Firmware into the flash of an ESP32, by Espressif's esptool.

esptool is run as a program of its own, never imported. It talks to the boot loader in the chip's
ROM, which nothing that is written can harm: after whatever has gone wrong, the same command again
starts anew.
"""

import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque, namedtuple
from pathlib import Path

from host_tools.boards import facts as board_facts
from host_tools.device import esp_image

BAUD = 460800
_SILENCE_S = 240            # erasing a large flash takes minutes, and esptool says nothing then
_TAIL = 12                  # lines of its output that are kept for a message
_FATAL = re.compile(r"(?:ERROR: )?A (?:fatal|serial exception) error occurred: (.*)")
_CONNECTED = re.compile(r"Chip type:\s+(.+)")
_MAC = re.compile(r"MAC:\s+([0-9a-f:]{17})")
_SIZE = re.compile(r"Detected flash size:\s+(\d+)([KM])B")
_WRITING = re.compile(r"Writing at 0x[0-9a-f]+ .*?(\d+\.\d)%")
_ERASING = ("Flash will be erased", "Erasing flash")
_VERIFYING, _VERIFIED = "Verifying written data", "Hash of data verified."
_COMPARING, _COMPARED = "Verifying 0x", "Verification successful"
_LOST = "Lost connection, retrying"
_OTHER_CHIP = re.compile(r"This chip is (\S+), not (\S+?)\.")
_SILENT = ("Failed to connect", "No serial data received", "Wrong boot mode",
           "Timed out waiting for packet", "Invalid head of packet")
_DIFFERS = ("MD5 of file does not match", "flash region is empty")
_NOT_THIS = "Verification failed"

# chip: as esptool describes it; flash_size: bytes, None where it could not tell.
Chip = namedtuple("Chip", "chip mac flash_size")


class FlashError(OSError):
    """What has come between a board and its firmware; a sentence, with what to do next."""


class Esptool:
    """The ESP32 of a board with these Facts, at a serial port or a pyserial URL.

    tell(what, percent or None) is called as it goes on; `what` is one of "connecting", "erasing",
    "writing", "lost the connection, trying again" and "verifying".
    """

    def __init__(self, facts, port, baud=BAUD, tell=lambda what, percent: None):
        self._facts = facts
        self._port = port
        self._fast = ["--baud", str(baud)]
        self._tell = tell
        self._changed = False       # the flash is not what it was

    def identify(self):
        """The Chip; nothing in its flash changes. Raises FlashError."""
        said = {"chip": None, "mac": None, "flash_size": None}

        def look(line):
            if found := _CONNECTED.match(line):
                said["chip"] = found[1]
            elif found := _MAC.match(line):
                said["mac"] = found[1]
            elif found := _SIZE.match(line):
                said["flash_size"] = int(found[1]) << (20 if found[2] == "M" else 10)

        # The ROM answers, and is not left: a board whose BOOT button was pressed by hand, or whose
        # USB goes away with a reset, is still there for what comes next.
        self._run(["--no-stub", "--after", "no-reset", "flash-id"], look)
        return Chip(**said)

    def write(self, pieces, erase=False):
        """Put a whole firmware, checked before, and what else belongs into flash, {offset: bytes},
        and have the chip compare what it has.

        erase: all of the flash first, files and settings included. Raises FlashError.
        """
        verified = 0

        def look(line):
            nonlocal verified
            if found := _WRITING.match(line):
                self._changed = True
                self._tell("writing", float(found[1]))
            elif line.startswith(_ERASING):
                self._changed = True
                self._tell("erasing", None)
            elif line.startswith(_LOST):
                self._tell("lost the connection, trying again", None)
            elif line.startswith(_VERIFYING):
                self._tell("verifying", None)
            verified += line == _VERIFIED

        with _kept(pieces) as places:
            self._run([*self._fast, "write-flash", *(["--erase-all"] if erase else []), *places],
                      look)
        if verified < len(pieces):
            raise FlashError(f"{self._port}: esptool did not verify what it wrote: this chip "
                             "encrypts its flash or was made secure, which is not supported")

    def compare(self, pieces):
        """Raises FlashError where the flash does not hold {offset: bytes}."""
        same = False

        def look(line):
            nonlocal same
            if line.startswith(_COMPARING):
                self._tell("verifying", None)
            same = same or line.startswith(_COMPARED)

        with _kept(pieces) as places:
            self._run([*self._fast, "verify-flash", *places], look)
        if not same:
            raise FlashError(f"{self._port}: esptool did not say whether the flash is as it "
                             "should be")

    def _run(self, command, look):
        """Run esptool, with each line of its output given to look(line). Raises FlashError."""
        self._tell("connecting", None)
        arguments = [sys.executable, "-m", "esptool", "--chip", self._facts.esptool_chip,
                     "--port", self._port, *command]
        environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "400", "PYTHONUNBUFFERED": "1",
                       "PYTHONUTF8": "1"}
        tail, fatal = deque(maxlen=_TAIL), None
        with tempfile.TemporaryDirectory() as elsewhere:    # no esptool.cfg of where we are
            child = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, env=environment, cwd=elsewhere)
            try:
                for line in _lines(child):
                    if found := _FATAL.match(line):
                        fatal = found[1]
                    look(line)
                    tail.append(line)
            except queue.Empty:
                raise FlashError(self._torn(f"esptool said nothing for {_SILENCE_S} s")) from None
            except KeyboardInterrupt:
                raise FlashError(self._torn("you stopped it")) from None
            finally:
                _end(child)
        if child.returncode:
            raise FlashError(self._sentence(fatal, tail))

    def _torn(self, reason):
        if not self._changed:
            return f"{self._port}: {reason}; nothing was written: repeat the command"
        return (f"{self._port}: {reason}; the firmware is in the flash in part, and the board "
                "does not start. Repeat the command, which starts anew; if it breaks off again, "
                "try another cable, or --baud 115200")

    def _sentence(self, fatal, tail):
        """What esptool's failure means, and what to do."""
        said = fatal or "; ".join(line for line in tail if line.strip()) or "esptool failed"
        if found := _OTHER_CHIP.search(said):
            boards = [board.board for board in board_facts.load().values()
                      if board.chip == found[1]]
            hint = f"say --board {' or '.join(boards)}" if boards else "it is not supported"
            return (f"{self._port}: this board has an {found[1]}, and {self._facts.board} has an "
                    f"{self._facts.chip}: {hint}")
        if "chip revision" in said:
            return (f"{self._port}: the firmware is not for this revision of the chip (esptool: "
                    f"{said})")
        if said.startswith(_NOT_THIS):
            return (f"{self._port}: the flash does not hold this firmware; without --check it is "
                    "written")
        if any(part in said for part in _DIFFERS):
            return (f"{self._port}: what is in the flash is not what was sent. Repeat the "
                    "command; if that does not help, try another cable and --baud 115200. A "
                    "flash that never takes it is worn out")
        if self._changed:
            return self._torn(f"the transfer broke off (esptool: {said})")
        if said.startswith("Could not open"):
            return f"{self._port}: it cannot be opened; `filament boards` lists the ports"
        if any(part in said for part in _SILENT):
            return (f"{self._port}: no boot loader answers. Hold the board's BOOT button, press "
                    "RESET, let go of BOOT, and repeat the command; is this the port of an "
                    f"{self._facts.chip}?")
        return self._torn(f"esptool failed ({said})")


def check_fit(content, facts, chip, port):
    """Raises FlashError where the flash that the chip really has is too small for a firmware."""
    if chip.flash_size is None:
        return
    try:
        esp_image.check_fit(content, facts, chip.flash_size)
    except ValueError as error:
        raise FlashError(f"{port}: this firmware does not fit: {error}; get the one that "
                         "micropython.org has for this size, and name it with --firmware") \
            from error


class _kept:
    """{offset: bytes} as files that nobody else reads or writes, for as long as the context lasts;
    it gives offsets and paths as esptool takes them."""

    def __init__(self, pieces):
        self._pieces = pieces

    def __enter__(self):
        self._directory = tempfile.TemporaryDirectory()
        arguments = []
        for offset, content in self._pieces.items():
            path = Path(self._directory.name, f"{offset:x}.bin")
            path.write_bytes(content)
            arguments += [hex(offset), str(path)]
        return arguments

    def __exit__(self, *error):
        self._directory.cleanup()


def _lines(child):
    """The lines that a process prints, until it closes its output. Raises queue.Empty when none
    comes for _SILENCE_S."""
    lines = queue.SimpleQueue()

    def read():
        for line in child.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    while (line := lines.get(timeout=_SILENCE_S)) is not None:
        yield line.decode(errors="replace").rstrip()


def _end(child):
    """End a process that may be running; a second Ctrl-C does not leave it behind."""
    if child.poll() is None:
        child.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)
        try:
            child.wait(5)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            child.kill()
    child.wait()
