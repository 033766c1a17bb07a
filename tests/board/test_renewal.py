"""The core in the flash of an emulated Pico W, replaced over the virtual network; stock firmware.

One test, as a board takes its time; what it measures stays in build/board-renewal.json.
"""

import json
import random
import time

from host_tools import loopback, unix_port
from host_tools.boards import images, listings
from host_tools.device import tree as trees
from host_tools.device import updating
from tests.board import test_update
from tests.board.slot_pico import BOARD, SlotPico, app
from tests.host.slot_board import IDENTITIES

FEWER = tuple(name for name in listings.USUAL if name != "dns")
SEED = 3
RESTART_S = 12          # in which an image is replaced, and a node comes online
CUTS = 2


def test_the_core_is_replaced_and_comes_back(tmp_path, monkeypatch):
    figures = {}
    with loopback.Network(tmp_path / "net", IDENTITIES[:3], ["board", "laptop"]) as net:
        net.change(f"/member/{IDENTITIES[1].address.hex()}",
                   {"ipAssignments": [test_update.ADDRESS]})
        pico = SlotPico(tmp_path / "pico", sets=FEWER)
        pico.furnish(app(tmp_path / "one", 1), net.home("board"), {
            "network": net.id, "bind": net.node("board")["bind"],
            "allow": [IDENTITIES[2].address.hex()]})
        with pico, test_update.way(net, "laptop") as laptop:
            assert (test_update.version(laptop), image(laptop)) == (1, crc(FEWER))
            another_core_comes_with_an_update(tmp_path, laptop, figures)
            have(monkeypatch, FEWER)
            one_whose_program_fails_goes(tmp_path, laptop, figures)
            the_power_goes_while_it_is_replaced(tmp_path, laptop, pico)
    output = unix_port.ROOT / "build" / "board-renewal.json"
    output.write_text(json.dumps(figures, indent=2) + "\n")


def have(monkeypatch, sets):
    """Have the core on this side be another."""
    monkeypatch.setattr(trees, "build", lambda board: images.build_of(board, sets))
    monkeypatch.setattr(trees, "pieces", lambda board: images.pieces(board, sets))


def crc(sets):
    return images.pieces(BOARD, sets)[images.CRC].decode()


def image(laptop):
    """The CRC-32 of the image from which the board runs."""
    start = images.addresses(BOARD)[0]

    def ask():
        with laptop.open() as link:
            return link.run("from machine import mem32\n"
                            f"print('%08x' % (mem32[{start + 12}] & 0xffffffff))").strip()

    return test_update.patiently(ask)


def another_core_comes_with_an_update(tmp_path, laptop, figures):
    began = time.monotonic()
    two = app(tmp_path / "two", 2)
    done = updating.update(laptop, two)
    figures["update"] = {"seconds": round(time.monotonic() - began, 1), "sent": done.sent}
    assert done.confirmed and done.slot == "b" and done.sent > 100_000
    assert (test_update.version(laptop), image(laptop)) == (2, crc(listings.USUAL))
    assert updating.update(laptop, two).sent == 0


def one_whose_program_fails_goes(tmp_path, laptop, figures):
    began = time.monotonic()
    done = updating.update(laptop, app(tmp_path / "three", 3, test_update.RAISES))
    figures["rolled_back"] = {"seconds": round(time.monotonic() - began, 1), "sent": done.sent}
    assert done.confirmed is False and "a bug" in done.why
    assert (test_update.version(laptop), image(laptop)) == (2, crc(listings.USUAL))


def the_power_goes_while_it_is_replaced(tmp_path, laptop, pico):
    dice = random.Random(SEED)
    updating.update(laptop, app(tmp_path / "four", 4), wait=False)
    for _ in range(CUTS):
        time.sleep(dice.random() * RESTART_S)       # at whatever it is about then
        pico.cut()
    assert (test_update.version(laptop), image(laptop)) == (4, crc(FEWER))
    state = test_update.patiently(lambda: test_update.settled(laptop))
    assert (state["good"], state["trial"], state["rolled_back"]) == ("a", None, None)
