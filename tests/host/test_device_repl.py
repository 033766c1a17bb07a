"""A board's REPL over the virtual network: as people, mpremote and our own commands use it."""

import contextlib
import os
import pty
import queue
import socket
import subprocess
import sys
import threading

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from host_tools import loopback
from host_tools.cli import main
from host_tools.device import overlay_link, repl
from host_tools.device.link import LinkError
from tests.host.board_scene import ADDRESS, PATIENCE_S, opened, patiently
from tests.host.slot_board import IDENTITIES, app

@pytest.fixture(name="scene", scope="module")
def scene_fixture(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("repl")) as scene:
        yield scene


def test_mpremote_over_a_port_that_filament_serves(scene, tmp_path):
    (tmp_path / "x.bin").write_bytes(bytes(range(256)) * 20)
    with scene.way() as way:
        port = way.serve("127.0.0.1", 0)

        def mpremote(*arguments):
            done = subprocess.run([sys.executable, "-m", "mpremote", "connect",
                                   f"socket://127.0.0.1:{port}", *map(str, arguments)],
                                  capture_output=True, text=True, timeout=PATIENCE_S)
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        assert mpremote("exec", "print(6 * 7)").strip() == "42"
        assert "slots.mpy" in mpremote("ls")
        mpremote("cp", tmp_path / "x.bin", ":x.bin")
        assert "5120 x.bin" in mpremote("ls")
        mpremote("cp", ":x.bin", tmp_path / "y.bin")
        assert (tmp_path / "y.bin").read_bytes() == (tmp_path / "x.bin").read_bytes()
        mpremote("rm", "x.bin")
        assert "x.bin" not in mpremote("ls")
        assert mpremote("exec", "x = 1", "eval", "x + 1").strip() == "2"


def test_mpremote_over_a_plain_forward(scene):
    (port,) = loopback.free_ports(["forward"], loopback.socket.SOCK_STREAM)
    command = [sys.executable, "-m", "host_tools", "forward", "--json", *scene.options("desk"),
               f"{port}={ADDRESS}:2323"]
    with loopback.Process(command, scene.network.directory / "forward.log") as forward:
        forward.wait_for("forwarding")
        done = subprocess.run([sys.executable, "-m", "mpremote", "connect",
                               f"socket://127.0.0.1:{port}", "eval", "'over a forward'"],
                              capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stdout.strip() == "over a forward", done.stderr


def test_mpremote_at_a_pseudo_terminal(scene):
    with scene.way() as way:
        names = queue.SimpleQueue()
        serving = threading.Thread(target=repl.serve_terminal, args=(way.url, names.put, 2))
        serving.start()
        terminal = names.get(timeout=PATIENCE_S)
        for _ in range(2):
            done = subprocess.run([sys.executable, "-m", "mpremote", "connect", terminal, "eval",
                                   "6 * 7"], capture_output=True, text=True, timeout=PATIENCE_S)
            assert done.stdout.strip() == "42", done.stdout + done.stderr
        serving.join(PATIENCE_S)
        assert not serving.is_alive()


def test_a_text_is_run_and_its_failure_told(scene):
    done = scene.filament("repl", ADDRESS, input="for i in range(3):\n    print(i)\n")
    assert (done.returncode, done.stdout) == (0, "0\n1\n2\n"), done.stderr
    done = scene.filament("repl", ADDRESS, input="1 / 0\n")
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr
    assert f"{ADDRESS}: an error on the board" in done.stderr


def test_a_person_at_a_terminal(scene):
    with scene.way() as way:
        url = way.url()
        keyboard, person = pty.openpty()
        reading, screen = os.pipe()
        left = []
        talk = threading.Thread(target=lambda: left.append(repl.talk(url, person, screen)))
        talk.start()
        shown = b""

        def until(text):
            nonlocal shown
            while text not in shown:
                shown += os.read(reading, 4096)
            shown = shown[shown.index(text) + len(text):]

        until(b">>> ")
        os.write(keyboard, b"6 * 7\r")
        until(b"42\r\n")
        until(b"version 1\r\n")         # what the program prints is seen
        os.write(keyboard, repl.LEAVE)
        talk.join(PATIENCE_S)
        assert left == [True]
        # The board's own end of it, as a reset makes it.
        url = way.url()
        talk = threading.Thread(target=lambda: left.append(repl.talk(url, person, screen)))
        talk.start()
        until(b">>> ")
        starts = scene.board.starts
        os.write(keyboard, b"import machine; machine.reset()\r")
        talk.join(PATIENCE_S)
        assert left == [True, False]
        patiently(way)
        assert scene.board.starts == starts + 1
        for each in (keyboard, person, reading, screen):
            os.close(each)


def test_who_is_not_allowed_gets_nothing(scene, monkeypatch):
    monkeypatch.setattr(overlay_link, "PATIENCE_S", 3)
    with scene.way("other") as way:
        with pytest.raises(overlay_link.NoAnswer, match=IDENTITIES[3].address.hex()):
            way.open()
        told = queue.SimpleQueue()      # of who serves other programs, as these are not
        port = way.serve("127.0.0.1", 0, told.put)
        with socket.create_connection(("127.0.0.1", port)) as program:
            assert "no answer at port 2323" in told.get(timeout=PATIENCE_S)
            with contextlib.suppress(ConnectionResetError):
                assert program.recv(1) == b""
    with scene.way() as way, way.open() as link:
        assert link.ask("import json\nfrom mpcore import upkeep\n"
                        "print(json.dumps(upkeep.running.status()['drops']))")[
                            "tcp_not_admitted"] >= 1


def test_a_second_session_is_told_of_the_first(scene):
    with scene.way() as way, way.open():
        with pytest.raises(LinkError, match="another session is open"):
            way.open()
    with scene.way() as way:
        patiently(way)


def test_addresses_of_nowhere(scene, tmp_path):
    with pytest.raises(LinkError, match="no network of this node leads there"):
        with overlay_link.way("192.0.2.1", str(scene.network.home("laptop")), loopback=True,
                              bind=scene.network.binds["laptop"]) as way:
            way.open()
    with overlay_link.way("127.0.0.1:9") as way, pytest.raises(overlay_link.NoAnswer):
        way.open()
    with socket.create_server(("127.0.0.1", 0)) as server:      # takes calls, and hangs up
        thread = threading.Thread(target=lambda: server.accept()[0].close())
        thread.start()
        with overlay_link.way(f"127.0.0.1:{server.getsockname()[1]}") as way, \
                pytest.raises(overlay_link.NoAnswer):
            way.open()
        thread.join()
    told = CliRunner().invoke(main, ["monitor", "10.1.2.3", "--home", str(tmp_path)])
    assert told.exit_code == 1 and "is no node's home yet" in " ".join(
        told.output.replace("│", " ").split())
    told = CliRunner().invoke(main, ["repl", "/dev/ttyACM7"])
    assert told.exit_code == 1 and "mpremote connect /dev/ttyACM7" in told.output


@pytest.mark.parametrize("text, expected", [
    ("10.1.2.3", ("10.1.2.3", 2323)), ("10.1.2.3:99", ("10.1.2.3", 99)),
    ("bulb.local", ("bulb.local", 2323)), ("bulb.local:1", ("bulb.local", 1)),
    ("fd00::1", ("fd00::1", 2323)), ("[fd00::1]:5", ("fd00::1", 5))])
def test_addresses(text, expected):
    way = overlay_link.way(text)
    assert (way.host, way.port) == expected


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_refused(text):
    try:
        way = overlay_link.way(text)
    except ValueError:
        return
    assert way.host and 0 < way.port < 65536
