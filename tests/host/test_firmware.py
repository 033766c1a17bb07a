"""boards/*/firmware.json against the firmware that they are of, and the reader of such files."""

import dataclasses
import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.boards import facts, firmware, firmware_file, uf2
from host_tools.device import esp_image
from tests.host import stock_firmware as stock

FACTS = facts.load()
BOARDS = "rp2_pico_w", "esp32"
PICO_W = FACTS["rp2_pico_w"]
FUNCTIONS = {"fun_bc", "fun_native", "fun_viper"}
GENERATORS = {"gen_wrap", "native_gen_wrap"}


def pieces(board):
    """[(address, bytes), …] of a board's firmware."""
    content = stock.of(board)
    if FACTS[board].uf2_family is None:
        return esp_image.segments(content, FACTS[board])
    return [(uf2.decode(content)[0].address, uf2.memory(content))]


class Flash:
    """A board's firmware by its addresses."""

    def __init__(self, board):
        self._pieces = pieces(board)

    def data(self, address, size):
        [found] = [data[address - start:][:size] for start, data in self._pieces
                   if start <= address <= start + len(data) - size]
        return found


@pytest.mark.parametrize("board", BOARDS)
def test_the_file_of_a_board_has_what_is_in_its_firmware(board):
    kept = firmware.load(board)
    read = firmware_file.read(stock.of(board), FACTS[board])
    live = {"last_pool": kept.last_pool, "class_": kept.class_, "types": read.types | {
        name: kept.types[name] for name in firmware_file.LIVE_TYPES}}
    assert dataclasses.replace(read, **live) == kept
    assert set(kept.types) == set(firmware.TYPES)
    assert firmware.text(kept) == (
        firmware.ROOT / "boards" / board / "firmware.json").read_text()


@pytest.mark.parametrize("board", BOARDS)
def test_names_have_the_numbers_that_mpy_files_rely_on(board):
    kept = firmware.load(board)
    assert kept.names[:5] == ("", "", "__dir__", "\n", " ")
    assert kept.numbers[""] == 1 and kept.names[kept.numbers["append"]] == "append"
    assert kept.numbers["zip"] < 256        # of an opcode with one byte for it
    assert set(kept.modules) >= {
        "builtins", "sys", "micropython", "time", "errno", "machine", "struct", "array", "os",
        "socket", "select", "hashlib", "gc", "binascii", "io", "json", "network", "cryptolib",
        "collections", "uctypes", "random", "vfs"}
    assert kept.modules["micropython"]["const"] and "asyncio" not in kept.modules


@pytest.mark.parametrize("board", BOARDS)
def test_types_say_the_names_that_they_have(board):
    kept, flash = firmware.load(board), Flash(board)
    for name, address in kept.types.items():
        kind, flags, number, slots = struct.unpack("<IHH12s", flash.data(address, 20))
        said = "function" if name in FUNCTIONS else "generator" if name in GENERATORS else name
        assert (kind, kept.names[number]) == (kept.types["type"], said), name
        assert sorted(filter(None, slots)) == list(range(1, max(slots) + 1)), name
        assert (flags == 0x20) == (name in FUNCTIONS | GENERATORS | {"closure"}), name
        if name in FUNCTIONS:
            assert {slot for slot, used in zip(firmware.SLOTS, slots) if used} == (
                {"call"} if name == "fun_viper" else {"call", "print", "attr"})
    for name, word in kept.modules["builtins"].items():
        assert kept.types.get(name, word) == word
    assert kept.types["array"] == kept.modules["array"]["array"]


@pytest.mark.parametrize("board", BOARDS)
def test_modules_point_to_dicts_that_point_to_their_objects(board):
    kept, flash = firmware.load(board), Flash(board)
    start, end = kept.span.address, kept.span.address + kept.span.size
    for name, address in kept.module_objects.items():
        kind, members = struct.unpack("<2I", flash.data(address, 8))
        assert kind == kept.types["module"]
        kind, flags, places, table = struct.unpack("<4I", flash.data(members, 16))
        count = len(kept.modules[name])
        assert (kind, flags, places) == (kept.types["dict"], count << 3 | 7, count)
        words = struct.unpack(f"<{2 * count}I", flash.data(table, 8 * count))
        assert list(zip(words[::2], words[1::2])) == [
            (kept.numbers[key] << 3 | 2, word) for key, word in kept.modules[name].items()]
        assert start <= address < end and start <= table < end
    outside = {f"{name}.{key}" for name, members in kept.modules.items()
               for key, word in members.items() if word % 4 == 0 and not start <= word < end}
    assert outside == {"sys.argv", "sys.modules"}       # these are in memory


@pytest.mark.parametrize("board", BOARDS)
def test_the_state_in_memory_begins_with_the_last_pool(board):
    kept, flash = firmware.load(board), Flash(board)
    # Of __main__ the dict is in the state, behind an emergency's buffer and two exceptions, one of
    # which it is for; and where memory is tracked, a pointer more.
    [globals_] = [struct.unpack("<I", flash.data(word + 4, 4))[0] for word in main_modules(kept)]
    assert globals_ - kept.last_pool in (56, 60)


def main_modules(kept):
    """The addresses of __main__ in the firmware's maps of modules."""
    entry = struct.pack("<I", kept.numbers["__main__"] << 3 | 2)
    module = struct.pack("<I", kept.types["module"])
    for start, data in pieces(kept.board):
        at = data.find(entry)
        while at >= 0:
            word = struct.unpack_from("<I", data, at + 4)[0] if at + 8 <= len(data) else 0
            if (start + at) % 4 == 0 and start <= word < start + len(data) \
                    and data[word - start:][:4] == module:
                yield word
            at = data.find(entry, at + 1)


