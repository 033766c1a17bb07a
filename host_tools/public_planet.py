"""Finds ZeroTier's own planet in files that carry it (spec/world.md 8).

A ZeroTier that is installed has it as a file, and its libraries have it embedded. Wherever it
comes from, it must be signed by ZeroTier's key.
"""

import importlib.util
import zipfile
from pathlib import Path

from mpcore.vl1.world import PLANET, World

INSTALLED = Path("/var/lib/zerotier-one/planet")
ID = bytes.fromhex("0000000008eac90a")
KEY = bytes.fromhex("b8b388a469221491aa9acd66cc764cdefd56039f1067ae15e69c6fb42d7b5533"
                    "0e3fdaac529c0792fd7340a6aa21aba8a489fdaea44a39bf2d00659ac9c818eb")
_BEGINNING = bytes((PLANET,)) + ID


def search(data):
    """The newest planet in these bytes that ZeroTier's key has signed, or None."""
    best = None
    at = data.find(_BEGINNING)
    while at >= 0:
        try:
            world, _ = World.from_bytes(data, at)
        except ValueError:
            world = None    # the same nine bytes by chance, or cut short
        if world is not None and world.verify(KEY):
            if best is None or world.timestamp > best.timestamp:
                best = world
        at = data.find(_BEGINNING, at + 1)
    return best


def extract(source=None):
    """(World, where it was) of ZeroTier's planet.

    source: path of a planet file, a program or library, or a wheel; None looks where ZeroTier and
    its SDK are installed. Raises ValueError when there is none, and OSError.
    """
    candidates = [Path(source)] if source is not None else _usual_places()
    for path in candidates:
        for data in _contents(path):
            world = search(data)
            if world is not None:
                return world, path
    if source is not None:
        raise ValueError(f"no planet signed by ZeroTier in {source}")
    raise ValueError("no ZeroTier is installed here; name a file that carries its planet with "
                     "--from, such as a libzt wheel (pip download --no-deps "
                     "--only-binary=:all: --python-version 3.9 libzt==1.8.4)")


def _usual_places():
    places = [INSTALLED] if INSTALLED.exists() else []
    spec = importlib.util.find_spec("libzt")
    for directory in spec.submodule_search_locations or () if spec else ():
        places += sorted(Path(directory).glob("_libzt*"))
    return places


def _contents(path):
    """The bytes of a file, or of each member of an archive."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield archive.read(name)
    else:
        yield path.read_bytes()
