"""doctor, provision and deploy with stock firmware of a Pico W, over its serial port."""

import asyncio
import json
import random
import shutil

import pytest
from click.testing import CliRunner

from host_tools import unix_port
from host_tools.boards import facts, images, listings
from host_tools.cli import main
from host_tools.demo.scene import NODES, Scene
from host_tools.device import commands_serial, doctor
from host_tools.device import deploy as deploying
from host_tools.device import tree as trees
from host_tools.device.link import TEMPORARY, Lost, file_of, open_link
from host_tools.emulator.board import Board
from tests.core.scenes import identity

PICO_W = facts.load()["rp2_pico_w"]
SEED = 7
LARGE = 300_000
MAIN = 'def start():\n    print("started")\n'


def command(*arguments):
    """Exit code and what the command says in JSON."""
    told = CliRunner().invoke(main, [*map(str, arguments), "--json"])
    assert told.stdout, told.output
    return told.exit_code, json.loads(told.stdout.splitlines()[-1])


# From a bare board to a member

@pytest.fixture(name="app")
def app_fixture(tmp_path):
    """The bulb, with the emulated board's network in place of Wi-Fi."""
    app = tmp_path / "bulb"
    app.mkdir()
    for directory in ("boards/apps/bulb", "host_tools/emulator/guest"):
        for path in (unix_port.ROOT / directory).glob("*.py"):
            shutil.copy(path, app)
    return app


def test_a_bare_board_becomes_a_member(tmp_path, app, monkeypatch):
    # One test, as each start takes some seconds.
    identities = [identity(i) for i in range(len(NODES))]
    mine = identities[NODES.index("bulb")]
    monkeypatch.setattr(commands_serial, "generate_identities", lambda: [mine])

    async def play():
        scene = Scene(tmp_path / "scene", identities, SEED)
        try:
            await scene.start_root()
            await scene.start_controller()
            await asyncio.to_thread(bring_up, scene, tmp_path, app, mine.address.hex())
        finally:
            await scene.stop()

    asyncio.run(play())


def bring_up(scene, directory, app, address):
    config = json.loads((scene.furnish_bulb() / "bulb.secret.json").read_text())
    settings = directory / "bulb.json"
    settings.write_text(json.dumps({name: config[name] for name in (
        "place", "radius", "client", "secret", "token")}))
    with Board(directory) as board:
        code, said = command("doctor", board.serial)
        assert code == 0 and said["board"] == "rp2_pico_w" and said["architecture"] == "armv6m"
        assert {each["topic"]: each["level"] for each in said["findings"]}["heap"] == doctor.GOOD
        provision = ("provision", board.serial, "--home", directory / "home", "--loopback",
                     "--network", scene.network, "--bind", config["bind"], "--planet",
                     scene.directory / "root" / "planet", "--app-config", settings)
        code, said = command(*provision)
        assert code == 0 and said["address"] == address and len(said["written"]) == 4
        assert command(*provision) == (0, said | {"written": []})
        code, said = command("deploy", board.serial, app)
        assert said["running"]["online"] and said["running"]["status"] == "OK"
        assert code == 0 and 100_000 < said["sent"] < 200_000       # with the core as an image,
        assert said["running"]["free"] > 100_000                    # which is in its flash now
        (app / "helper.py").write_text("X = 1\n")
        code, said = command("deploy", board.serial, app)
        assert code == 0 and said["slot"] == "b" and 0 < said["sent"] < 5_000
        code, said = command("doctor", board.serial)
        assert code == 0 and said["probe"]["identity"].startswith(address)
        assert said["probe"]["slots"]["good"] == "b"


# What is large, and torn

def test_a_large_tree_is_sent_once_and_goes_on_after_a_pulled_cable(tmp_path):
    image = tmp_path / "filament.uf2"
    image.write_bytes(images.in_flash(PICO_W, listings.USUAL))
    app = tmp_path / "app"
    app.mkdir()
    (app / "main.py").write_text(MAIN)
    dice = random.Random(SEED)
    for number in range(6):
        (app / f"{number}.bin").write_bytes(dice.randbytes(LARGE // 6))
    wanted = {"/a/" + path: file_of(data) for path, data in trees.tree(
        PICO_W, app, image=trees.build(PICO_W)).items()}
    with Board(tmp_path, more=[image]) as board:
        with pytest.raises(Lost, match="plug the board in again"), open_link(board.serial) as link:
            pull_after(link, LARGE)
            deploying.deploy(link, app)
        with open_link(board.serial) as link:       # the board had power all the time
            there = link.walk("/a")[0]
            arrived = sum(there[path].size for path in there if wanted.get(path) == there[path])
            assert LARGE // 6 <= arrived < LARGE and not any(map(deploying.is_main, there))
            rest = deploying.deploy(link, app)
            assert rest.sent == rest.size - arrived
            assert link.walk("/a")[0] == wanted
            again = deploying.deploy(link, app)
            assert (again.sent, again.changed) == (0, False)
            assert again.size > LARGE
            assert not [path for path in link.walk("/a")[0] if path.endswith(TEMPORARY)]
        a_full_heap_is_no_obstacle(board)
        it_starts_from_its_slot(board)


def pull_after(link, size):
    """Pull the cable when so many more bytes have gone out; the board goes on."""
    port = link._line._port
    write, left = port.write, size

    def until_pulled(data):
        nonlocal left
        left -= len(data)
        if left < 0:
            port.close()
        return write(data)

    port.write = until_pulled


def a_full_heap_is_no_obstacle(board):
    with open_link(board.serial) as link:
        link.run("kept = []\ntry:\n while True: kept.append(bytearray(1000))\n"
                 "except MemoryError:\n pass")
    with open_link(board.serial) as link:
        assert link.run("print('kept' in globals())") == "False\n"
        assert deploying.state_of(link.read("/slots.json"))["good"] == "a"


def it_starts_from_its_slot(board):
    with open_link(board.serial) as link:
        link.restart()
        assert "started" in link.lines(20)
