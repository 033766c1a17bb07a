"""Finding ZeroTier's planet; a planet of our own stands in for it, under a key of our own."""

import zipfile

import pytest

from host_tools import public_planet
from mpcore.vl1 import identity
from mpcore.vl1.world import PLANET, World
from tests.core import scenes

PRIVATE = bytes(range(64))


@pytest.fixture(autouse=True)
def our_key(monkeypatch):
    monkeypatch.setattr(public_planet, "KEY", identity.public_of(PRIVATE))


def planet(timestamp, private=PRIVATE):
    return World.make(PLANET, public_planet.ID, timestamp, [(scenes.identity(0), [])],
                      private).to_bytes()


def test_the_newest_signed_planet_is_found_among_other_bytes():
    forged = planet(9, bytes(reversed(PRIVATE)))
    data = (b"junk" + planet(1) + b"more" + planet(3)[:-1] + b"" + planet(2) + forged
            + public_planet._BEGINNING)
    assert public_planet.search(data).timestamp == 2
    assert public_planet.search(forged) is None and public_planet.search(b"") is None


def test_files_and_archives(tmp_path):
    library = tmp_path / "library.so"
    library.write_bytes(b"\x7fELF" + planet(5) + bytes(10))
    wheel = tmp_path / "sdk.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("readme", "nothing")
        archive.write(library, "sdk/library.so")
    for path in (library, wheel):
        world, source = public_planet.extract(path)
        assert (world.timestamp, source) == (5, path)


def test_what_carries_none_is_refused(tmp_path, monkeypatch):
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(ValueError, match="no planet signed"):
        public_planet.extract(tmp_path / "empty")
    monkeypatch.setattr(public_planet, "_usual_places", list)
    with pytest.raises(ValueError, match="--from"):
        public_planet.extract()
