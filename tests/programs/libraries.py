"""Where the third-party programs come from. They are used as they are and never committed.

microdot is among the project's own dependencies; requests and mip are frozen into the MicroPython
of the environment; what PyPI has is pinned by hash in pypi.lock. The rest of micropython-lib is in
no package registry: it is taken from the checkout that FILAMENT_MICROPYTHON_LIB names, or else
installed by mip from micropython.org. Where neither is in reach, uaiohttpclient and
async_websocket_client of PyPI do what aiohttp would.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from host_tools import unix_port

HERE = Path(__file__).parent
CHECKOUT = "FILAMENT_MICROPYTHON_LIB"
_PYPI = {"umqtt/simple.py": "micropython-umqtt.simple",
         "uaiohttpclient.py": "micropython-uaiohttpclient",
         "async_websocket_client": "micropython-async-websocket-client"}
_MICROPYTHON_LIB = {"aiohttp": ("python-ecosys/aiohttp/aiohttp", "0.0.8"),
                    "ntptime.py": ("micropython/net/ntptime/ntptime.py", "0.2.0"),
                    # PyPI's copy (uiperf3 0.1.2) fails with iperf3 3.12 over any socket.
                    "iperf3.py": ("python-ecosys/iperf3/iperf3.py", "0.1.5")}


class Unavailable(Exception):
    """Why a program is not here, in capitals."""


def provide(directory):
    """Fetch into `directory` what is not there yet; returns reasons by the name of what lacks.

    The names are those of the modules: umqtt, uaiohttpclient, async_websocket_client, aiohttp,
    ntptime, iperf3.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    missing = {}
    for fetch, files in (_from_pypi, _PYPI), (_from_micropython_lib, _MICROPYTHON_LIB):
        for file in files:
            if not (directory / file).exists():
                try:
                    fetch(file, directory)
                except Unavailable as why:
                    missing[file.partition("/")[0].removesuffix(".py")] = str(why)
    return missing


def version(module):
    """The version of a module of this table that has none in itself."""
    for file, (_, number) in _MICROPYTHON_LIB.items():
        if file.removesuffix(".py") == module:
            return number
    for file, package in _PYPI.items():
        if file.startswith(module):
            return _pin(package).partition(" ")[0].partition("==")[2]
    raise KeyError(module)


def in_registry(module):
    """Whether what a module is, None for the environment's own, comes from a package registry."""
    return all(file.removesuffix(".py") != module for file in _MICROPYTHON_LIB)


def _pin(package):
    (line,) = [line for line in (HERE / "pypi.lock").read_text().splitlines()
               if line.startswith(package + "==")]
    return line


def _from_pypi(file, directory):
    # Some distributions are older than today's pip, which checks the hash, unpacks them and then
    # finds no project in them. So they are taken from where pip has unpacked them.
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        lock = Path(scratch) / "lock"
        lock.write_text(_pin(_PYPI[file]) + "\n")
        done = subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
             "--no-deps", "--no-clean", "--no-build-isolation", "--require-hashes",
             f"--requirement={lock}", f"--dest={scratch}"],
            text=True, capture_output=True, env=os.environ | {"TMPDIR": scratch})
        for wheel in Path(scratch).glob("*.whl"):
            shutil.unpack_archive(wheel, Path(scratch) / "pip-wheel" / wheel.stem, "zip")
        found = list(Path(scratch).glob(f"pip-*/*/{file}"))
        if not found:
            raise Unavailable(f"{_PYPI[file].upper()} CANNOT BE DOWNLOADED: "
                              + done.stderr.strip()[-300:].upper())
        (directory / file).parent.mkdir(exist_ok=True)
        shutil.move(found[0], directory / file)


def _from_micropython_lib(file, directory):
    source, number = _MICROPYTHON_LIB[file]
    checkout = os.environ.get(CHECKOUT)
    if checkout:
        found = Path(checkout) / source
        if not found.exists():
            raise Unavailable(f"NO {source} IN {checkout} ({CHECKOUT})")
        copy = shutil.copytree if found.is_dir() else shutil.copy
        copy(found, directory / file)
        return
    module = file.removesuffix(".py")
    done = subprocess.run(
        [unix_port.executable(), "-m", "mip", "install", "--target", str(directory), "--no-mpy",
         f"{module}@{number}"], text=True, capture_output=True)
    if not (directory / file).exists():
        raise Unavailable(f"{module.upper()} IS IN NO PACKAGE REGISTRY, AND MIP CANNOT HAVE IT "
                          f"({done.stderr.strip().splitlines()[-1:]}): NAME A CHECKOUT OF "
                          f"MICROPYTHON-LIB IN {CHECKOUT}")
