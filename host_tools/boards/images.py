"""What images for boards have in them: modules below lib, and the bulb's program.

A ROMFS image is for firmware with a partition for it (romfs.py), one that runs in place for boards
whose facts name a place (in_place.py): in a UF2 file, or as bytes that esptool writes there.
"""

import hashlib
import zlib
from collections import namedtuple
from functools import cache
from pathlib import Path

from host_tools import unix_port
from host_tools.boards import c_call, facts, firmware, frozen, in_place, mpy, romfs, uf2
from host_tools.boards.compiling import compiled, core_texts, file_of, files_of, public_names

APP = "bulb"
_DIRECTORY = unix_port.ROOT / "boards" / "apps" / APP
_OWN = "board", "facts", "slots"    # modules of which there may be others in files
APP_FILES = ("bulb.py", "main.py", "sse.py")
MAIN = "import start_bulb\nstart_bulb.start()\n"      # a board's main.py; an image has none,
START = "start_bulb.mpy"                    # as the board's own would be found before it
_EARLY = "import gc", "gc.threshold(32768)"     # bytes allocated
BUILD = "image_build"           # the module that tells a board what its image was made of
LOADER = unix_port.ROOT / "boards" / "rom.py"
FILES = unix_port.ROOT / "boards" / f"{in_place.FILES}.py"
CALLS = unix_port.ROOT / "boards" / "esp32" / "firmware_calls.py"
SLOTS = unix_port.ROOT / "boards" / "slots.py"
RENEWAL = unix_port.ROOT / "boards" / "renewal" / "image.py"
PLACE = "place.py"              # in a board's directory
OF_SLOT = ".image/"             # where renewal/image.py looks, below a slot
CRC = OF_SLOT + "crc"           # which image it is, as hexadecimal digits; comes last
_PIECE = 32768                  # bytes of an image, in one file that is compressed
_WINDOW_BITS = 12               # for what a board has to keep of it


# What an image was made of. core: the hash of all below lib. app: {path of a file: its hash}.
Build = namedtuple("Build", "core app")


def _app(architecture):
    """{path: the .mpy file} of the app."""
    return _compiled(architecture, APP, {name: _DIRECTORY / name for name in APP_FILES})


def of_board(board):
    """{path: the .mpy file} of what a board has of its own: its facts, and its module."""
    return _compiled(board.mpy_arch, "boards", {"facts.py": facts.constants(board),
                                                "board.py": facts.program(board)})


@cache
def _compile(architecture, sources):
    return mpy.compiled(architecture, dict(sources))


def _compiled(architecture, directory, sources):
    """Called as in the directory of an app, or of boards."""
    contents = _compile(architecture, tuple((f"{directory}/{name}", source)
                                            for name, source in sources.items()))
    return {START if name.endswith("/main.py") else name[len(directory) + 1:-3] + ".mpy": content
            for name, content in contents.items()}


def _sources(board):
    """{module: text} of the app and of what a board has of its own."""
    return {Path(START).stem if name == "main.py" else name[:-3]: (_DIRECTORY / name).read_text()
            for name in APP_FILES} | {"facts": facts.constants(board),
                                      "board": facts.program(board).read_text(),
                                      "slots": SLOTS.read_text()}


def _path(module):
    """Of a module of the core's file."""
    return "lib/" + file_of(module)[:-3] + ".mpy"


def parts(texts, path, board, public=()):
    """[in_place.Part] of a program {module: text} for the firmware of a board. path: a function
    that gives the path of a module's file; public: see frozen.freeze()."""
    known = firmware.load(board.board)
    texts = texts | {in_place.FILES: FILES.read_text()}
    found = frozen.freeze(texts, known.modules, public, _OWN)
    contents = mpy.compiled(board.mpy_arch, {name: part.text for name, part in found.items()},
                            ("-O3",))
    return [in_place.Part(path(name), part, contents[name]) for name, part in found.items()]


def image(parts, board):
    """The bytes of an image for the place in a board's flash, of [in_place.Part]."""
    return in_place.image(parts, firmware.load(board.board), *addresses(board))


@cache
def _program(board, image_sets):
    """The image of the core and of the app, for a board by its name."""
    board = facts.load()[board]
    core = core_texts(board.mpy_arch, board.platform, image_sets)
    build = build_of(board, image_sets)
    texts = core | _sources(board) | {
        BUILD: f"CORE = {build.core!r}\nAPP = {build.app!r}\n"}
    return image(parts(texts, lambda name: _path(name) if name in core else f"{name}.mpy", board,
                       public_names()), board)


def build_of(board, image_sets):
    """The Build of the image that in_flash() makes."""
    texts = core_texts(board.mpy_arch, board.platform, tuple(image_sets))
    return Build(_hash(texts | {path.stem: path.read_text() for path in (SLOTS, FILES, LOADER)}),
                 {path: hashlib.sha256(content).hexdigest()
                  for path, content in (_app(board.mpy_arch) | of_board(board)).items()})


def _hash(texts):
    found = hashlib.sha256()
    for name, text in sorted(texts.items()):
        found.update(name.encode() + hashlib.sha256(text.encode()).digest())
    return found.hexdigest()


