"""The bulb on an emulated Pico W, among a root, a controller and games on this machine.

    python -m host_tools.emulator.story [--seconds N] [--mpy] [--output FILE]

Deploys the bulb's own files with mpremote, lets it join and react, resets it, and pulls its cable.
Times are the board's: cycles at 125 MHz as the emulator counts them, idle time included.
"""

import argparse
import asyncio
import json
import shutil
import statistics
import sys
import time
from pathlib import Path

from host_tools import home, loopback, remote, unix_port
from host_tools.demo.scene import GAMES, NODES, Scene
from host_tools.emulator import files
from host_tools.emulator.board import ROOMY, Board, Failure
from host_tools.generate import generate
from mpcore.port import Port

BUILD = unix_port.ROOT / "build" / "board"
SECRETS = ("identity.secret", "planet", "bulb.secret.json")
MORE_PEERS = 4          # with the root, the controller and the games there are eight
PINGS = 100
RELEASED_S = 12         # of the board's time: after so long, nothing that is on demand is left
SEED = 7


class Story:
    """What happens to one board. `figures` grow as it goes.

    directory: for all that is made. identities: one for each of demo.scene.NODES and MORE_PEERS.
    in_flash: the code runs in place, from an image in the board's flash, and the heap is the
    firmware's own; else it is in .mpy files, of which the heap gets copies and so has to be larger.
    """

    def __init__(self, directory, identities, in_flash=True):
        self.directory = directory
        self.figures = {"heap": {}, "reactions": {}}
        self._scene = Scene(directory / "scene", identities[:len(NODES)], SEED)
        self._more = identities[len(NODES):]
        self._peers = []
        self._in_flash = in_flash
        self._board = None

    async def __aenter__(self):
        await self._scene.start_root()
        await self._scene.start_controller()
        for game in GAMES:
            await self._scene.start_game(game)
        self._board = await asyncio.to_thread(self._switch_on)
        return self

    def _switch_on(self):
        compiled, uf2 = self.directory / "files", self.directory / "filament.uf2"
        if self._in_flash:
            files.in_flash(compiled, uf2)
        else:
            files.bulb(compiled)
        return Board(self.directory, heap=None if self._in_flash else ROOMY,
                     more=[uf2] if self._in_flash else [])

    async def __aexit__(self, *error):
        if self._board is not None:
            self._board.stop()
        for peer in self._peers:
            peer.stop()
        await self._scene.stop()

    async def deploy(self):
        """Copy the bulb's files onto the board with mpremote."""
        await asyncio.to_thread(self._deploy)

    def _deploy(self):
        began = time.monotonic()
        compiled = self.directory / "files"
        self._board.copy(compiled)
        home = self._scene.furnish_bulb()
        for name in SECRETS:
            self._board.mpremote("fs", "cp", home / name, ":")
        self.figures["files_bytes"] = sum(path.stat().st_size for path in compiled.rglob("*.*"))
        self.figures["deploy_s"] = round(time.monotonic() - began, 1)

    async def start(self):
        """Start it, or start it anew, and wait until it follows both games and reacts."""
        await self._tell(self._start)

    def _start(self):
        board = self._board
        before = board.state()
        board.soft_reset()
        board.wait_for("started")
        active = board.memory()
        self._address = board.wait_for("network", status="OK")["address"]
        joined_ms = (board.state()["nanos"] - before["nanos"]) / 1e6
        joined = board.memory()
        self._follow()
        self.figures["heap"] |= {"active": active, "joined": joined}
        self.figures["join_ms"] = round(joined_ms)

    def _follow(self):
        missing = set(GAMES)
        while missing:
            missing.discard(self._board.wait_for("following")["game"])
        for value in (1, 0):
            self._board.wait_for("pin", value=value)

    async def react(self, seconds, name):
        """Let it react for so long; the figures are kept under this name."""
        board = self._board
        first = await asyncio.to_thread(board.memory)
        board.pending()
        began = await asyncio.to_thread(board.state)
        await asyncio.sleep(seconds)
        facts = board.pending()
        ended = await asyncio.to_thread(board.state)
        pins = [each for each in facts if each["event"] == "pin"]
        said = [each for each in facts if each["event"] == "led"]
        heap = [each for each in facts if each["event"] == "heap"]
        self.figures["heap"][name] = {
            "first": first, "last": await asyncio.to_thread(board.memory),
            "live": [each["live"] for each in heap], "high_water": max(e["peak"] for e in heap)}
        self.figures["reactions"][name] = _reactions(pins) | {
            "said": len(said), "board_s": round((ended["nanos"] - began["nanos"]) / 1e9, 1),
            "busy": round((ended["cycles"] - began["cycles"]) * 1e9 / began["hz"] /
                          (ended["nanos"] - began["nanos"]), 3)}

    async def meet(self):
        """Start more members of the network, each of which pings the bulb."""
        before = await asyncio.to_thread(self._board.memory)
        for number, identity in enumerate(self._more):
            await self._tell(lambda: self._meet(f"peer{number}", identity))
        await self._tell(self._rest)
        after = await asyncio.to_thread(self._board.memory)
        self.figures["heap"]["more_peers"] = {
            "count": len(self._more), "first": before, "last": after}

    def _rest(self):
        """Wait until the board has dropped what it loaded to get to know somebody."""
        end = self._board.state()["nanos"] + RELEASED_S * 1e9
        while self._board.state()["nanos"] < end:
            self._board.wait_for("heap")        # which the bulb tells every few seconds

    def _meet(self, name, identity):
        scene, place = self._scene, self._scene.directory / name
        home.save_identity(Port(str(place), []), identity)
        shutil.copy(scene.directory / "root" / home.PLANET_FILE, place)
        remote.Control(scene.directory / "controller").post(
            f"/controller/network/{scene.network}/member/{identity.address.hex()}",
            {"authorized": True})
        (port,) = loopback.free_ports([name])
        peer = loopback.Process(
            [sys.executable, "-m", "host_tools", "node", "--loopback", "--home", str(place),
             "--bind", f"127.0.0.1:{port}", "--join", scene.network],
            scene.directory / f"{name}.log")
        self._peers.append(peer)
        while not any(network["status"] == "OK"
                      for network in peer.wait_for("networks")["networks"]):
            pass
        for _ in range(PINGS):
            answer = remote.Control(place).post(
                "/ping", {"ip": self._address, "timeout_ms": 1000}, loopback.START_S)
            if answer["ms"] is not None:
                return
        raise Failure(f"the bulb does not answer {name}: {peer.tail()}")

    async def cut(self, seconds):
        """Pull the cable for so long; wait until it reacts again."""
        self._board.link(False)
        await asyncio.sleep(seconds)
        self._board.pending()
        self._board.link(True)
        await self._tell(self._follow)

    async def _tell(self, act):
        """Do something that waits for the board beside the loop."""
        await asyncio.to_thread(act)


