"""`filament boards`: what is supported, what is plugged in, what runs there."""

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.boards import facts
from host_tools.device import link, ports
from tests.host.repl_board import ReplBoard
from tests.host.test_device_flash import filament, silent_port

KNOWN = facts.load()


def comports(*found):
    """pyserial's list: (device, vendor, product) each."""
    return lambda: [SimpleNamespace(device=device, vid=vid, pid=pid, serial_number="E66",
                                    description=f"on {device}") for device, vid, pid in found]


def test_ports_are_told_by_their_numbers_and_boards_come_first():
    found = ports.plugged_in(KNOWN, comports(
        ("/dev/ttyACM0", 0x1234, 0x5678), ("/dev/ttyACM1", 0x2E8A, 0x0005),
        ("/dev/ttyACM2", 0x303A, 0x1001), ("/dev/ttyACM3", 0x303A, 0x4001),
        ("/dev/ttyS0", None, None), ("/dev/ttyUSB0", 0x10C4, 0xEA60)))
    assert [(port.device, port.mode) for port in found] == [
        ("/dev/ttyACM1", "MicroPython"), ("/dev/ttyACM2", "either"),
        ("/dev/ttyACM3", "MicroPython"), ("/dev/ttyUSB0", "adapter"),
        ("/dev/ttyACM0", None), ("/dev/ttyS0", None)]
    may_be = {port.device: set(port.boards) for port in found}
    assert may_be["/dev/ttyACM1"] == {"rp2_pico_w", "rp2_pico2_w"}
    assert may_be["/dev/ttyACM2"] == {"esp32c3", "esp32c6", "esp32s3"}
    assert may_be["/dev/ttyACM3"] == {"esp32s2", "esp32s3"}
    assert may_be["/dev/ttyUSB0"] == {board.board for board in KNOWN.values()
                                      if board.esptool_chip}
    assert found[3].description == "CP210x"


def test_what_runs_is_told_and_started_anew(tmp_path):
    with ReplBoard(tmp_path) as board:
        with link.open_link(board.port) as line:
            line.write("/identity.secret", b"89e92ceee5:0:public:secret")
        found = ports.look(board.port)
        assert found.name == "micropython" and found.version.startswith("1.")
        assert found.heap > 100_000 and found.address == "89e92ceee5"


def test_the_command_looks_at_ports_that_are_named_all_at_once(tmp_path):
    with ReplBoard(tmp_path) as board, silent_port() as (silent, sent):
        done = filament("boards", board.port, silent, "/dev/ttyUSB77", "--probe", "--json")
        assert 0 < len(sent()) <= 4         # Ctrl-C and Ctrl-A, a line's end before each
        probed = board.port
        board.stop()        # the unix port ends with the soft reset that starts a board anew
        board.start()
        shown = filament("boards", board.port, silent, "/dev/ttyUSB77", "--probe")
    told = {port["device"]: port for port in json.loads(done.stdout)["ports"]}
    assert told[probed]["running"]["name"] == "micropython"
    assert told[silent]["running"] is None and "nothing answers" in told[silent]["trouble"]
    assert "there is no such port" in told["/dev/ttyUSB77"]["trouble"]
    assert "micropython 1." in shown.stdout and "nothing answers" in shown.stdout
    assert "Supported" not in shown.stdout and "\x1b" not in shown.stdout


def test_without_a_port_nothing_is_sent_anywhere():
    done = filament("boards", "--json")
    told = json.loads(done.stdout)
    assert {board["board"] for board in told["supported"]} == KNOWN.keys()
    assert all("running" not in port for port in told["ports"])
    shown = filament("boards")
    for board in KNOWN.values():
        assert board.firmware is None or f"{board.firmware}-20251209-v1.27.0." in shown.stdout


_ANSWER = ["micropython", "1.27.0", "a board", 1000, None]


@pytest.mark.parametrize("answer, address", [
    (_ANSWER, None), ([*_ANSWER[:4], "0123456789"], "0123456789"),
    ([*_ANSWER[:4], "not an address"], None)])
def test_what_a_board_says_of_itself(answer, address):
    assert ports._running(answer) == (*answer[:4], address)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=8)
       | st.tuples(st.integers(0, 4), st.integers() | st.text()).map(
           lambda change: [*_ANSWER[:change[0]], change[1], *_ANSWER[change[0] + 1:]]))
def test_whatever_a_board_says_it_is_of_the_right_kinds_or_nothing(said):
    found = ports._running(said)
    if found is not None:
        assert all(isinstance(text, str) for text in found[:3]) and type(found.heap) is int
