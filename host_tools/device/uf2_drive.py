"""Firmware onto the drive that an RP2 in BOOTSEL mode is.

Its boot loader is in ROM and shows a small drive. A UF2 file that is copied there is written to
flash as it comes; with the last block the board restarts, and the drive is gone.
"""

import errno
import os
import time
from collections import namedtuple
from pathlib import Path

from host_tools.device import link
from host_tools.device.flashing import FlashError

INFO = "INFO_UF2.TXT"
PLACES = ("/media", "/run/media", "/mnt", "/Volumes")   # and directories two levels below
_MAX_INFO = 4096
_MAX_LOOKED_AT = 256        # directories, so that a strange place is not searched for ever
_CHUNK = 128 * 512
_LOOK_S = 0.25
_GONE_S, _APPEAR_S, _START_S = 20, 30, 10
_ENTER_S = 2
_REFUSED = (errno.ENOSPC, errno.EACCES, errno.EPERM, errno.EROFS)
_BOOTSEL = ("hold its BOOTSEL button while you plug it in, or name the port of a board that runs "
            "MicroPython; then repeat the command. Where drives are not mounted by themselves, "
            "mount it and name the place with --drive")

Drive = namedtuple("Drive", "path model board")


def parse_info(content):
    """(model, board) that an INFO_UF2.TXT names. Raises ValueError for anything else."""
    lines = content[:_MAX_INFO].decode("ascii", errors="replace").splitlines()
    if not lines or not lines[0].startswith("UF2 Bootloader"):
        raise ValueError(f"{INFO} is not what a UF2 boot loader writes")
    named = {}
    for line in lines[1:]:
        key, colon, value = line.partition(":")
        if colon:
            named.setdefault(key.strip(), value.strip())
    model, board = named.get("Model", ""), named.get("Board-ID", "")
    if not (model and board and (model + board).isprintable()):
        raise ValueError(f"{INFO} names no model and board")
    return model, board


def read_drive(path):
    """The Drive at a path, None where there is none."""
    try:
        with open(Path(path, INFO), "rb") as file:
            return Drive(str(path), *parse_info(file.read(_MAX_INFO)))
    except (OSError, ValueError):
        return None


def drives(places=PLACES):
    """The Drives of boot loaders that are mounted below these places."""
    directories = []
    for place in places:
        for pattern in ("*", "*/*"):
            directories.extend(_listed(place, pattern))
    found = map(read_drive, [place for place in places] + directories[:_MAX_LOOKED_AT])
    return [drive for drive in found if drive is not None]


def _listed(place, pattern):
    try:
        return sorted(path for path in Path(place).glob(pattern) if path.is_dir())
    except OSError:         # a directory that is somebody else's
        return []


def find(facts, path=None, places=PLACES):
    """The Drive of a board with these Facts: at `path`, or the only one below the places.

    Raises FlashError.
    """
    if path is not None:
        drive = read_drive(path)
        if drive is None:
            raise FlashError(f"{path} is not the drive of a boot loader: there is no {INFO} of "
                             f"one; {_BOOTSEL}")
        found = [drive]
    else:
        found = drives(places)
    fitting = [drive for drive in found if drive.board == facts.uf2_board]
    if not found:
        raise FlashError(f"no drive of a board in BOOTSEL mode is mounted: {_BOOTSEL}")
    if not fitting:
        raise FlashError(f"{found[0].path} is the drive of a {found[0].model} "
                         f"({found[0].board}), and {facts.board} has an {facts.chip}: say the "
                         "right --board")
    if len(fitting) > 1:
        raise FlashError("several boards are in BOOTSEL mode, at "
                         f"{', '.join(drive.path for drive in fitting)}: name one with --drive")
    return fitting[0]