@pytest.mark.parametrize("board", BOARDS)
def test_classes_can_be_made_as_the_firmware_makes_them(board):
    kept, flash = firmware.load(board), Flash(board)
    for word in kept.class_.code:
        code = flash.data(word & ~1, 2)
        assert word & 1 or code[0] == 0x36      # of an Arm; an Xtensa's instruction `entry`
    for name, (flags, indexes, more) in kept.class_.examples.items():
        protocol = int(more[2], 16) if len(more) > 2 else 0
        parent = 0x1000 if "parent" in more else 0
        words = firmware.class_words(kept, 77, 0x2000, parent, protocol,
                                     flags & (firmware.IS_SUBCLASSED
                                              | firmware.SPECIAL_ACCESSORS))
        known = {"locals": 0x2000, "parent": parent}
        assert words == [kept.types["type"], flags | 77 << 16,
                         *struct.unpack("<3I", bytes(indexes)), *kept.class_.code,
                         *(known.get(each, protocol) for each in more)], name
    flags = {name: flags & 3 for name, (flags, _, _) in kept.class_.examples.items()}
    assert {name for name, found in flags.items() if found == firmware.SPECIAL_ACCESSORS} == {
        "setattr", "delattr", "property", "descriptor", "of_property"}
    assert {name for name, found in flags.items() if found & firmware.IS_SUBCLASSED} == {
        "subclassed"}


@given(st.binary(max_size=40), st.sampled_from((1, 2)))
def test_a_hash_is_never_zero(data, size):
    found = 5381
    for byte in data:
        found = found * 33 ^ byte
    assert firmware.name_hash(data, size) == (found % 256 ** size or 1)


def test_names_whose_hashes_or_lengths_are_others_are_no_names():
    kept, [(address, data)] = firmware.load("rp2_pico_w"), pieces("rp2_pico_w")
    hashes, lengths = struct.unpack_from("<2I", data, kept.pool - address + 16)
    for table in hashes, lengths:
        changed = bytearray(data)
        changed[table - address + 7] ^= 4
        with pytest.raises(ValueError, match="is not as its length and hash say"):
            firmware_file.read(uf2.encode(bytes(changed), address), PICO_W)


# --- what is no such file ------------------------------------------------------------------------

def test_other_firmware_and_other_boards_are_refused():
    with pytest.raises(ValueError, match="uf2|UF2"):
        firmware_file.read(stock.of("esp32"), PICO_W)
    with pytest.raises(ValueError, match="byte 0xE9"):
        firmware_file.read(stock.of("rp2_pico_w"), FACTS["esp32"])
    with pytest.raises(ValueError, match="unix has no firmware"):
        firmware_file.read(b"", FACTS["unix"])
    with pytest.raises(ValueError, match="boards/unix/firmware.json is missing"):
        firmware.load("unix")


@given(st.binary(max_size=2048))
def test_any_bytes_are_refused(content):
    for board in BOARDS:
        with pytest.raises(ValueError):
            firmware_file.read(content, FACTS[board])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0), st.integers(0, 0xFFFFFFFF)
                          | st.integers(0, 64).map(lambda n: n << 3 | 7)), min_size=1, max_size=8))
def test_any_words_in_a_firmware_are_read_or_refused(changes):
    span = firmware.load("rp2_pico_w").span
    [(address, data)] = pieces("rp2_pico_w")
    changed = bytearray(data)
    for place, word in changes:
        at = span.address - address + place % (span.size // 4) * 4
        struct.pack_into("<I", changed, at, word)
    try:
        found = firmware_file.read(uf2.encode(bytes(changed), address), PICO_W)
    except ValueError:
        return
    assert found.span.crc32 != span.crc32 or changed == data


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=12)
                    | st.sampled_from(("0x10", "0x10080b30")),
                    lambda inner: st.lists(inner, max_size=4)
                    | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=12)


PARTS = json.loads(firmware.text(firmware.load("esp32")))


@settings(deadline=None)
@given(st.sampled_from(sorted(PARTS)), JSON)
def test_any_part_of_a_json_file_is_read_or_refused(part, value):
    try:
        firmware.parse("esp32", json.dumps(PARTS | {part: value}))
    except ValueError as error:
        assert "boards/esp32/firmware.json" in str(error)


@pytest.mark.parametrize("text", ("", "[]", "{}", "7", "[" * 10000, '{"names": '))
def test_what_is_no_such_json_is_refused(text):
    with pytest.raises(ValueError, match="boards/x/firmware.json"):
        firmware.parse("x", text)


@pytest.mark.parametrize("said", (
    "", "[]", "{}", '{"last_pool": []}',
    '{"last_pool": [4], "classes": {"plain": [1, [], [2]], "two": [1, [], [3]]}}',
    '{"last_pool": [4], "classes": {"plain": [1, [], [2]]}, "types": {"fun_bc": 4, '
    '"fun_native": 4, "fun_viper": 4}}'))
def test_what_a_board_with_another_firmware_says_is_refused(said):
    with pytest.raises(ValueError, match="does it run this firmware?"):
        firmware_file.with_live(firmware.load("esp32"), said)


def test_the_command_keeps_what_is_not_in_the_file(tmp_path, monkeypatch, capsys):
    file = tmp_path / "firmware.bin"
    file.write_bytes(stock.of("esp32"))
    output = tmp_path / "firmware.json"

    def run(board):
        monkeypatch.setattr("sys.argv", ["firmware_file", "--board", board, "--output",
                                         str(output), str(file)])
        return firmware_file.main()

    assert run("esp32") == 0
    assert output.read_text() == firmware.text(firmware.load("esp32"))
    assert "1607 names" in capsys.readouterr().out
    assert run("rp2_pico_w") == 1
    assert capsys.readouterr().err.startswith("firmware: ")