def for_partition(architecture, platform, image_sets, plain=False):
    """The ROMFS image."""
    contents = compiled(architecture, platform, plain=plain)
    return romfs.image(_app(architecture) | {
        _path(module): contents[module] for module in files_of(platform, image_sets, plain)})


def in_flash(board, image_sets):
    """The file that puts the image into a board's flash, UF2 or what esptool is given: always of
    joined modules, as a nest of imports is too deep for a board's stack. Raises ValueError when it
    is larger than the place for it."""
    start, end = board.flash_free
    content = _program(board.board, tuple(image_sets))
    if len(content) > end - start:
        raise ValueError(f"{board.board}: an image of {len(content)} bytes does not fit into "
                         f"{end - start}; leave out a set")
    return uf2.encode(content, start) if board.uf2_family is not None else content


@cache
def pieces(board, image_sets):
    """{path below a slot: bytes} of the image, as renewal/image.py takes it."""
    content = _program(board.board, tuple(image_sets))
    found = {f"{OF_SLOT}{name}": data for name, data in loader(board).items()}
    for number, at in enumerate(range(0, len(content), _PIECE)):
        packer = zlib.compressobj(zlib.Z_BEST_COMPRESSION, zlib.DEFLATED, _WINDOW_BITS)
        found[f"{OF_SLOT}{number:02}.z"] = packer.compress(
            content[at:at + _PIECE]) + packer.flush()
    return found | {CRC: b"%08x" % in_place.size_and_crc32(content)[1]}


def addresses(board):
    """Of the data and of the machine code of what lies in a board's flash."""
    if board.flash_map is None:
        return board.flash_free[0], board.flash_free[0]
    return board.flash_map.data, board.flash_map.code


def check(content, board):
    """Raises ValueError where these bytes, of a UF2 file or for esptool, are no image for a board's
    flash."""
    start, end = board.flash_free
    if board.uf2_family is not None:
        blocks = uf2.check(content, board.uf2_family, board.flash_size)
        if not all(start <= block.address < end for block in blocks):
            raise ValueError("it does not lie in the flash that firmware and file system leave "
                             "free")
        return
    if len(content) > end - start:
        raise ValueError("it is larger than the flash that firmware and file system leave free")
    in_place.check(content, board.mpy_arch, firmware.load(board.board), *addresses(board))


def file_name(board):
    """What the file for a board's flash is called."""
    return "filament.uf2" if board.uf2_family is not None else "filament.bin"


@cache
def loader(board):
    """{name of an .mpy file: its bytes} of what a board needs to mount it."""
    sources = [LOADER] if board.flash_map is None else [LOADER, CALLS]
    # Each is called by its module, as a path would be a name that no firmware has, see rom.py.
    found = {f"{name}.mpy": content for name, content in mpy.compiled(
        board.mpy_arch, {source.stem: source for source in sources}).items()}
    if board.flash_map is not None:
        found[f"{c_call.MODULE}.mpy"] = c_call.content(board.mpy_arch)
    return found


@cache
def renewal(board):
    """{path of an .mpy file: its bytes} of what puts a slot's image into a board's flash."""
    sources = {"renewal/image.py": RENEWAL, "renewal/slots.py": SLOTS,
               "renewal/place.py": unix_port.ROOT / "boards" / board.board / PLACE}
    return {name[:-3] + ".mpy": content
            for name, content in mpy.compiled(board.mpy_arch, sources).items()}


def mounting(board):
    """The statements that mount it, a line each; `crc32` then is its, as that is a name that
    firmware has."""
    data, code = addresses(board)
    if board.flash_map is None:
        return ["import rom", f"crc32 = rom.mount({data:#x})", "del rom"]
    start, end = board.flash_free
    calls = board.firmware_calls
    return ["import rom, firmware_calls as calls", f"calls.check({calls.build!r})",
            f"calls.release_bluetooth({calls.release:#x})",
            f"calls.show({start:#x}, {end - start:#x}, {data:#x}, {code:#x}, {calls.map:#x})",
            f"crc32 = rom.mount({data:#x}, code={code:#x})", "del rom"]


def boot(board):
    """The text of a boot.py that mounts it. Garbage is collected early, or what is to stay would
    be scattered over all of a small heap, with no free block of a few KB left between."""
    return "\n".join([*_EARLY, *mounting(board), ""])


def boot_of_slots(board):
    """As boot(), of a board with slots. What is compiled before an image is mounted has other
    names for the same (rom.py), so the rest is compiled then."""
    start, end = board.flash_free
    return "\n".join([
        *_EARLY, "try:", *(f" {line}" for line in mounting(board)),
        r' exec("import slots\nslots.boot(crc32)")', "except Exception as e:",
        rf' exec("import renewal.image\nrenewal.image.renew(e, {start:#x}, {end:#x})")', ""])


def way_into_flash(board):
    """What a person does to get the image into a board's flash, in words."""
    port = "" if board.esptool_chip is None else " PORT"
    return f"`filament flash{port} --board {board.board}`"
