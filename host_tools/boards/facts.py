"""What is known of each board: boards/BOARD/facts.py, read and checked.

The files are constants, so that a board can import its own; here they are read, not run.
"""

import ast
import re
from collections import namedtuple
from dataclasses import dataclass, fields

from host_tools.unix_port import ROOT

ARCHITECTURES = ("armv6m", "armv7emsp", "xtensawin", "rv32imc", "x64")
PLATFORMS = ("esp32", "rp2", "linux")
POWER_SAVES = ("PM_NONE", "PM_PERFORMANCE", "PM_POWERSAVE")
REMEDIES = ("busy turns",)
USB_MODES = ("MicroPython", "boot loader", "either")
_SECTOR = 4096              # of flash, which is erased at once

# Where a part of the flash appears that the firmware is asked to show: on the buses for data and
# for instructions.
FlashMap = namedtuple("FlashMap", "data code")
# What stock firmware is asked for by address. build: the hash by which the one build is known that
# has these (the SHA-256 of its ELF file, in its "application description"); map, release: where it
# has esp_mmu_map and esp_bt_controller_mem_release.
FirmwareCalls = namedtuple("FirmwareCalls", "build map release")


@dataclass(frozen=True)
class Facts:
    """board: the name of its directory. The rest is what its file says, in lower case.

    esptool_chip: the chip as esptool names it, None where that does not reach it. firmware: the
    name of MicroPython's own build for it, with which its file on micropython.org begins.
    platform: its `sys.platform`. mpy_arch: the native code that it runs, as mpy-cross names it.
    usb_ids: ((vendor, product, which of USB_MODES it is then), …) of its own USB, none where an
    adapter with numbers of its own is between. flash_size: bytes that it has at least.
    flash_free: (start, end) of the flash that neither its firmware nor its file system has, None
    where nothing is put there, and else there is a firmware.json (firmware.py). They are addresses
    where all of the flash has some, else offsets in flash. flash_map and firmware_calls: a FlashMap and FirmwareCalls where these are offsets,
    else None. flash_offset: where esptool writes the firmware; None where it is copied as UF2.
    uf2_family: the number in UF2 files for its chip, and uf2_board: what its boot drive calls
    itself, both None where it has no such drive.
    cpu_hz: the fastest clock, where the firmware starts with a slower one, else None. led_pin: a
    number or name for machine.Pin, None without a plain LED; led_lit: the level that lights it.
    heap_connected: bytes free for Python once Wi-Fi is connected, None while nobody has measured
    it.
    wifi_power_save: the constant of network.WLAN to configure as `pm`; anything but PM_NONE lets
    a packet wait for a beacon. tick_ms: how long an idle asyncio loop may sleep over a packet
    that has come, None where nothing is known of such; tick_remedy: what helps, "busy turns"
    being a task that awaits sleep_ms(0) while a reaction is expected.
    """

    board: str
    chip: str
    esptool_chip: str | None
    firmware: str | None
    platform: str
    mpy_arch: str
    usb_ids: tuple
    flash_size: int | None
    flash_free: tuple | None
    flash_map: tuple | None
    firmware_calls: tuple | None
    flash_offset: int | None
    uf2_family: int | None
    uf2_board: str | None
    cpu_hz: int | None
    led_pin: int | str | None
    led_lit: int | None
    heap_connected: int | None
    wifi_power_save: str | None
    tick_ms: int | None
    tick_remedy: str | None

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, field.type) or isinstance(value, bool):
                self._refuse(field.name, value)
        for name, known in (("mpy_arch", ARCHITECTURES), ("platform", PLATFORMS),
                            ("wifi_power_save", (None, *POWER_SAVES)), ("led_lit", (None, 0, 1)),
                            ("tick_remedy", (None, *REMEDIES))):
            if getattr(self, name) not in known:
                self._refuse(name, getattr(self, name))
        start, end = self.flash_free or (0, 0)
        if start % _SECTOR or not 0 <= start <= end:
            self._refuse("flash_free", self.flash_free)
        for name, kind in (("flash_map", FlashMap), ("firmware_calls", FirmwareCalls)):
            value = getattr(self, name)
            if value is not None:
                checks = [_is_build if field == "build" else _is_address
                          for field in kind._fields]
                if len(value) != len(checks) or not all(
                        check(each) for check, each in zip(checks, value)):
                    self._refuse(name, value)
                object.__setattr__(self, name, kind(*value))
        for name in ("flash_offset", "flash_size", "uf2_family", "cpu_hz", "heap_connected",
                     "tick_ms"):
            if (getattr(self, name) or 0) < 0:
                self._refuse(name, getattr(self, name))
        if not all(map(_is_usb_id, self.usb_ids)):
            self._refuse("usb_ids", self.usb_ids)
        for one, other in (("led_pin", "led_lit"), ("tick_ms", "tick_remedy"),
                           ("uf2_family", "uf2_board"), ("esptool_chip", "flash_offset"),
                           ("flash_map", "firmware_calls")):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                raise ValueError(f"boards/{self.board}/facts.py: {one.upper()} and "
                                 f"{other.upper()} go together")

    def _refuse(self, name, value):
        raise ValueError(f"boards/{self.board}/facts.py: {name.upper()} cannot be {value!r}")


def _is_address(value):
    return type(value) is int and 0 < value < 1 << 32 and value % 4 == 0


def _is_build(value):
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _is_usb_id(entry):
    if not isinstance(entry, tuple) or len(entry) != 3:
        return False
    *numbers, mode = entry
    return mode in USB_MODES and all(type(number) is int and 0 < number < 0x10000
                                     for number in numbers)


def read(board, text):
    """The Facts in the text of a facts.py. Raises ValueError, with what is wrong in it."""
    where = f"boards/{board}/facts.py"
    constants = {}
    try:
        statements = ast.parse(text).body
    except SyntaxError as error:
        raise ValueError(f"{where}: {error}") from error
    for number, statement in enumerate(statements):
        if number == 0 and isinstance(statement, ast.Expr):
            continue            # the docstring
        try:
            [target], value = statement.targets, ast.literal_eval(statement.value)
            constants[target.id.lower()] = value
        except (AttributeError, ValueError) as error:
            raise ValueError(f"{where}: line {statement.lineno} is no NAME = constant") from error
    expected = {field.name for field in fields(Facts)} - {"board"}
    if odd := expected ^ constants.keys():
        raise ValueError(f"{where}: missing or unknown: {', '.join(sorted(odd)).upper()}")
    return Facts(board, **constants)


def load(directory=ROOT / "boards"):
    """The Facts of every board in `directory`, by name. Raises ValueError."""
    return {path.parent.name: read(path.parent.name, path.read_text())
            for path in sorted(directory.glob("*/facts.py"))}


# What a board has to know of itself; the rest is for its builders.
_ON_BOARD = ("chip", "platform", "cpu_hz", "led_pin", "led_lit", "wifi_power_save", "tick_ms",
             "tick_remedy")


def constants(board):
    """The text of the facts.py that a board gets."""
    return "".join(f"{name.upper()} = {getattr(board, name)!r}\n" for name in _ON_BOARD)


def program(board):
    """The path of the board.py that a board gets."""
    own = ROOT / "boards" / board.board / "board.py"
    return own if own.exists() else ROOT / "boards" / "board.py"
