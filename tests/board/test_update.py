"""Updates of an emulated Pico W over the virtual network, with stock firmware, its own heap and
stack; the code is in flash, the programs are in slots.

One test, as a board takes its time; what it measures stays in build/board-update.json.
"""

import json
import random
import time

import pytest

from host_tools import loopback, unix_port
from host_tools.device import overlay_link, updating
from host_tools.device.link import LinkError
from tests.board.slot_pico import SlotPico, app
from tests.host.slot_board import IDENTITIES

ADDRESS = "10.73.1.20"
PATIENCE_S = 90
DATA = 16_000           # bytes, beside the app's program
HEAP_BYTES = 3_000      # of upkeep, while nobody is connected
SESSION_BYTES = 24_000  # with a session that asks for the status, and what it loaded
CUTS = 2
SEED = 5

MINUTES = 0.1           # that a program has to come online which never will

NEVER_ONLINE = "import time\ndef start():\n    while True:\n        time.sleep_ms(100)\n"
RAISES = "def start():\n    raise ValueError('a bug')\n"


@pytest.fixture(name="figures")
def figures_fixture():
    """What is measured, kept in a file."""
    figures = {}
    yield figures
    output = unix_port.ROOT / "build" / "board-update.json"
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps(figures, indent=2) + "\n")


def test_updates_over_the_network(tmp_path, figures):
    with loopback.Network(tmp_path / "net", IDENTITIES[:4], ["board", "laptop", "other"]) as net:
        net.change(f"/member/{IDENTITIES[1].address.hex()}", {"ipAssignments": [ADDRESS]})
        pico = SlotPico(tmp_path / "pico")
        node = net.node("board")
        pico.furnish(app(tmp_path / "one", 1), net.home("board"), {
            "network": net.id, "bind": node["bind"], "allow": [IDENTITIES[2].address.hex()]})
        figures["heap"] = heap_of_upkeep(pico, net)
        with pico, way(net, "laptop") as laptop:
            assert version(laptop) == 1
            who_is_not_allowed_gets_nothing(net)
            an_update_comes_online(tmp_path, laptop, figures)
            one_that_raises_is_rolled_back(tmp_path, laptop, figures)
            one_that_never_comes_online_is_reset_and_rolled_back(tmp_path, laptop, pico, figures)
            power_cuts_leave_a_board_that_works(tmp_path, laptop, pico, figures)


def way(net, name):
    return overlay_link.way(ADDRESS, str(net.home(name)), bind=net.binds[name], loopback=True,
                            networks=[net.id])


def patiently(act):
    """Try until the board answers."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return act()
        except LinkError:           # there was no answer: that takes its time
            if time.monotonic() > end:
                raise


def version(laptop):
    """Of the program that runs."""
    def ask():
        with laptop.open() as link:
            return int(link.run("import sys\nprint(sys.modules['main'].VERSION)"))

    return patiently(ask)


def heap_of_upkeep(pico, net):
    """Bytes that it takes: nobody connected; after a session; while one asks for the status."""
    board = pico.on()
    try:
        idle = board.wait_for("upkeep")["bytes"]
        board.wait_for("network", status="OK", online=True)
        joined = board.memory()["used"]
        with way(net, "laptop") as laptop:
            with patiently(laptop.open) as link:
                link.run("import json\nfrom mpcore import upkeep\n"
                         "print(json.dumps(upkeep.running.status()))")
                during = board.memory()["used"] - joined
        figures = {"idle": idle, "session": during, "joined": joined}
    finally:
        pico.off(board)
    assert 0 < idle < HEAP_BYTES and 0 < during < SESSION_BYTES, figures
    return figures


def who_is_not_allowed_gets_nothing(net):
    with way(net, "other") as other, pytest.raises(overlay_link.NoAnswer):
        other.open()


def an_update_comes_online(tmp_path, laptop, figures):
    two = app(tmp_path / "two", 2, size=DATA)
    began = time.monotonic()
    done = updating.update(laptop, two)
    figures["update"] = {"seconds": round(time.monotonic() - began, 1), "sent": done.sent,
                         "size": done.size}
    assert done.confirmed and done.slot == "b" and done.sent > DATA
    assert version(laptop) == 2
    again = updating.update(laptop, two)
    assert again.sent == 0 and not again.changed and again.slot == "b"


def one_that_raises_is_rolled_back(tmp_path, laptop, figures):
    began = time.monotonic()
    done = updating.update(laptop, app(tmp_path / "three", 3, RAISES, DATA))
    figures["rolled_back"] = {"seconds": round(time.monotonic() - began, 1), "sent": done.sent}
    assert done.confirmed is False and "a bug" in done.why
    assert done.sent < DATA             # what slot b has is copied on the board
    assert version(laptop) == 2


def one_that_never_comes_online_is_reset_and_rolled_back(tmp_path, laptop, pico, figures):
    before, began = pico.starts, time.monotonic()
    done = updating.update(laptop, app(tmp_path / "deaf", 0, NEVER_ONLINE), minutes=MINUTES)
    figures["never_online"] = {"seconds": round(time.monotonic() - began, 1)}
    assert done.confirmed is False and "not confirmed after 2 starts" in done.why
    # By the update's own reset, and by the timer's of each of its starts.
    assert pico.starts == before + 1 + updating.STARTS
    assert version(laptop) == 2


class _Cut(Exception):
    pass


class _Cutting(updating.deploying.Steps):
    """Cuts the board's power when so many bytes have been sent to it."""

    def __init__(self, pico, after):
        self._pico = pico
        self._left = after

    def sent(self, count):
        self._left -= count
        if self._left <= 0:
            self._pico.cut()
            raise _Cut


def power_cuts_leave_a_board_that_works(tmp_path, laptop, pico, figures):
    random.seed(SEED)
    four = app(tmp_path / "four", 4, size=DATA + 1)
    for _ in range(CUTS):
        with pytest.raises(_Cut):
            updating.update(laptop, four, steps=_Cutting(pico, random.randrange(1, DATA)))
        assert version(laptop) == 2
    # And at some moment of the restart, when it is put on trial and begins.
    updating.update(laptop, four, wait=False)
    time.sleep(random.random() * 3)
    pico.cut()
    assert version(laptop) == 4
    state = patiently(lambda: settled(laptop))
    assert (state["good"], state["trial"], state["rolled_back"]) == ("a", None, None)
    figures["starts"] = pico.starts


def settled(laptop):
    """What slots says when no trial goes on. Raises LinkError before."""
    with laptop.open() as link:
        state = link.ask("import json, slots\nprint(json.dumps(slots.state()))")
    if state["trial"] is not None:
        raise LinkError("on trial")
    return state
