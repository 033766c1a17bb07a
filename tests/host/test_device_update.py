"""Updates over the virtual network, through slots: they come online, or the old runs again.

The board is MicroPython's unix port with a flash of its own. It has no timer that resets it: where
a board's would, its power is cut here.
"""

import json
import random
import threading
import time
from types import SimpleNamespace

import pytest

from host_tools.boards import facts
from host_tools.device import deploy, updating
from host_tools.device.link import BoardError, LinkError
from tests.host.board_scene import ADDRESS, opened, patiently
from tests.host.slot_board import BOARD, app

LARGE = 100_000         # with the core this makes more than 300 KB
RAISES = "def start():\n    raise ValueError('a bug')\n"
ENDS = "def start():\n    pass\n"
NEVER_ONLINE = "import time\ndef start():\n    print('deaf')\n    time.sleep(1000)\n"
SEED = 9
PATIENCE_S = 60


@pytest.fixture(name="scene", scope="module")
def scene_fixture(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("update")) as scene:
        yield scene


@pytest.fixture(name="way")
def way_fixture(scene):
    with scene.way() as way:
        yield way


def version(way):
    """Of the program that runs."""
    patiently(way)
    with way.open() as link:
        return int(link.run("import sys\nprint(sys.modules['main'].VERSION)"))


def slots(way):
    with way.open() as link:
        return link.ask("import json, slots\nprint(json.dumps(slots.state()))")


class Heard(deploy.Steps):
    """What an update says, and a callback for each piece that is sent."""

    def __init__(self, on_sent=lambda count: None):
        self.said = []
        self.sent = on_sent

    def step(self, text):
        self.said.append(text)


def test_an_update_comes_online_and_a_second_one_sends_nothing(scene, way, tmp_path):
    before = slots(way)["running"]
    two = app(tmp_path / "two", 2, size=LARGE)
    steps = Heard()
    done = updating.update(way, two, steps=steps)
    assert done.confirmed and done.changed and done.slot != before
    assert done.size > 300_000
    assert LARGE < done.sent < LARGE + 10_000 and done.copied > 50     # the core was there
    assert "restarting" in steps.said and version(way) == 2
    again = updating.update(way, two)
    assert (again.sent, again.changed, again.confirmed) == (0, False, True)
    done = scene.filament("deploy", ADDRESS, two, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sent"] == 0


@pytest.mark.parametrize("text, why", [(RAISES, "a bug"), (ENDS, "its main has ended"),
                                       ("import nowhere\n", "nowhere")])
def test_a_main_that_ends_is_rolled_back(way, tmp_path, text, why):
    before, runs = slots(way)["running"], version(way)
    done = updating.update(way, app(tmp_path / "bad", 0, text))
    assert done.confirmed is False and why in done.why
    assert slots(way)["running"] == before and version(way) == runs


def test_the_command_says_that_it_was_rolled_back(scene, way, tmp_path):
    done = scene.filament("deploy", ADDRESS, app(tmp_path / "bad", 0, RAISES))
    assert done.returncode == 1 and "ROLLED BACK: ValueError" in done.stdout, done.stderr


def test_one_that_never_comes_online_is_rolled_back(scene, way, tmp_path):
    before = version(way)
    found = []
    updates = threading.Thread(target=lambda: found.append(
        updating.update(way, app(tmp_path / "deaf", 0, NEVER_ONLINE))))
    updates.start()
    for _ in range(updating.STARTS):        # where a board's timer resets it
        until(lambda: scene.board.said("deaf"))
        scene.board.log.clear()
        scene.board.cut()
    updates.join(PATIENCE_S)
    assert found[0].confirmed is False and "not confirmed after 2 starts" in found[0].why
    assert version(way) == before


def test_the_power_goes_in_the_middle(scene, way, tmp_path):
    random.seed(SEED)
    before = version(way)
    three = app(tmp_path / "three", 3, size=LARGE + 7)

    class Cut(Exception):
        pass

    for _ in range(2):
        left = [random.randrange(LARGE)]

        def sent(count):
            left[0] -= count
            if left[0] <= 0:
                scene.board.cut()
                raise Cut

        with pytest.raises(Cut):
            updating.update(way, three, steps=Heard(sent))
        assert version(way) == before and slots(way)["trial"] is None
    done = updating.update(way, three)
    assert done.confirmed and version(way) == 3


def test_the_power_goes_while_it_is_on_trial(scene, way, tmp_path):
    four = app(tmp_path / "four", 4)
    updating.update(way, four, wait=False)
    until(lambda: scene.board.said("version 4"))
    scene.board.cut()
    assert version(way) == 4
    until(lambda: slots(way)["trial"] is None)
    assert slots(way)["rolled_back"] is None and version(way) == 4


def test_what_cannot_be(scene, way, tmp_path):
    huge = app(tmp_path / "huge", 5, size=1_000_000)
    (huge / "more.bin").write_bytes(bytes(1_000_000))
    with pytest.raises(LinkError, match="no room for a second program"):
        updating.update(way, huge)
    with pytest.raises(ValueError, match="no main.py"):
        updating.update(way, tmp_path)
    with way.open() as link:
        link.run("import slots\n_state = slots.load()\n"
                 "_state['trial'] = _state['good']\nslots._write(_state)")
    with pytest.raises(LinkError, match="still on trial"):
        updating.update(way, app(tmp_path / "six", 6))
    with way.open() as link:
        link.run("import slots\n_state = slots.load()\n_state['trial'] = None\n"
                 "slots._write(_state)")


def test_a_board_that_is_not_made_to_replace_its_core_is_told_how(monkeypatch, tmp_path):
    monkeypatch.setattr(deploy, "image_for", lambda *what: (None, {".image/crc": b"1"}))
    link = SimpleNamespace(target="there", files=lambda paths: {})
    probe = SimpleNamespace(image="46494c41494d4735", romfs=())
    with pytest.raises(LinkError, match="over serial `filament deploy PORT` can"):
        updating._wanted(link, probe, BOARD, app(tmp_path / "app", 1))


def test_a_core_that_finds_no_room_to_be_kept_leaves_nothing():
    board, done = facts.load()["rp2_pico_w"], []

    def run(code, timeout_s):
        done.append(code)
        if len(done) == 3:
            raise BoardError("there", "OSError: 28")

    link = SimpleNamespace(target="there", run=run, make_directory=done.append,
                           remove=lambda *paths: done.append(paths))
    parts = updating._parts(100_000)
    assert sum(size for _, size in parts.values()) == 100_000 and len(parts) == 4
    with pytest.raises(LinkError, match="full"):
        updating._keep_image(link, board, "a", None, parts)
    assert done[-1] == ("/a/.image",)


def until(condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.1)
