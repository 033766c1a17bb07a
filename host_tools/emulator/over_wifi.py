"""The bulb on stock firmware with its own Wi-Fi and sockets, code in flash: joins and reacts.

    python -m host_tools.emulator.over_wifi [--reactions N] [--output FILE]

The network is root, controller and games on this machine; the board is rp2040py's, with a model of
the Wi-Fi chip, and runs about twenty times slower than one: what works is worth knowing, how fast
is not. Times are the board's own.
"""

import argparse
import asyncio
import json
import shutil
import sys
import time
from pathlib import Path

from host_tools import home, unix_port
from host_tools.demo.scene import GAMES, NODES, Scene
from host_tools.emulator import files, provisions, wifi
from host_tools.emulator.board import Board
from host_tools.generate import generate
from mpcore.port import Port
from mpcore.vl1 import inet
from mpcore.vl1.world import PLANET, World

_BUILD = unix_port.ROOT / "build" / "board" / "wifi"
_TIMEOUT_S = 900
_SEED = 7

_SCRIPT = """
import gc, json, time
import start_bulb
began, leds, told = time.ticks_ms(), 0, []
def report(**facts):
    global leds
    facts["ms"] = time.ticks_diff(time.ticks_ms(), began)
    told.append(facts)
    leds += facts["event"] == "led"
    if facts["event"] == "heap":
        told.pop() if len(told) > 1 and told[-2]["event"] == "heap" else None
    if leds >= %d or facts["ms"] > %d:
        raise SystemExit
start_bulb.report = report
try:
    start_bulb.start()
except SystemExit:
    pass
for facts in told:
    print(json.dumps(facts))
"""


def _planet(root, signer):
    """The planet as the board has to have it, to which this machine is another address."""
    planet = home.load_planet(root)
    return World.make(PLANET, planet.id, planet.timestamp, [
        (identity, [inet.parse(f"{wifi.HOST}/{int.from_bytes(each[4:], 'big')}")
                    for each in endpoints]) for identity, endpoints in planet.roots], signer)


def _flash(directory, furnished, root):
    """A flash image and the UF2 file beside it: the bulb with its secrets."""
    own = directory / "own"
    uf2 = directory / "filament.uf2"
    files.in_flash(own, uf2)
    for path in own.iterdir():
        if path.name not in ("rom.mpy", "boot.py"):
            path.unlink()
    for name in ("board.py", "rp2_pico_w/facts.py"):
        shutil.copy(unix_port.ROOT / "boards" / name, own)
    config = json.loads((furnished / "bulb.secret.json").read_text())
    config |= {"bind": "0.0.0.0:9993", "loopback": False, "ssid": wifi.SSID}
    (own / "bulb.secret.json").write_text(json.dumps(config))
    shutil.copy(furnished / home.SECRET, own)
    (own / home.PLANET_FILE).write_bytes(_planet(root, bytes(range(64))).to_bytes())
    with Board(directory, more=[uf2]) as board:
        board.copy(own)
        board.save(directory / "flash.bin")
    return {"flash": directory / "flash.bin", "more": [uf2]}


async def play(directory, reactions, tell):
    """What the board reported, each with its own ms, and how long that took here."""
    directory.mkdir(parents=True, exist_ok=True)
    scene = Scene(directory / "scene", generate(len(NODES), lambda found, hashes: None), _SEED)
    try:
        await scene.start_root()
        await scene.start_controller()
        for game in GAMES:
            await scene.start_game(game)
        tell("copying the files")
        installed = await asyncio.to_thread(
            _flash, directory, scene.furnish_bulb(), Port(str(scene.directory / "root"), []))
        firmware, _ = provisions.provide(directory)
        began = time.monotonic()
        tell("the firmware starts")
        async with wifi.WifiBoard(firmware, **installed) as board:
            started = time.monotonic()
            tell("joining")
            said = await board.run(_SCRIPT % (reactions, 60_000), _TIMEOUT_S)
        return {"boot_s": round(started - began, 1),
                "run_s": round(time.monotonic() - started, 1),
                "events": [json.loads(line) for line in said.splitlines() if line[:1] == "{"]}
    finally:
        await scene.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--reactions", type=int, default=4)
    parser.add_argument("--output", type=Path,
                        default=unix_port.ROOT / "build" / "board-wifi.json")
    arguments = parser.parse_args()
    found = asyncio.run(play(_BUILD, arguments.reactions,
                             lambda text: print(text, file=sys.stderr, flush=True)))
    arguments.output.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
