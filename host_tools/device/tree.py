"""What belongs on a board: an app, the board's own files and the core, compiled for it.

A tree is {path below its slot: bytes}. What lies outside slots, at the top of the file system, is
in `top`.
"""

import ast
import hashlib
import json
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
_CHOOSE = b"import slots\nslots.boot()\n"      # the slot to run, in boot.py
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


def build(board, sets=listings.USUAL):
    """The images.Build of the image() of a board."""
    text = kept("-".join((board.board, "build", *sets)), lambda: {
        "build": json.dumps(images.build_of(board, sets)).encode()})["build"]
    return images.Build(*json.loads(text))


def pieces(board, sets=listings.USUAL):
    """The tree's part by which a board puts that image into its flash itself."""
    return kept("-".join((board.board, "pieces", *sets)),
                lambda: images.pieces(board, tuple(sets)))


def image(board, sets=listings.USUAL):
    """The file that puts the image of the code into a board's flash (images.in_flash)."""
    name = images.file_name(board)
    return kept("-".join((board.board, "image", *sets)),
                lambda: {name: images.in_flash(board, sets)})[name]


def check(directory):
    """Raises ValueError for a directory that is no app, or has a program with an error in it."""
    if not (Path(directory) / f"{MAIN}.py").is_file():
        raise ValueError(f"{directory}: no main.py; an app is a directory with a main.py that has "
                         "start()")
    for path in _files(Path(directory)):
        if path.suffix == ".py":
            try:
                ast.parse(path.read_bytes())
            except (SyntaxError, ValueError) as error:
                where = f"{path}:{getattr(error, 'lineno', None) or 0}"
                raise ValueError(f"{where}: {getattr(error, 'msg', error)}") from error


def app_files(architecture, directory):
    """An app's files. Raises ValueError where there is no app."""
    check(directory)
    directory = Path(directory)
    sources, others = {}, {}
    for path in _files(directory):
        name = path.relative_to(directory).as_posix()
        if path.suffix == ".py":
            sources[name] = path
        else:
            others[name] = path.read_bytes()
    return _compiled(architecture, sources, f"{directory.name}/") | others


def _files(directory):
    """The paths of an app's files. Raises ValueError where one is too large."""
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not _left_out(path.relative_to(directory).as_posix()):
            if path.stat().st_size > MAX_FILE:
                raise ValueError(f"{path}: larger than {MAX_FILE} bytes")
            yield path


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
    main = {"/main.py": b"import slots\nslots.start()\n"}
    if in_flash:
        renewal = {f"/{path}": content for path, content in images.renewal(board).items()}
        return main | loader(board) | renewal | {"/boot.py": images.boot_of_slots(board).encode()}
    return main | {f"/{path}": content for path, content in _compiled(
        board.mpy_arch, {"slots.py": images.SLOTS}, "").items()} | {"/boot.py": _CHOOSE}


def loader(board):
    """{path: bytes} of what mounts the image in the board's flash; it goes with the image."""
    return {f"/{name}": content for name, content in images.loader(board).items()}


def sha256(data):
    """As the board says it."""
    return hashlib.sha256(data).hexdigest()


def digest(files):
    """The hash of a whole tree: {path: bytes}."""
    lines = "".join(f"{sha256(data)} {path}\n" for path, data in sorted(files.items()))
    return sha256(lines.encode())