def enter_boot_loader(facts, port, places=PLACES, pause=time.sleep):
    """Send the board that runs MicroPython at a port into its boot loader; returns its Drive.

    Raises FlashError, link.LinkError.
    """
    before = {drive.path for drive in drives(places)}
    by_hand = ("hold the board's BOOTSEL button while you plug it in, and repeat the command "
               "without the port")
    try:
        board = link.open_link(port)
    except link.Silent as error:
        raise FlashError(f"{port}: no MicroPython answers there; {by_hand}") from error
    with board:
        try:
            board.run("import machine\nmachine.bootloader()", _ENTER_S)
        except link.BoardError as error:
            raise FlashError(f"{error}; {by_hand}") from error
        except link.LinkError:
            pass            # it is gone, as it should be
    for _ in range(int(_APPEAR_S / _LOOK_S)):
        new = [drive for drive in drives(places) if drive.path not in before]
        if new:
            return find(facts, new[0].path)
        pause(_LOOK_S)
    raise FlashError(f"{port}: the board was sent into its boot loader, and no drive came up "
                     f"within {_APPEAR_S} s. Where drives are not mounted by themselves, mount "
                     "it, and repeat the command with --drive in place of the port")


def copy(content, drive, tell=lambda percent: None):
    """Copy a UF2 file that was checked onto a Drive.

    Returns whether it is sure that all of it arrived: the board restarts while the last of it is
    still being written, which some systems call an error. tell(percent) is called as it goes on.
    Raises FlashError.
    """
    target = Path(drive.path, "firmware.uf2")
    done = 0
    try:
        with open(target, "wb", buffering=0) as file:
            while done < len(content):
                done += file.write(content[done:done + _CHUNK])
                os.fsync(file.fileno())
                tell(100 * done / len(content))
    except OSError as error:
        if done < len(content) or error.errno in _REFUSED:
            _give_up(target, drive, error, 100 * done // len(content))
        return False
    return True


def _give_up(target, drive, error, percent):
    """Remove what is there in part, if it can be, and raise FlashError."""
    try:
        target.unlink()
    except OSError:
        pass
    if error.errno == errno.ENOSPC:
        raise FlashError(f"{drive.path}: the drive is full: remove the files that are not "
                         f"{INFO} or INDEX.HTM, or unplug the board and hold BOOTSEL while you "
                         "plug it in; then repeat the command") from error
    if error.errno in _REFUSED:
        raise FlashError(f"{drive.path}: you may not write there; mount the drive as your own, "
                         "and repeat the command") from error
    raise FlashError(f"{drive.path}: the transfer broke off at {percent} % ({error.strerror}); "
                     "the firmware is in the flash in part, and the board does not start. Hold "
                     "its BOOTSEL button while you plug it in, and repeat the command, which "
                     "starts anew") from error


def flash(facts, content, port=None, path=None, tell=lambda what, percent: None,
          pause=time.sleep, places=PLACES, plugged_in=None):
    """Put a UF2 file that was checked onto a board; returns where MicroPython then shows up, or
    None where no port did.

    port: of a board that runs MicroPython, which is sent into its boot loader; without one the
    board is in it already, with its drive at `path` or where drives are mounted. plugged_in():
    the names of the ports with such a board. Raises FlashError, link.LinkError.
    """
    before = set(plugged_in()) - {port}
    if port is not None:
        tell("sending the board into its boot loader", None)
        drive = enter_boot_loader(facts, port, places, pause)
    else:
        drive = find(facts, path, places)
    sure = copy(content, drive, lambda percent: tell("writing", percent))
    tell("waiting for MicroPython", None)

    def shown():
        return min(set(plugged_in()) - before, default=None)

    for _ in range(int(_GONE_S / _LOOK_S)):
        # A drive that somebody mounted by hand may seem to be there still.
        if read_drive(drive.path) is None or shown():
            break
        pause(_LOOK_S)
    else:
        raise FlashError(f"{drive.path}: all of the firmware is there, and the board has not "
                         f"restarted within {_GONE_S} s, so it did not take it. Unplug it, hold "
                         "its BOOTSEL button while you plug it in, and repeat the command")
    for _ in range(int(_START_S / _LOOK_S)):
        if found := shown():
            return found
        pause(_LOOK_S)
    if not sure:
        raise FlashError(f"{drive.path}: the board is gone, and it cannot be told whether all of "
                         "the firmware arrived, for MicroPython has not shown up. Unplug it and "
                         "plug it in; where `filament boards` does not show it then, hold its "
                         "BOOTSEL button while you plug it in, and repeat the command")
    return None
