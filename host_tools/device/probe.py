"""What a board is and has, asked over a Link: Probe, and which of boards/ it is."""

import json
import re
from dataclasses import dataclass, fields

from host_tools.boards import facts as board_facts
from host_tools.boards import firmware, in_place, mpy
from host_tools.device.link import BoardError, LinkError

MICROPYTHON = "micropython"
_BLOCK = 16                 # bytes of the garbage collector's blocks, on a board
_PROBE_S = 30
_MAX_IMAGE = 1 << 21        # bytes, of more than any board has a place for
_LARGEST = re.compile(r"max free sz: (\d+)")
_SPLIT = re.compile(r"max new split: (\d+)")

# Runs on any MicroPython from 1.12 on, and on CircuitPython; what fails there is left out. Its
# parts are functions, so that what they allocate is gone before the heap is looked at.
_SCRIPT = """
import sys, gc, json
F = {}
def tried(name, get):
    try:
        F[name] = get()
    except Exception:
        pass
def heap():
    gc.collect()
    return [gc.mem_free(), gc.mem_free() + gc.mem_alloc()]
def flash():
    import os
    s = os.statvfs("/")
    return [s[1] * s[3], s[1] * s[2]]
def romfs():
    import vfs
    found = []
    for n in range(vfs.rom_ioctl(1)):
        d = vfs.rom_ioctl(2, n)
        found.append(d.ioctl(4, 0) * d.ioctl(5, 0) if hasattr(d, "ioctl") else len(d))
    return found
def wifi():
    try:
        import network
        network.WLAN
    except (ImportError, AttributeError):
        return None
    w = network.WLAN(0)
    f = {"connected": w.isconnected()}
    if f["connected"]:
        f["address"] = w.ifconfig()[0]
        try:
            f["power_save"] = w.config("pm") != w.PM_NONE
        except Exception:
            pass
    return f
def entropy():
    import os
    return [os.urandom(8).hex(), os.urandom(8).hex()]
def frequency():
    import machine
    f = machine.freq()
    return f if isinstance(f, int) else f[0]
def unique():
    import machine
    return machine.unique_id().hex()
def late():
    import select, time
    p = select.poll()
    found = []
    for ms in (1, 3, 4, 6, 7, 9, 2, 13):
        t = time.ticks_us()
        p.poll(ms)
        found.append(time.ticks_diff(time.ticks_us(), t) - 1000 * ms)
    return sorted(found)
def text(path, limit):
    with open(path) as f:
        return f.read(limit)
def identity():
    return ":".join(text("/identity.secret", 512).split(":")[:3])
def node():
    c = json.loads(text("/node.secret.json", 4096))
    return {"network": c.get("network"), "ssid": c.get("ssid"), "hostname": c.get("hostname"),
            "key": bool(c.get("key")), "allow": c.get("allow", [])}
def slots():
    return json.loads(text("/slots.json", 4096))
def running():
    import esp32
    return esp32.Partition(esp32.Partition.RUNNING)
def application():
    b = bytearray(32)
    running().readblocks(0, b, 0xb0)
    return b.hex()
def executable():
    import esp32
    return sum([i[1] for i in esp32.idf_heap_info(esp32.HEAP_EXEC)])
def image():
    if sys.platform == "esp32":
        b = bytearray(20)
        p = running()
        p.readblocks(0, b, IMAGE_AT - p.info()[2])
        b = bytes(b)
    else:
        from uctypes import bytearray_at
        b = bytes(bytearray_at(IMAGE_AT, 20))
    return b.hex() if b[:len(IMAGE)] == IMAGE else None
def span():
    from uctypes import bytearray_at
    from binascii import crc32
    return crc32(bytearray_at(SPAN[0], SPAN[1])) & 0xffffffff
def there():
    import os
    return [n for n in ("a", "b", "lib", "boot.py", "main.py", "planet") if n in os.listdir("/")]
i = sys.implementation
F["name"] = i.name
F["version"] = list(i.version[:3])
F["platform"] = sys.platform
F["word"] = 64 if sys.maxsize > 1 << 32 else 32
tried("machine", lambda: i._machine)
tried("build", lambda: i._build)
tried("mpy", lambda: i._mpy & 0xffff)
for g in (flash, romfs, wifi, entropy, frequency, unique, late, identity, node, slots, there,
          application, executable):
    tried(g.__name__, g)
if IMAGE_AT:
    tried("image", image)
if SPAN:
    tried("span", span)
tried("heap", heap)
del tried, heap, flash, romfs, wifi, entropy, frequency, unique, late, text, identity, node, slots
del image, span, there, application, running, executable
gc.collect()
try:
    import micropython
    micropython.mem_info()
except Exception:
    pass
print(json.dumps(F))
del F
"""


