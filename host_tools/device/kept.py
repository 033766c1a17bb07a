"""What follows from the project's files and takes seconds to compile: kept below a checkout's
build/, or in the user's cache where the package is installed."""

import contextlib
import hashlib
import os
import zipfile
from functools import cache

from host_tools.boards import mpy
from host_tools.device import user_cache
from host_tools.unix_port import ROOT

DIRECTORY = (ROOT / "build" / "device" if (ROOT / "pyproject.toml").exists()
             else user_cache.directory("compiled"))
# All that decides over what is compiled: the program, who uses it, the compiler, and the scene
# that says what a member goes on running (host_tools/boards/steady.py).
_SOURCES = ("mpcore", "boards", "host_tools/boards", "host_tools/simulation")


@cache
def _key():
    found = hashlib.sha256(mpy.version()[0].encode())
    for source in _SOURCES:
        for file in sorted((ROOT / source).rglob("*.py")):
            found.update(file.relative_to(ROOT).as_posix().encode() + b"\0"
                         + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest().encode()


def kept(name, compute):
    """{path: bytes} as compute() makes it, or as it did when the sources were the same."""
    path = DIRECTORY / f"{name}.zip"
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.comment == _key():
                return {each: archive.read(each) for each in archive.namelist()}
    except (OSError, zipfile.BadZipFile, zipfile.LargeZipFile, EOFError):
        pass
    files = compute()
    _store(path, files)
    return files


def _store(path, files):
    """Replace the archive at once: two commands may be at it. Where nothing can be written, it is
    compiled anew the next time."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.comment = _key()
            for name, data in files.items():
                archive.writestr(name, data)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
