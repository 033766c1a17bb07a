"""Gets libzt out of its wheel, pinned by hash and never installed, and builds its shim."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
_MODULE = "libzt/_libzt.cpython-39-x86_64-linux-gnu.so"


class Unavailable(Exception):
    """Why there is no libzt here, in capitals."""


def provide(directory):
    """(extension module, shim) in `directory`, fetched and built when they are not there yet."""
    directory = Path(directory)
    module, shim = directory / _MODULE, directory / "libzt_shim.so"
    if not module.exists():
        _run("LIBZT CANNOT BE DOWNLOADED", sys.executable, "-m", "pip", "download", "--quiet",
             "--disable-pip-version-check", "--no-deps", "--only-binary=:all:",
             "--python-version=3.9", "--platform=manylinux2010_x86_64", "--require-hashes",
             f"--requirement={HERE / 'libzt.lock'}", f"--dest={directory}")
        (wheel,) = directory.glob("libzt-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extract(_MODULE, directory)
        wheel.unlink()
    source = HERE / "libzt_shim.c"
    if not shim.exists() or shim.stat().st_mtime < source.stat().st_mtime:
        if shutil.which("cc") is None:
            raise Unavailable("NO C COMPILER FOR LIBZT'S SHIM (DEBIAN'S GCC)")
        _run("LIBZT'S SHIM DOES NOT COMPILE", "cc", "-shared", "-fPIC", "-o", str(shim),
             str(source))
    return module, shim


def _run(what, *command):
    done = subprocess.run(command, text=True, capture_output=True)
    if done.returncode:
        raise Unavailable(f"{what}: {done.stderr.strip()[-300:].upper()}")
