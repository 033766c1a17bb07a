"""A network with a board and members, for what is done to a board from far away."""

import subprocess
import sys
from contextlib import contextmanager

from host_tools import loopback, unix_port
from host_tools.device import overlay_link
from host_tools.device.link import LinkError
from tests.host.slot_board import IDENTITIES, SlotBoard, app

ADDRESS = "10.73.1.20"
PATIENCE_S = 60


class Scene:
    """The board, and whom it admits: "laptop" for nodes of this process and
    "desk" for those of commands, and whom it does not: "other"."""

    def __init__(self, directory):
        self.network = loopback.Network(directory / "net", IDENTITIES[:5],
                                        ["board", "laptop", "other", "desk"])
        self.network.change(f"/member/{IDENTITIES[1].address.hex()}", {"ipAssignments": [ADDRESS]})
        self.board = SlotBoard(directory / "board", blocks=448)
        node = self.network.node("board")
        self.board.furnish(app(directory / "one", 1), node["home"], {
            "network": self.network.id, "bind": node["bind"],
            "allow": [IDENTITIES[number].address.hex() for number in (2, 4)]})
        self.board.start()

    def options(self, name):
        """Those of a command that goes by this member."""
        return ["--home", str(self.network.home(name)), "--bind", self.network.binds[name],
                "--loopback", "--join", self.network.id]

    def way(self, name="laptop"):
        return overlay_link.way(ADDRESS, str(self.network.home(name)), loopback=True,
                                bind=self.network.binds[name], networks=[self.network.id])

    def filament(self, *arguments, name="desk", **options):
        return subprocess.run(
            [sys.executable, "-m", "host_tools", *map(str, arguments), *self.options(name)],
            cwd=unix_port.ROOT, capture_output=True, text=True, timeout=2 * PATIENCE_S, **options)

    def stop(self):
        self.board.stop()
        self.network.server.stop()


@contextmanager
def opened(directory):
    """A Scene whose board has joined."""
    scene = Scene(directory)
    try:
        with scene.way() as way:
            patiently(way)
        yield scene
    finally:
        scene.stop()


def patiently(way):
    for _ in range(6):
        try:
            return way.open().close()
        except LinkError:
            pass
    raise AssertionError("the board does not answer")
