"""What a board says of itself, and what that means for who wants Filament on it."""

import json
import re
from dataclasses import replace

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from host_tools.boards import compiling, facts, firmware, in_place, mpy
from host_tools.cli import main
from host_tools.device import deploy, doctor, line, probe, tree
from host_tools.device.link import LinkError, open_link
from tests.host import not_a_board
from tests.host.repl_board import ReplBoard

BOARDS = facts.load()
PICO = probe.Probe(
    "micropython", (1, 27, 0), "rp2", machine="Raspberry Pi Pico W with RP2040",
    build="RPI_PICO_W", mpy=4870, heap=(197000, 205568), largest=184640, flash=(860160, 868352),
    wifi={"connected": False}, entropy=("00d8b3791fda6206", "8c50cb70a75aa4ec"),
    frequency=125_000_000, unique="e66138528361bb32", late=(24, 24, 24, 24, 24, 24, 24, 27),
    span=firmware.load("rp2_pico_w").span.crc32)
ESP32 = replace(
    PICO, platform="esp32", machine="Generic ESP32 module with ESP32", build="ESP32_GENERIC",
    mpy=0x2B06, heap=(164000, 166000), largest=110592, flash=(2_000_000, 2_097_152),
    frequency=160_000_000, late=(2000, 4000, 6000, 7000, 8000, 8000, 9000, 9900))
IMAGE = in_place.MAGIC.hex()
CIRCUIT = b'{"name": "circuitpython", "version": [9, 2, 1], "platform": "RP2040"}\r\n'


def said(probe_, topic):
    """(level, text and mend) of what the doctor says about a topic."""
    [finding] = [each for each in doctor.judge(probe_, BOARDS.get(probe_.board))
                 if each.topic == topic]
    return finding.level, f"{finding.text} -> {finding.mend}"


# What is told is understood

def test_the_board_at_a_prompt_is_examined(tmp_path):
    with ReplBoard(tmp_path) as board, open_link(board.port) as link:
        link.write("/identity.secret", b"0123456789:0:aa:bb")
        link.write("/node.secret.json", b'{"network": "8056c2e21c000001", "key": "topsecret"}')
        found, findings = doctor.examine(link)
        text = json.dumps(doctor.report(found, findings))
        assert link.run("print('F' in globals(), 'heap' in globals())") == "False False\n"
    assert (found.board, found.architecture, found.mpy_version) == ("unix", "x64", (6, 3))
    assert found.identity == "0123456789:0:aa" and found.node["key"] is True
    assert "topsecret" not in text and ":bb" not in text
    assert found.largest <= found.heap[0] <= found.heap[1]
    assert found.flash[0] < found.flash[1] == 256 * 4096
    assert len(found.late) == 8 and doctor.fit(findings)


def test_boards_are_told_by_their_build_and_else_by_their_chip():
    for name, board in BOARDS.items():
        if board.platform != "linux":
            number = mpy.ARCHITECTURES.index(board.mpy_arch) << 10 | 0x306
            built = replace(PICO, platform=board.platform, mpy=number, machine="",
                            build=board.firmware + "-VARIANT")
            other = replace(built, build="MY_OWN", machine=f"Mine with {board.chip}")
            assert built.board == other.board == name
            assert replace(built, mpy=0x706).board != name      # its code would not run
    assert replace(ESP32, build="TINY", machine="TinyPICO with ESP32-PICO-D4").board == "esp32"
    assert replace(PICO, build="", machine="Fruit with RP9999").board is None


@given(st.text())
def test_any_text_is_a_probe_or_refused(text):
    try:
        assert isinstance(probe.parse(text), probe.Probe)
    except ValueError:
        pass


_ANY = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6)


@given(st.dictionaries(st.sampled_from(["name", "version", "platform", "heap", "flash", "wifi",
                                        "late", "entropy", "mpy", "node", "there", "frequency",
                                        "romfs", "slots", "image", "identity", "word",
                                        "application"]), _ANY))
def test_whatever_is_told_can_be_judged_or_is_refused(facts_):
    try:
        found = probe.parse(json.dumps(facts_))
    except ValueError:
        return
    findings = doctor.judge(found, BOARDS.get(found.board))
    assert findings and json.dumps(doctor.report(found, findings))


# What it means