@dataclass(frozen=True)
class Probe:
    """What a board said; None, or empty, for what it did not.

    name, version, machine, build: of the firmware. mpy: the low 16 bits of
    sys.implementation._mpy. heap, flash: (bytes free, bytes in all); largest: bytes of the heap's
    largest free block, or of one that it can still get. romfs: sizes of the partitions. wifi: None
    without, or {"connected", "address", "power_save"}. entropy: two draws. frequency: Hz. unique:
    the chip's number. late: by how many µs waits of some ms were late, sorted. identity: the
    public text of the node's identity. node: what node.secret.json says but for the Wi-Fi key, of
    which only whether there is one. slots: slots.json. image: the head of the image in flash.
    there: names of ours at the top of the file system. application: of an ESP32, the hash by which
    its firmware's build is known; executable: bytes of its memory that machine code may have.
    """

    name: str
    version: tuple
    platform: str
    word: int = 32
    machine: str = ""
    build: str = ""
    mpy: int = 0
    heap: tuple = None
    largest: int = None
    flash: tuple = None
    romfs: tuple = ()
    wifi: dict = None
    entropy: tuple = ()
    frequency: int = None
    unique: str = ""
    late: tuple = ()
    identity: str = None
    node: dict = None
    slots: dict = None
    image: str = None
    there: tuple = ()
    application: str = None
    span: int = None
    executable: int = None

    @property
    def architecture(self):
        """Of the native code in .mpy files, as mpy-cross names it, or None."""
        number = self.mpy >> 10
        return mpy.ARCHITECTURES[number] if number < len(mpy.ARCHITECTURES) else None

    @property
    def mpy_version(self):
        """(version, sub-version) of .mpy files, (0, 0) where none are loaded."""
        return self.mpy & 0xFF, self.mpy >> 8 & 3

    @property
    def firmware(self):
        """Such as "micropython 1.27.0"."""
        return f"{self.name} {'.'.join(map(str, self.version))}"

    @property
    def board(self):
        """The name in boards/ of what this is, or None."""
        return board_of(self)


_NUMBERS = {"heap": 2, "flash": 2, "romfs": None, "late": None, "version": None}
_TEXTS = {"entropy": 2, "there": None}
_KINDS = {field.name: field.type for field in fields(Probe)}


def parse(text):
    """The Probe in what _SCRIPT printed. Raises ValueError for anything else."""
    try:
        said = json.loads(text.strip().rpartition("\n")[2])
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(said, dict):
        raise ValueError("not an object")
    found = {}
    for name, value in said.items():
        if name not in _KINDS or name == "largest":
            raise ValueError(f"unknown: {name}")
        if value is None:
            continue
        found[name] = _checked(name, value)
    if not {"name", "version", "platform"} <= found.keys():
        raise ValueError("no name, version or platform")
    blocks = [int(number[1]) * _BLOCK * found.get("word", 32) // 32
              for number in [_LARGEST.search(text)] if number]
    splits = [int(number[1]) for number in [_SPLIT.search(text)] if number]
    return Probe(**found, largest=max(blocks + splits, default=None))


def _checked(name, value):
    if name in _NUMBERS or name in _TEXTS:
        kind = int if name in _NUMBERS else str
        length = (_NUMBERS | _TEXTS)[name]
        if not isinstance(value, list) or len(value) != (length or len(value)) or \
                any(type(each) is not kind for each in value):
            raise ValueError(f"{name}: {value!r}")
        return tuple(value)
    if type(value) is not _KINDS[name]:
        raise ValueError(f"{name}: {value!r}")
    return value


def runs_in_place(probe, board):
    """Whether code may run from the flash of a board with these Facts (or None), as its firmware
    is the one that images are made for."""
    if not board or not board.flash_free:
        return False
    if board.firmware_calls is not None:
        return probe.application == board.firmware_calls.build
    return probe.span == firmware.load(board.board).span.crc32


def image_in_flash(probe):
    """(bytes, CRC-32 as hexadecimal digits) of the image in flash; None without one."""
    try:
        size, crc = in_place.size_and_crc32(bytes.fromhex(probe.image or ""))
    except ValueError:
        return None
    return (size, b"%08x" % crc) if size <= _MAX_IMAGE else None


def read(link, board=None):
    """The Probe of the board at a Link. board: the Facts of one that may have an image in its
    flash, which then is asked for, too, as is whether its firmware is the one for that.

    Raises LinkError when it does not answer, or makes no sense.
    """
    image_at = board and board.flash_free[0]    # of an ESP32, an offset: it maps nothing for this
    span = tuple(firmware.load(board.board).span[:2]) if board and not board.flash_map else None
    try:
        return parse(link.run(f"IMAGE_AT, IMAGE, SPAN = {image_at!r}, {in_place.ANY!r}, "
                              f"{span!r}{_SCRIPT}", _PROBE_S))
    except BoardError:
        raise
    except ValueError as error:
        raise LinkError(f"{link.target}: what the board says of itself makes no sense: {error}; "
                        "is this MicroPython? `filament flash` puts it on a board") from error


def board(link):
    """As read, and of MicroPython only; with its flash's image where its board may have one."""
    found = read(link)
    if found.name != MICROPYTHON:
        raise LinkError(f"{link.target}: the board runs {found.firmware}, and Filament needs "
                        "MicroPython; `filament flash` puts it there")
    known = board_facts.load().get(found.board)
    return read(link, known) if known and known.flash_free else found


def board_of(probe, known=None):
    """The name in boards/ of the board that a Probe is of, or None.

    By the name of the firmware's build, else by the chip, if its native code is as there.
    """
    known = known or board_facts.load()
    build = probe.build.partition("-")[0]
    chip = _plain(probe.machine.rpartition(" with ")[2])
    alike = [facts for facts in known.values() if facts.mpy_arch == probe.architecture
             and facts.platform == probe.platform]
    for facts in alike:
        if facts.firmware and facts.firmware == build:
            return facts.board
    chips = sorted((facts for facts in alike if chip.startswith(_plain(facts.chip))),
                   key=lambda facts: len(facts.chip))
    if chips:
        return chips[-1].board
    hosts = [facts.board for facts in alike if facts.platform == "linux"]
    return hosts[0] if hosts else None


def _plain(chip):
    return chip.replace("-", "").upper()
