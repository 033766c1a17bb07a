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

# How the firmware shows a part of the flash in the address space. data, code: where it appears on
# the buses for data and for instructions. function: the address of esp_mmu_map in that firmware,
# and firmware: the hash by which that build of it is known (the SHA-256 of its ELF file, in its
# "application description").
Mapping = namedtuple("Mapping", "data code function firmware")


@dataclass(frozen=True)
class Facts:
    """board: the name of its directory. The rest is what its file says, in lower case.

    esptool_chip: the chip as esptool names it, None where that does not reach it. firmware: the
    name of MicroPython's own build for it, with which its file on micropython.org begins.
    platform: its `sys.platform`. mpy_arch: the native code that it runs, as mpy-cross names it.
    usb_ids: ((vendor, product, which of USB_MODES it is then), …) of its own USB, none where an
    adapter with numbers of its own is between. flash_size: bytes that it has at least.
    flash_free: (start, end) of the flash that neither its firmware nor its file system has, None
    where nothing is put there. They are addresses where all of the flash has some, else offsets
    in flash. flash_map: a Mapping where these, to have addresses, need the firmware's help, else
    None. flash_types: what id() of bytes, str and tuple gives with the firmware, so that an image
    may have such objects ready; None where nobody has looked. flash_offset: where esptool writes
    the firmware; None where it is copied as UF2. uf2_family: the number in UF2 files for its chip,
    and uf2_board: what its boot drive calls itself, both None where it has no such drive.
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
    flash_types: tuple | None
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
        if self.flash_map is not None:
            if self.flash_free is None or not _is_mapping(self.flash_map):
                self._refuse("flash_map", self.flash_map)
            object.__setattr__(self, "flash_map", Mapping(*self.flash_map))
        if self.flash_types is not None and not _are_types(self.flash_types):
            self._refuse("flash_types", self.flash_types)
        for name in ("flash_offset", "flash_size", "uf2_family", "cpu_hz", "heap_connected",
                     "tick_ms"):
            if (getattr(self, name) or 0) < 0:
                self._refuse(name, getattr(self, name))
        if not all(map(_is_usb_id, self.usb_ids)):
            self._refuse("usb_ids", self.usb_ids)
        for one, other in (("led_pin", "led_lit"), ("tick_ms", "tick_remedy"),
                           ("uf2_family", "uf2_board"), ("esptool_chip", "flash_offset")):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                raise ValueError(f"boards/{self.board}/facts.py: {one.upper()} and "
                                 f"{other.upper()} go together")

    @property
    def image_at(self):
        """The address where what lies in flash_free can be read; None without such a place."""
        if self.flash_map is not None:
            return self.flash_map.data
        return self.flash_free and self.flash_free[0]

    def _refuse(self, name, value):
        raise ValueError(f"boards/{self.board}/facts.py: {name.upper()} cannot be {value!r}")


def _is_mapping(entry):
    if len(entry) != len(Mapping._fields):
        return False
    *addresses, firmware = entry
    return all(type(number) is int and 0 < number < 1 << 32 and number % 4 == 0
               for number in addresses) and re.fullmatch("[0-9a-f]{64}", str(firmware)) is not None


def _are_types(addresses):
    return len(addresses) == 3 and all(type(each) is int and each > 0 and not each % 4
                                       for each in addresses)


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