def test_a_pico_w_is_fit_with_the_image_in_its_flash():
    other = replace(PICO, span=1)       # with another firmware there is no image
    assert said(other, "heap")[0] == doctor.UNFIT
    assert "needs 240 KB -> take a board with PSRAM and its firmware, or" in said(other, "heap")[1]
    level, text = said(PICO, "heap")
    assert level == doctor.GOOD and "from its flash, where `filament deploy` puts it" in text
    assert doctor.fit(doctor.judge(PICO, BOARDS["rp2_pico_w"]))
    assert said(replace(PICO, flash=(200_000, 868_352)), "files")[0] == doctor.UNFIT
    findings = doctor.judge(replace(PICO, image=IMAGE), BOARDS["rp2_pico_w"])
    assert doctor.fit(findings)
    assert not [each.topic for each in findings if each.level == doctor.SLOW]


@pytest.mark.parametrize("place, needed", [
    ({"image": IMAGE}, doctor.HEAP_IN_PLACE), ({}, doctor.HEAP_IN_PLACE),
    ({"romfs": (1 << 20,), "span": None}, doctor.HEAP_ROMFS)])
def test_code_that_runs_in_place_needs_some_heap_too(place, needed):
    board = replace(PICO, heap=(needed - 4000, needed), **place)
    assert said(board, "heap")[0] == doctor.GOOD
    level, text = said(replace(board, heap=(needed - 4000, needed - 1)), "heap")
    assert level == doctor.UNFIT and f"a node needs {needed / 1000:.0f} KB" in text
    assert said(replace(board, heap=(needed, 2 * needed - 1), word=64), "heap")[0] == doctor.UNFIT


def test_an_image_needs_less_heap_than_a_romfs_and_that_less_than_files():
    # On a Pico W 50,000 bytes are in use with five further members (README, Figures), and a
    # session takes 14,300; an ESP32 that has joined Wi-Fi has some left.
    assert 50_000 + 14_300 < doctor.HEAP_IN_PLACE < doctor.HEAP_ROMFS < doctor.HEAP_MPY
    assert doctor.HEAP_IN_PLACE < BOARDS["esp32"].heap_connected * 0.7


def test_a_heap_may_be_just_enough():
    small = replace(PICO, heap=(250_000, 260_000), span=None)
    level, text = said(small, "heap")
    assert level == doctor.SLOW and "may be too many" in text


def test_an_esp32_without_psram_needs_its_code_elsewhere():
    level, text = said(ESP32, "heap")
    assert level == doctor.UNFIT
    assert "166 KB of heap, 164 KB of it free now" in text
    assert "148 KB in all once Wi-Fi is connected" in text
    assert not doctor.fit(doctor.judge(ESP32, BOARDS["esp32"]))
    assert "with PSRAM" in said(ESP32, "heap")[1]
    assert said(replace(ESP32, romfs=(1 << 20,)), "heap")[0] == doctor.GOOD
    stock = replace(ESP32, application=BOARDS["esp32"].firmware_calls.build)
    level, text = said(stock, "heap")
    assert level == doctor.GOOD and "where `filament deploy` puts it" in text
    assert said(replace(stock, image=IMAGE), "heap")[0] == doctor.GOOD
    level, text = said(replace(ESP32, image=IMAGE), "heap")
    assert level == doctor.UNFIT and "a firmware that it is not for -> flash both anew" in text
    large = replace(ESP32, platform="esp32", build="ESP32_GENERIC_S3", mpy=0x2B06,
                    heap=(8_000_000, 8_100_000))
    assert said(large, "heap")[0] == doctor.GOOD


def test_the_room_that_is_asked_for_is_what_deploy_takes():
    for board in BOARDS["rp2_pico_w"], BOARDS["esp32"]:
        files = tree.tree(board, image=tree.build(board)) | tree.pieces(board)
        needed = deploy.room(files | tree.top(board, in_flash=True))
        assert 0.85 * doctor.FILES_IMAGE < needed < doctor.FILES_IMAGE
    assert 0.9 * doctor.FILES < deploy.room(tree.tree(BOARDS["esp32"])) < doctor.FILES


@pytest.mark.parametrize("board", [board for board in BOARDS.values()
                                   if board.platform == "esp32"], ids=lambda board: board.board)
def test_the_memory_that_is_asked_for_is_what_machine_code_takes(board):
    total = sum(map(mpy.native_size, compiling.compiled(board.mpy_arch, "esp32").values()))
    assert 0.85 * doctor.MACHINE_CODE < total < doctor.MACHINE_CODE


def test_machine_code_may_have_too_little_memory():
    level, text = said(replace(ESP32, executable=111_000), "ciphers")
    assert level == doctor.GOOD and "111 KB" in text
    level, text = said(replace(ESP32, executable=10_400), "ciphers")
    assert level == doctor.SLOW and "what finds no room runs as bytecode" in text
    assert doctor.fit([finding for finding in doctor.judge(replace(ESP32, executable=0), None)
                       if finding.topic == "ciphers"])
    for other in PICO, replace(ESP32, executable=0, image=IMAGE):       # it is elsewhere
        assert "ciphers" not in [each.topic for each in doctor.judge(other, None)]


