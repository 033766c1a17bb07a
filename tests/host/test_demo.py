"""The demonstration with real processes: what it measures, and what breaks on the way."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from host_tools import remote
from host_tools.demo import view
from host_tools.demo.scene import GAMES, NODES, Scene
from mpcore.vl1.identity import Identity
from tests.core.support import vectors

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 60
FIELDS = {"reactions", "p50_ms", "p99_ms", "max_ms", "bulb_runtime", "bulb_heap_peak_bytes",
          "join_ms", "datagrams", "relayed"}
MEADOW, HARBOUR = GAMES


def published_identities():
    """Identities that everybody knows: generating some takes a while, and nothing is secret here."""
    known = vectors("identity.json")["identities"]
    return [Identity.from_text(case["secret_text"]) for case in known[:len(NODES)]]


def processes_of(directory):
    """Command lines of the processes that work below this directory or name what is there."""
    inside, found = f"{directory}/", []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                cwd = os.readlink(process / "cwd")
            except OSError:
                continue        # it has just ended
            if inside in line or cwd.startswith(inside):
                found.append(line)
    return found


async def until(condition, what):
    """Wait for a condition; the failure says what did not come about."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError("in vain: " + what) from None


def logs(directory):
    """What the processes of a scene said beside their JSON lines."""
    return {log.name: log.read_text() for log in directory.glob("*.log") if log.stat().st_size}


def play(directory, scenario):
    """Start a scene, wait until the bulb follows both games, and run scenario(scene) on it."""
    async def main():
        scene = Scene(directory / "demo", published_identities(), seed=1)
        try:
            await scene.start()
            for game in GAMES:
                await follows(scene, game)
            await scenario(scene)
        except AssertionError as error:
            raise AssertionError(
                f"{error}; heard: {scene.log}; logs: {logs(scene.directory)}") from error
        finally:
            await scene.stop()

    asyncio.run(main())
    assert not processes_of(directory)


async def follows(scene, game, times=1):
    line = f"bulb follows {game}"
    await until(lambda: scene.log.count(line) >= times, line)


async def reacts(scene, times=3):
    """Wait for this many more reactions."""
    goal = len(scene.figures.reactions_ms) + times
    await until(lambda: len(scene.figures.reactions_ms) >= goal, f"{times} more reactions")


async def says(scene, line, times=1):
    await until(lambda: scene.log.count(line) >= times, line)


def reached(scene, by, name):
    """Whether node `by` has a path to node `name`."""
    try:
        peers = remote.Control(scene.directory / by).get("/peer")
    except ValueError:
        return False
    return any(peer["address"] == scene.addresses[name] and peer["paths"] for peer in peers)


def test_a_wrong_token_is_refused_and_an_expired_one_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr("host_tools.demo.scene.TOKEN_LIFETIME_S", 2)

    async def scenario(scene):
        for game in GAMES:
            refused = f"bulb, {game}: token refused (401), asking for a new one"
            assert refused in scene.log         # the token it was started with
            await says(scene, refused, times=2)     # the one it got, two seconds later
            await follows(scene, game, times=2)
        await reacts(scene)

    play(tmp_path, scenario)


def test_a_dead_game_is_noticed_and_found_again(tmp_path):
    async def scenario(scene):
        await scene.processes[MEADOW].stop(signal.SIGKILL)
        await says(scene, f"bulb, {MEADOW}: the game does not answer")
        await reacts(scene)                     # to the other game
        await scene.start_game(MEADOW)
        await follows(scene, MEADOW, times=2)

    play(tmp_path, scenario)


def test_a_killed_root_hurts_nobody_and_is_found_again(tmp_path):
    async def scenario(scene):
        await scene.processes["root"].stop(signal.SIGKILL)
        await reacts(scene)
        await scene.start_root()
        for name in ("bulb", "controller", *GAMES):
            await until(lambda: reached(scene, "root", name), f"{name} at the new root")
        await reacts(scene)

    play(tmp_path, scenario)


def test_a_killed_controller_hurts_nobody_and_keeps_its_network(tmp_path):
    async def scenario(scene):
        network = scene.network
        await scene.processes["controller"].stop(signal.SIGKILL)
        await reacts(scene)
        await scene.processes["bulb"].stop()
        shutil.rmtree(scene.directory / "bulb" / "networks.d", ignore_errors=True)
        await scene.start_bulb()
        await says(scene, "bulb, network: REQUESTING_CONFIGURATION 0.0.0.0, a root answers")
        await scene.start_controller()
        assert scene.network == network
        await follows(scene, HARBOUR, times=2)
        await reacts(scene)

    play(tmp_path, scenario)


def test_a_fifth_of_the_bulbs_datagrams_lost_is_no_harm(tmp_path, monkeypatch):
    monkeypatch.setattr("host_tools.demo.scene.BOARD", "tests/host/lossy_board")

    async def scenario(scene):
        await reacts(scene, times=10)
        await until(lambda: scene._counters["bulb"]["port"].get("lost", 0) > 20, "20 lost")

    play(tmp_path, scenario)


def test_a_restarted_bulb_joins_from_what_it_has_stored(tmp_path):
    async def scenario(scene):
        await scene.processes["controller"].stop(signal.SIGKILL)
        await scene.processes["bulb"].stop(signal.SIGKILL)
        await scene.start_bulb()
        for game in GAMES:
            await follows(scene, game, times=2)

    play(tmp_path, scenario)


def test_the_demo_measures_reactions_and_leaves_nothing_behind(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "host_tools", "demo", "--headless", "--seconds", "10",
         "--output", str(tmp_path / "demo.json")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "demo.json").read_text())
    assert set(figures) == FIELDS
    assert figures["reactions"] > 0
    assert 0 < figures["p50_ms"] <= figures["p99_ms"] <= figures["max_ms"]
    assert figures["bulb_runtime"].startswith("micropython ")
    assert figures["bulb_heap_peak_bytes"] > 100000
    assert figures["join_ms"] > 0
    assert figures["datagrams"] > figures["relayed"] > 0
    assert done.stdout.startswith(f"{figures['reactions']} reactions of the bulb on micropython")
    assert not processes_of(tmp_path)


PLAY = """
import sys
from pathlib import Path
from host_tools.demo import runner
from tests.host.test_demo import published_identities
sys.exit(runner.run(published_identities(), None, True, 1, Path(sys.argv[1])))
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_stopped_demo_leaves_nothing_behind(tmp_path, how):
    cast = tmp_path / "demo"
    with subprocess.Popen([sys.executable, "-c", PLAY, tmp_path / "demo.json"], cwd=ROOT,
                          stdout=subprocess.DEVNULL) as process:
        try:
            asyncio.run(until(lambda: len(processes_of(cast)) == len(NODES), "all processes"))
            process.send_signal(how)
            process.wait(PATIENCE_S)
        except AssertionError as error:
            raise AssertionError(f"{error}; {processes_of(cast)}; logs: {logs(cast)}") from error
        finally:
            process.kill()
    asyncio.run(until(lambda: not processes_of(tmp_path), "the end of all processes"))
    assert (tmp_path / "demo.json").exists() == (how != signal.SIGKILL)


def test_the_picture_shows_the_scene_and_fetches_nothing(tmp_path):
    scene = Scene(tmp_path / "demo", published_identities(), seed=1)
    scene.note("bulb follows meadow")
    view.save(scene, tmp_path / "picture.svg")
    svg = (tmp_path / "picture.svg").read_text()
    assert "meadow" in svg and "the&#160;bulb" in svg
    assert "url(" not in svg.replace("url(#", "")