def _reactions(pins):
    times_ms = sorted(each["since_rx_nanos"] / 1e6 for each in pins)
    cycles = sorted(each["since_rx_cycles"] for each in pins)
    if not times_ms:
        raise Failure("the bulb did not react")
    return {"count": len(times_ms), "p50_ms": round(statistics.median(times_ms), 2),
            "p99_ms": round(times_ms[int(len(times_ms) * 0.99)], 2),
            "min_cycles": cycles[0], "p50_cycles": round(statistics.median(cycles))}


async def play(directory, identities, seconds, in_flash=True, tell=lambda text: None):
    """All of it; returns the figures."""
    async with Story(directory, identities, in_flash) as story:
        for text, act in (
                ("deploy", lambda: story.deploy()),
                ("start, join, follow, react", lambda: story.start()),
                (f"react for {seconds} s", lambda: story.react(seconds, "reacting")),
                ("soft reset", lambda: story.start()),
                ("cable out for 5 s", lambda: story.cut(5)),
                ("react again", lambda: story.react(max(10, seconds / 4), "after_link")),
                (f"{MORE_PEERS} more peers", lambda: story.meet())):
            tell(text)
            await act()
        return story.figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--mpy", action="store_true",
                        help="The code in .mpy files, and more heap than a board has.")
    parser.add_argument("--output", type=Path, default=unix_port.ROOT / "build" / "board.json")
    arguments = parser.parse_args()
    identities = generate(len(NODES) + MORE_PEERS, lambda found, hashes: None)
    try:
        figures = asyncio.run(play(BUILD, identities, arguments.seconds, not arguments.mpy,
                                   lambda text: print(text, file=sys.stderr, flush=True)))
    except Failure as failure:
        sys.exit(str(failure))
    arguments.output.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