def test_what_is_slow_and_how_to_mend_it():
    level, text = said(ESP32, "waits")
    assert level == doctor.SLOW and "8.0 ms late, at most 9.9" in text
    assert said(PICO, "waits")[0] == doctor.GOOD
    assert said(ESP32, "clock")[0] == doctor.SLOW and "machine.freq(240000000)" in said(
        ESP32, "clock")[1]
    assert said(replace(ESP32, frequency=240_000_000), "clock")[0] == doctor.GOOD
    asleep = replace(ESP32, wifi={"connected": True, "address": "10.0.0.2", "power_save": True})
    assert said(asleep, "network")[0] == doctor.SLOW and "PM_NONE" in said(asleep, "network")[1]


@pytest.mark.parametrize("topic, change, complaint", [
    ("firmware", {"name": "circuitpython"}, "not MicroPython -> .*filament flash"),
    ("firmware", {"version": (1, 19, 1)}, "too old -> .*filament flash"),
    ("code", {"mpy": 0x1206}, "version 6.2, and they are compiled as 6.3 -> .*filament flash"),
    ("code", {"mpy": 0}, "loads no .mpy files -> "),
    ("code", {"mpy": 0x306}, "no machine code, which the ciphers need -> "),
    ("files", {"flash": (100_000, 868352)}, "265 KB are needed -> remove files"),
    ("files", {"flash": (300_000, 868352), "span": 1}, "645 KB are needed -> remove files"),
    ("files", {"flash": None}, "no file system -> "),
    ("network", {"wifi": None}, "no Wi-Fi -> take a board with Wi-Fi"),
    ("randomness", {"entropy": ("00", "00")}, "the same twice"),
    ("randomness", {"entropy": ()}, "or nothing"),
])
def test_what_stands_in_the_way(topic, change, complaint):
    level, text = said(replace(PICO, **change), topic)
    assert level == doctor.UNFIT
    assert re.search(complaint, text), text


def test_what_of_filament_is_there():
    assert "`filament provision`, then `filament deploy`" in said(PICO, "filament")[1]
    half = replace(PICO, identity="0123456789:0:aa", node={"network": "8056c2e21c000001"})
    assert "0123456789" in said(half, "filament")[1] and "`filament deploy`" in said(
        half, "filament")[1]
    assert said(replace(half, there=("a",)), "filament")[1].endswith("-> ")


# The command

def test_the_command_says_it_to_people_and_to_scripts(tmp_path):
    with ReplBoard(tmp_path) as board:
        told = CliRunner().invoke(main, ["doctor", board.port])
        listed = CliRunner().invoke(main, ["doctor", board.port, "--json"])
    assert told.exit_code == listed.exit_code == 0
    assert "good  board      treated as unix\n" in told.output and "\x1b" not in told.output
    report = json.loads(listed.output)
    assert report["fit"] and report["architecture"] == "x64"


def test_other_firmware_is_named_and_not_fit(monkeypatch):
    with not_a_board.prompting(CIRCUIT) as port:
        told = CliRunner().invoke(main, ["doctor", port.port])
        with open_link(port.port) as link, pytest.raises(
                LinkError, match="runs circuitpython 9.2.1, and Filament needs MicroPython"):
            probe.board(link)
    assert told.exit_code == 1
    assert "it runs circuitpython 9.2.1, not MicroPython" in told.output


def test_a_board_whose_answer_makes_no_sense():
    with not_a_board.prompting(b"[1, 2]\r\n") as port, open_link(port.port) as link:
        with pytest.raises(LinkError, match="what the board says of itself makes no sense"):
            probe.read(link)
    with not_a_board.prompting(b"", b"Traceback:\r\nSyntaxError: no\r\n") as port:
        with pytest.raises(LinkError, match="an error on the board: SyntaxError: no"):
            open_link(port.port)


def test_what_a_board_says_is_not_obeyed_by_the_terminal(monkeypatch):
    text = CIRCUIT.replace(b"circuitpython", b"\\u001b[2J")
    with not_a_board.prompting(text) as port:
        assert "\x1b" not in CliRunner().invoke(main, ["doctor", port.port]).output


def test_errors_are_a_sentence_and_exit_code_1(monkeypatch):
    monkeypatch.setattr(line.list_ports, "comports", lambda: [])
    told = CliRunner().invoke(main, ["doctor", "/dev/ttyNONE"])
    assert told.exit_code == 1 and "there is no such port" in told.output
