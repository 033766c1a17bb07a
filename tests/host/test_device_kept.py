"""What was compiled is compiled once."""

import pytest

from host_tools.device import kept as keeping
from host_tools.device.kept import kept

FILES = {"lib/a.mpy": b"M\x06", "lib/b.mpy": bytes(1000)}


@pytest.fixture(name="computed")
def computed_fixture(tmp_path, monkeypatch):
    """compute(), and how often it was called."""
    monkeypatch.setattr(keeping, "DIRECTORY", tmp_path / "kept")
    calls = []
    return lambda: calls.append(1) or FILES, calls


def test_it_is_computed_once(computed):
    compute, calls = computed
    assert kept("x", compute) == kept("x", compute) == FILES and len(calls) == 1
    assert kept("y", compute) == FILES and len(calls) == 2
    assert [path.name for path in sorted(keeping.DIRECTORY.iterdir())] == ["x.zip", "y.zip"]


def test_it_is_computed_anew_when_a_source_has_changed(computed, monkeypatch):
    compute, calls = computed
    kept("x", compute)
    monkeypatch.setattr(keeping, "_key", lambda: b"other sources")
    assert kept("x", compute) == FILES and len(calls) == 2


@pytest.mark.parametrize("damage", [b"", b"PK", b"no archive at all"])
def test_a_damaged_archive_is_replaced(computed, damage):
    compute, calls = computed
    kept("x", compute)
    (keeping.DIRECTORY / "x.zip").write_bytes(damage)
    assert kept("x", compute) == kept("x", compute) == FILES and len(calls) == 2


def test_where_nothing_can_be_kept_it_still_works(computed, monkeypatch, tmp_path):
    compute, calls = computed
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(keeping, "DIRECTORY", tmp_path / "file")
    assert kept("x", compute) == kept("x", compute) == FILES and len(calls) == 2


def test_the_key_follows_from_the_sources(tmp_path, monkeypatch):
    for name in keeping._SOURCES:
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "mpcore" / "x.py").write_text("x = 1\n")
    monkeypatch.setattr(keeping, "ROOT", tmp_path)
    key = keeping._key.__wrapped__
    first = key()
    assert first == key()
    (tmp_path / "mpcore" / "x.py").write_text("x = 2\n")
    second = key()
    (tmp_path / "mpcore" / "x.py").rename(tmp_path / "mpcore" / "y.py")
    assert len({first, second, key()}) == 3
