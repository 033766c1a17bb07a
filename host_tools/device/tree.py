"""What belongs on a board: an app, the board's own files and the core, compiled for it.

A tree is {path below its slot: bytes}. What lies outside slots, at the top of the file system, is
in `top`.
"""

import hashlib
from functools import cache
from pathlib import Path

from host_tools import unix_port
from host_tools.boards import images, listings, mpy
from host_tools.boards.compiling import compiled, file_of, files_of
from host_tools.device.kept import kept

BOARDS = unix_port.ROOT / "boards"
APP = BOARDS / "apps" / images.APP
MAIN = "main"
LIB = "lib/"
MAX_FILE = 1 << 20          # bytes of an app's file
_SECRET = "secret"
_CHOOSE = "import slots\nslots.boot()\n"       # the slot to run, in boot.py
_MAIN_IN_IMAGE = f"from {Path(images.START).stem} import start\n"


def tree(board, app=APP, sets=listings.USUAL, image=None):
    """The tree of an app for a board (a Facts).

    app: the directory of an app, with a main.py that has start(); its .py files are compiled,
    others are copied, but for those that are secret or hidden. sets: of the core
    (host_tools.boards.sets). image: the images.Build of what the board has in its flash already,
    all of which is left out, or None. Raises ValueError.
    """
    files = images.of_board(board) | app_files(board.mpy_arch, app)
    if image is None:
        return files | core(board, sets)
    if image.app.get(images.START) == sha256(files[f"{MAIN}.mpy"]):
        files |= _compiled(board.mpy_arch, {f"{MAIN}.py": _MAIN_IN_IMAGE}, "boards/")
    return {path: data for path, data in files.items() if image.app.get(path) != sha256(data)}


def core(board, sets=listings.USUAL):
    """The core's files, below lib."""
    def compute():
        contents = compiled(board.mpy_arch, board.platform)
        return {LIB + file_of(module)[:-3] + ".mpy": contents[module]
                for module in files_of(board.platform, sets)}

    return kept("-".join((board.mpy_arch, board.platform, *sets)), compute)


def core_in_image(board, sets=listings.USUAL):
    """The images.Build.core of the image() of a board."""
    return _image(board, sets)["core"].decode()


def image(board, sets=listings.USUAL):
    """The file that puts the image of the code into a board's flash (images.in_flash)."""
    return _image(board, sets)[images.file_name(board)]


def _image(board, sets):
    return kept("-".join((board.board, "image", *sets)), lambda: {
        "core": images.build_of(board, sets).core.encode(),
        images.file_name(board): images.in_flash(board, sets)})


def check(directory):
    """Raises ValueError for a directory that is no app."""
    if not (Path(directory) / f"{MAIN}.py").is_file():
        raise ValueError(f"{directory}: no main.py; an app is a directory with a main.py that has "
                         "start()")


def app_files(architecture, directory):
    """An app's files. Raises ValueError where there is no app."""
    check(directory)
    directory = Path(directory)
    sources, others = {}, {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if not path.is_file() or _left_out(name):
            continue
        if path.stat().st_size > MAX_FILE:
            raise ValueError(f"{path}: larger than {MAX_FILE} bytes")
        if path.suffix == ".py":
            sources[name] = path
        else:
            others[name] = path.read_bytes()
    return _compiled(architecture, sources, f"{directory.name}/") | others


def _left_out(name):
    return _SECRET in name or name.endswith((".pyc", ".tmp")) or any(
        part.startswith((".", "__pycache__")) for part in name.split("/"))


def _compiled(architecture, sources, prefix):
    contents = mpy.compiled(architecture, {prefix + name: source
                                           for name, source in sources.items()})
    return {name.removeprefix(prefix)[:-3] + ".mpy": content
            for name, content in contents.items()}


@cache
def top(board, in_flash=False):
    """{path: bytes} of what lies at the top of the file system. in_flash: the image in the
    board's flash is to be mounted."""
    boot = _CHOOSE
    files = {"/slots.mpy": _compiled(board.mpy_arch, {"slots.py": BOARDS / "slots.py"},
                                     "boards/")["slots.mpy"],
             "/main.py": b"import slots\nslots.start()\n"}
    if in_flash:
        # What is compiled before an image is mounted has other names for the same, see rom.py.
        boot = images.boot(board) + f"exec({_CHOOSE!r})\n"
        files |= loader(board)
    return files | {"/boot.py": boot.encode()}


def loader(board):
    """{path: bytes} of what mounts the image in the board's flash."""
    return {f"/{name}": content for name, content in images.loader(board).items()}


def sha256(data):
    """As the board says it."""
    return hashlib.sha256(data).hexdigest()


def digest(files):
    """The hash of a whole tree: {path: bytes}."""
    lines = "".join(f"{sha256(data)} {path}\n" for path, data in sorted(files.items()))
    return sha256(lines.encode())
