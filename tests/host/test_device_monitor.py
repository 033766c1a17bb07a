"""`filament monitor`: a board's status and log over the virtual network and at a serial port."""

import io
import json
import os
import threading
import tty

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from host_tools.device import monitor
from host_tools.device.link import LinkError, listen
from tests.host.board_scene import ADDRESS, opened
from tests.host.slot_board import IDENTITIES

STATUS = {"address": "0123456789", "online": True, "uptime_s": 3723, "firmware": "a board",
          "filament": "0.1.0", "network": {"id": "8056c2e21c000001", "name": "lab",
                                           "status": "OK", "address": "10.147.17.53"},
          "peers": [{"address": "1111111111", "role": "ROOT", "direct": True,
                     "path": "192.0.2.1/9993", "latency_ms": 12},
                    {"address": "2222222222", "role": "LEAF", "direct": False, "path": None,
                     "latency_ms": None}],
          "datagrams": {"sent": 1200, "received": 3400}, "drops": {"spoofed": 2},
          "heap": {"used": 110000, "free": 95000},
          "slots": {"running": "a", "good": "a", "trial": None, "rolled_back": {
              "slot": "b", "hash": "12", "why": "not confirmed"}}}


@pytest.fixture(name="scene", scope="module")
def scene_fixture(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("monitor")) as scene:
        yield scene


def test_one_look_over_the_network(scene):
    done = scene.filament("monitor", ADDRESS, "--once", "--json")
    assert done.returncode == 0, done.stderr
    status = json.loads(done.stdout)
    assert status["online"] and status["network"]["address"] == ADDRESS
    assert status["network"]["id"] == scene.network.id and status["network"]["status"] == "OK"
    assert status["address"] == IDENTITIES[1].address.hex() and status["slots"]["running"] == "a"
    peers = {peer["address"]: peer for peer in status["peers"]}
    root, desk = peers[IDENTITIES[0].address.hex()], peers[IDENTITIES[4].address.hex()]
    assert (root["role"], desk["role"]) == ("ROOT", "LEAF")
    assert root["direct"] and root["path"].startswith("127.0.0.1/")
    assert status["heap"]["free"] > 0 and status["uptime_s"] >= 0
    assert min(status["datagrams"].values()) > 0
    done = scene.filament("monitor", ADDRESS, "--once")
    assert done.returncode == 0 and done.stdout.startswith(f"online; OK {ADDRESS}; ")


def test_its_log_follows(scene):
    facts = []
    with scene.way() as way, way.open() as link:
        monitor.follow(monitor.Watch(link), way.target, Console(file=io.StringIO()),
                       facts.append, pause_s=0.5, rounds=4)
    assert {"log": "version 1"} in facts
    assert sum("status" in each for each in facts) == 4


def test_a_board_that_says_something_else():
    class Link:
        target = "there"

        def __init__(self, answer):
            self.answer = answer

        def ask(self, code, timeout_s):
            return self.answer

    for answer in None, [], [1, {}], ["zz", {}], ["00", None], {"a": 1}:
        with pytest.raises(LinkError):
            monitor.Watch(Link(answer)).look()
    watch = monitor.Watch(Link(["61620a63", STATUS]))
    assert watch.look() == ["ab"] and watch.status == STATUS
    watch._link.answer = ["640a", STATUS]
    assert watch.look() == ["cd"]


def test_how_a_status_is_said():
    text = monitor.sentence(STATUS)
    for part in ("online", "OK 10.147.17.53", "2 peers, 1 direct", "95,000", "spoofed=2"):
        assert part in text
    assert monitor.sentence({}) == "offline; no network"
    heard = {"online": None, "network": {}, "heap": {"used": 5, "free": 7}, "peers": []}
    assert monitor.sentence(heard) == "nothing was said of the network yet; heap 7 free"
    console = Console(file=io.StringIO(), width=100)
    console.print(monitor.picture("bulb", STATUS, ["a line"]))
    shown = console.file.getvalue()
    for part in ("1111111111", "relayed", "12 ms", "1:02:03", "b was rolled back", "a line"):
        assert part in shown
    assert "machine code" not in shown
    slow = STATUS | {"bytecode": ["mpcore.crypto.sha2_kernel", "mpcore.crypto.field_kernel"]}
    assert "the machine code of sha2_kernel, field_kernel" in monitor.sentence(slow)
    console.print(monitor.picture("bulb", slow, []))
    assert "sha2_kernel, field_kernel: no room" in console.file.getvalue()
    console.print(monitor.picture("bulb", None, []))


def test_a_live_picture_on_a_terminal_and_lines_elsewhere():
    class Watch:
        status = None

        def look(self):
            self.status = STATUS
            return ["one", "two"]

    terminal = Console(file=io.StringIO(), force_terminal=True, width=100)
    monitor.follow(Watch(), "bulb", terminal, pause_s=0, rounds=2)
    assert "\x1b" in terminal.file.getvalue() and "2222222222" in terminal.file.getvalue()
    piped = Console(file=io.StringIO(), width=200, soft_wrap=True)
    monitor.follow(Watch(), "bulb", piped, pause_s=0, rounds=2)
    assert piped.file.getvalue().splitlines() == [
        "one", "two", monitor.sentence(STATUS), "one", "two"]


def test_at_a_serial_port_what_the_program_prints_is_all():
    master, slave = os.openpty()
    tty.setraw(slave)
    lines = (b'{"event": "network", "status": "OK", "online": true, "address": "10.1.2.3"}\r\n'
             b'a line\r\n{"event": "heap", "live": 5, "free": 7, "peak": 9, "counters": {"port": '
             b'{"sent": 1, "received": 2}, "vl1": {"x": 3}}}\r\n\x1b[2Jnot cleared\r\n')
    with listen(os.ttyname(slave)) as link:
        threading.Thread(target=os.write, args=(master, lines)).start()
        watch = monitor.SerialWatch(link, 30)
        seen = [line for _ in range(4) for line in watch.look()]
    assert seen[1] == "a line" and seen[3] == "?[2Jnot cleared"
    assert watch.status["network"] == {"status": "OK", "address": "10.1.2.3"}
    assert watch.status["heap"] == {"used": 5, "free": 7} and watch.status["drops"] == {"x": 3}
    assert watch.status["datagrams"] == {"sent": 1, "received": 2}
    os.close(master)
    os.close(slave)


def test_who_watches_a_silent_board_is_told_and_goes_on():
    master, slave = os.openpty()
    tty.setraw(slave)
    told = []

    def silent():
        told.append("silent")
        os.write(master, b"after all\r\n")

    with listen(os.ttyname(slave)) as link:
        watch = monitor.SerialWatch(link, 0.05, silent)
        assert watch.look() == ["after all"] and told == ["silent"]
    with listen(os.ttyname(slave)) as link:
        pytest.raises(StopIteration, monitor.SerialWatch(link, 0.05).look)
    os.close(master)
    os.close(slave)


_json = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                     lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                         st.sampled_from(["event", "counters", "port", "vl1", "x"]), inner))


@given(st.dictionaries(st.sampled_from(["event", "status", "counters", "live", "free", "online"]),
                       _json | st.sampled_from(["heap", "network"])))
def test_any_line_from_a_board_is_shown(facts):
    class Link:
        def lines(self, timeout_s, on_silence):
            return iter([json.dumps(facts), "\x1b\x00" + repr(facts)])

    watch = monitor.SerialWatch(Link(), 1)
    watch.look()
    assert "\x1b" not in watch.look()[0]
