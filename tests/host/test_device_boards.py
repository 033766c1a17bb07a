"""`filament boards`: what is supported, what is plugged in, what runs there."""

import json
from types import SimpleNamespace

from host_tools.boards import facts
from host_tools.device import commands_flash, link, ports
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
    assert found.board == "unix" and found.firmware.startswith("micropython 1.")
    assert commands_flash._answer(found)["running"]["address"] == "89e92ceee5"


def test_the_command_looks_at_ports_that_are_named_all_at_once(tmp_path):
    with ReplBoard(tmp_path) as board, silent_port() as (silent, sent):
        done = filament("boards", board.port, silent, "/dev/ttyUSB77", "--probe", "--json")
        assert 0 < len(sent()) <= 4         # Ctrl-C and Ctrl-A, a line's end before each
        probed = board.port
        board.stop()        # the unix port ends with the soft reset that starts a board anew
        board.start()
        shown = filament("boards", board.port, silent, "/dev/ttyUSB77", "--probe")
    told = {port["device"]: port for port in json.loads(done.stdout)["ports"]}
    assert told[probed]["running"]["board"] == "unix"
    assert told[silent]["running"] is None and "nothing answers" in told[silent]["trouble"]
    assert "there is no such port" in told["/dev/ttyUSB77"]["trouble"]
    assert "micropython 1." in shown.stdout and "nothing answers" in shown.stdout
    assert "there is no such port" in shown.stdout and "plug the board in" not in shown.stdout
    assert "Supported" not in shown.stdout and "\x1b" not in shown.stdout


def test_without_a_port_nothing_is_sent_anywhere():
    done = filament("boards", "--json")
    told = json.loads(done.stdout)
    assert {board["board"] for board in told["supported"]} == KNOWN.keys()
    assert all("running" not in port for port in told["ports"])
    shown = filament("boards")
    for board in KNOWN.values():
        assert board.firmware is None or f"{board.firmware}-20251209-v1.27.0." in shown.stdout
