"""Images of modules that lie in flash, and the UF2 files that carry them."""

import binascii
import dataclasses
import os
import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rp2040py.device.load_flash import decode_block

from host_tools.boards import __main__ as boards
from host_tools.boards import c_call, facts, firmware, images, in_place, listings, mpy, uf2
from host_tools.unix_port import ROOT

AT = 0x100D8000
PICO_W = facts.load()["rp2_pico_w"]
ESP32 = facts.load()["esp32"]
FIRMWARE = firmware.load("rp2_pico_w")


def parts(texts, board=PICO_W):
    return images.parts(texts, lambda name: name.replace(".", "/") + ".mpy", board)


WHOLE = images.image(parts({"m": "x = 1\n"}, ESP32), ESP32)


def key(path):
    return binascii.crc32(b"/" + path.encode()) & 0x3FFFFFFF


def read(image, at):
    """{key: content, b"" for a directory} of an image for an address."""
    magic, size, crc, _, made_for, _, index, entries = struct.unpack_from("<8s7I", image)
    assert made_for == at
    assert magic == in_place.MAGIC and size == len(image) and crc == binascii.crc32(image[16:])
    rows = [struct.unpack_from("<3I", image, index - at + 12 * i) for i in range(entries)]
    assert [row[0] for row in rows] == sorted({row[0] for row in rows})
    return {key: image[start - at:][:size] if size else b"" for key, start, size in rows}


class Memory:
    """What a board with an image would see, followed by the addresses in it."""

    def __init__(self, image, at, known, code=None):
        self._image, self._at, self._known = image, at, known
        self.files = read(image, at)
        pool, = struct.unpack_from("<I", image, 56)
        before, first, places, count, hashes, lengths = self.words(pool, 6)
        assert first > len(known.names) and places == 10
        assert self.words(before, 4) == (known.pool, len(known.names), 10, 2)
        self._first = first
        self.names = []
        for n in range(count):
            length = self.bytes(lengths, count)[n]
            self.names.append(self.bytes(self.words(pool + 24, count)[n], length).decode())
        size = known.bytes_in_hash
        table = self.bytes(hashes, size * count)
        assert [int.from_bytes(table[size * n:][:size], "little") for n in range(count)] == [
            known.hash(name) for name in self.names]
        self._types = {address: name for name, address in known.types.items()}

    def bytes(self, address, size):
        assert 0 <= address - self._at <= len(self._image) - size
        return self._image[address - self._at:][:size]

    def words(self, address, count):
        assert address % 4 == 0
        return struct.unpack(f"<{count}I", self.bytes(address, 4 * count))

    def name(self, word):
        assert word & 7 == 2
        number = word >> 3
        return self._known.names[number] if number < self._first else \
            self.names[number - self._first]

    def module(self, path):
        """(globals, {name: word}; functions LIVE and OFFER, or 0) of a module."""
        content = mpy.parse(self.files[key(path)])
        record = _operand(content)
        _, context, live, offer = self.words(record, 4)
        kind, globals_, _, _ = self.words(context, 4)
        assert self._types[kind] == "module"
        return self.table(globals_), live, offer

    def table(self, address):
        """A dict of names, each looked for as the firmware does."""
        kind, flags, places, table = self.words(address, 4)
        assert self._types[kind] == "dict" and flags & 7 == 3       # fixed, of names, hashed
        pairs = self.words(table, 2 * places)
        found = {}
        for at in range(places):
            if pairs[2 * at]:
                name = self.name(pairs[2 * at])
                found[name] = pairs[2 * at + 1]
                start = self._known.hash(name) % places
                assert all(pairs[2 * (n % places)] for n in range(
                    start, at + 1 if at >= start else at + places + 1))
        assert flags >> 3 == len(found) < places
        return found

    def kind(self, address):
        return self._types[self.words(address, 1)[0]]


def _operand(module):
    """The small number in a skeleton's code, five bytes after its opcode."""
    at = module.code.data.index(0x22) + 1
    value = 0
    while True:
        byte = module.code.data[at]
        value, at = value << 7 | byte & 0x7F, at + 1
        if byte < 0x80:
            return value


TEXT = """
import time, micropython
from errno import EIO as failed
A, B = 5, (b"bytes", "a text that is no name", "append")
LARGE = -(1 << 70)
BUFFER = bytearray(4)
def f(x, y=A, *, z=B): return lambda: x + y
def g(): yield A
@micropython.viper
def v(x: int) -> int: return x
class Base:
    kind = A
    def __init__(self): pass
    @property
    def twice(self): return 2
    @staticmethod
    def new(): return Base()
class Derived(Base):
    pass
class Failed(OSError): pass
"""


def test_everything_that_a_module_makes_lies_there_as_the_firmware_has_it():
    memory = Memory(images.image(parts({"m": TEXT}), PICO_W), AT, FIRMWARE)
    found, live, offer = memory.module("m.mpy")
    assert live and not offer                       # what makes BUFFER
    assert "BUFFER" not in found
    assert found["time"] == FIRMWARE.module_objects["time"]
    assert found["failed"] == FIRMWARE.modules["errno"]["EIO"]
    assert found["A"] == 5 << 1 | 1 and memory.name(found["__name__"]) == "m"
    assert memory.kind(found["B"]) == "tuple"
    _, count, data, text, name = memory.words(found["B"], 5)
    assert (count, memory.name(name)) == (3, "append")
    assert [memory.bytes(memory.words(each, 4)[3], memory.words(each, 4)[2])
            for each in (data, text)] == [b"bytes", b"a text that is no name"]
    _, flags, digits, at = memory.words(found["LARGE"], 4)
    assert memory.kind(found["LARGE"]) == "int" and flags & 3 == 3      # negative, lies elsewhere
    assert int.from_bytes(memory.bytes(at, 2 * digits), "little") == 1 << 70
    assert [memory.kind(found[name]) for name in ("f", "g", "v")] == [
        "fun_bc", "gen_wrap", "fun_viper"]
    *_, default, keywords = memory.words(found["f"], 6)
    assert default == found["A"] and memory.table(keywords) == {"z": found["B"]}
    _, context, _, _ = memory.words(found["g"], 4)
    assert context == memory.words(found["f"], 2)[1]


def test_classes_are_as_the_firmware_makes_them():
    memory = Memory(images.image(parts({"m": TEXT}), PICO_W), AT, FIRMWARE)
    found, _, _ = memory.module("m.mpy")
    base, derived, failed = (memory.words(found[name], 16)
                             for name in ("Base", "Derived", "Failed"))
    plain, _, _ = FIRMWARE.class_.examples["plain"]
    assert base[1] & 0xFFFF == plain | firmware.IS_SUBCLASSED | firmware.SPECIAL_ACCESSORS
    assert derived[1] & 0xFFFF == plain | firmware.SPECIAL_ACCESSORS
    assert failed[1] & 0xFFFF == plain
    assert memory.name(base[1] >> 16 << 3 | 2) == "Base"
    assert derived[15] == found["Base"] and failed[15] == FIRMWARE.modules["builtins"]["OSError"]
    members = memory.table(base[14])
    assert members["kind"] == found["A"]
    assert [memory.kind(members[name]) for name in ("__init__", "twice", "new")] == [
        "fun_bc", "property", "staticmethod"]
    assert memory.name(members["__qualname__"]) == "Base"


def test_names_are_those_that_the_firmware_lacks():
    memory = Memory(images.image(parts({"m": TEXT}), PICO_W), AT, FIRMWARE)
    assert memory.names == sorted(memory.names) and "Derived" in memory.names
    assert not set(memory.names) & set(FIRMWARE.names)


def test_modules_of_a_package_keep_a_dictionary_to_be_put_into():
    memory = Memory(images.image(images.parts(
        {"a": "X = 1\n", "a.b": "from a import X\n"},
        {"a": "a/__init__.mpy", "a.b": "a/b.mpy", in_place.FILES: "files.mpy"}.get, PICO_W),
        PICO_W), AT, FIRMWARE)
    assert {each for each, content in memory.files.items() if not content} == {key("a")}
    assert memory.module("a/__init__.mpy")[2] and not memory.module("a/b.mpy")[2]
    assert memory.module("a/b.mpy")[0]["X"] == 1 << 1 | 1


VIPER = """
import micropython
@micropython.viper
def total(buf: ptr8, n: int) -> int:
    return buf[n]
@micropython.native
def natively(x):
    return x
def plainly(x): return x
"""


def test_machine_code_has_its_address_on_the_bus_for_instructions():
    made = parts({"m": VIPER}, ESP32)
    [part] = [part for part in made if part.frozen.name == "m"]
    viper, native, plain = mpy.parse(part.content).code.children
    data, code = ESP32.flash_map
    known = firmware.load("esp32")
    image = in_place.image(made, known, data, code)
    memory = Memory(image, data, known)
    found, _, _ = memory.module("m.mpy")

    def words(name):
        return memory.words(found[name], 4)

    assert words("total")[3] == code + image.index(viper.data)
    assert words("plainly")[3] == data + image.index(plain.data)
    assert words("natively")[3] == code + image.index(native.data)
    # the prelude of a native function is data, and read as such
    assert words("natively")[2] == data + image.index(native.data) + native.prelude


def test_an_image_is_for_one_board_and_its_places_only():
    image = images.image(parts({"m": VIPER}, ESP32), ESP32)
    images.check(image, ESP32)
    elsewhere = in_place.image(parts({"m": VIPER}, ESP32), firmware.load("esp32"), AT)
    other = in_place.image(parts({"m": VIPER}, ESP32), FIRMWARE, *ESP32.flash_map)
    for wrong, complaint in (
            (image[:-1], "damaged or cut off"), (image[:20], "none, or cut off"),
            (b"", "none, or cut off"), (image[:90] + b"\x55" + image[91:], "damaged"),
            (image + bytes(0x50000), "larger than the flash"),
            (elsewhere, "for another board"), (other, "for another board"),
            (in_place.image(parts({"m": VIPER}), firmware.load("esp32"), *ESP32.flash_map),
             "for another board")):
        with pytest.raises(ValueError, match=complaint):
            images.check(wrong, ESP32)


@given(st.binary(max_size=200), st.integers(0, 60), st.booleans())
def test_whatever_the_bytes_are_an_image_is_whole_or_a_value_error(noise, at, summed):
    content = bytearray(WHOLE)
    content[at:at + len(noise)] = noise
    if summed:
        content[12:16] = struct.pack("<I", binascii.crc32(content[16:]))
    try:
        images.check(bytes(content), ESP32)
    except ValueError:
        assert bytes(content) != WHOLE
    else:
        assert summed or bytes(content) == WHOLE


def test_files_of_two_architectures_are_refused():
    text = "import micropython\n@micropython.viper\ndef f(x: int) -> int: return x\n"
    with pytest.raises(ValueError, match="several architectures"):
        images.image(parts({"m": text}) + parts({"n": text}, ESP32), PICO_W)
    with pytest.raises(ValueError, match="no .mpy file"):
        images.image([part._replace(content=b"text") for part in parts({"m": text})], PICO_W)


@given(st.binary(min_size=1, max_size=10000), st.integers(0, 500))
def test_a_uf2_file_is_what_another_program_reads(content, sector):
    address = 0x10000000 + sector * 4096
    file = uf2.encode(content, address)
    blocks = [decode_block(file[at:at + 512]) for at in range(0, len(file), 512)]
    assert [block.flash_address for block in blocks] == [
        address + 256 * i for i in range(len(blocks))]
    written = b"".join(block.payload for block in blocks)
    assert written.startswith(content) and len(written) % 4096 == 0
    assert not written[len(content):].strip(b"\xff")
    numbers = [struct.unpack_from("<2I", file, at + 20) for at in range(0, len(file), 512)]
    assert numbers == [(i, len(blocks)) for i in range(len(blocks))]


def test_a_uf2_file_begins_with_a_sector():
    with pytest.raises(ValueError, match="0x10000100 is not the start of a sector"):
        uf2.encode(b"x", 0x10000100)


def test_the_boards_image_fits_and_has_every_module(tmp_path):
    facts_of = boards.build([PICO_W], listings.USUAL, tmp_path)
    assert facts_of["architectures"]["armv6m"]["boards"] == ["rp2_pico_w"]
    directory = tmp_path / "armv6m" / "rp2_pico_w"
    assert {path.name for path in (directory / "fs").iterdir()} == {
        "boot.py", "main.py", "rom.mpy", "board.py", "facts.py"}
    file = (directory / "filament.uf2").read_bytes()
    blocks = [decode_block(file[at:at + 512]) for at in range(0, len(file), 512)]
    start, end = PICO_W.flash_free
    assert blocks[0].flash_address == start and blocks[-1].flash_address < end
    image = b"".join(block.payload for block in blocks)
    found = read(image[:struct.unpack_from("<I", image, 8)[0]], start)
    for path in ("lib/mpcore/nic.mpy", "lib/mpcore/dns/mdns.mpy", "start_bulb.mpy", "sse.mpy"):
        assert found[key(path)]
    assert hex(start) in (directory / "fs" / "boot.py").read_text()


def test_an_image_is_the_same_wherever_it_is_made():
    """Else it would be sent again by whoever else updates a board."""
    made = [subprocess.run(
        [sys.executable, "-c", "from host_tools.boards import facts, images, listings\n"
         "board = facts.load()['rp2_pico_w']\n"
         "print(images.pieces(board, listings.USUAL)[images.CRC])"],
        env=os.environ | {"PYTHONHASHSEED": seed}, cwd=ROOT, capture_output=True, text=True)
        .stdout for seed in ("1", "2")]
    assert made[0] == made[1] and len(made[0]) == len("b'12345678'\n")


def test_an_esp32_gets_the_bytes_and_what_makes_its_firmware_show_them(tmp_path):
    boards.build([ESP32], listings.USUAL, tmp_path)
    directory = tmp_path / "xtensawin" / "esp32"
    content = (directory / "filament.bin").read_bytes()
    images.check(content, ESP32)
    found = read(content, ESP32.flash_map.data)
    for path in ("lib/mpcore/nic.mpy", "lib/mpcore/dns/mdns.mpy", "start_bulb.mpy", "sse.mpy"):
        assert found[key(path)]
    files = {path.name: path.read_bytes() for path in (directory / "fs").iterdir()}
    assert files.keys() == {"boot.py", "main.py", "rom.mpy", "firmware_calls.mpy",
                            "c_call.mpy", "board.py", "facts.py"}
    assert files["c_call.mpy"] == c_call.content("xtensawin")
    boot = files["boot.py"].decode()
    assert [boot.index(each) for each in ("calls.check", "calls.show", "rom.mount")] == \
        sorted(boot.index(each) for each in ("calls.check", "calls.show", "rom.mount"))
    assert ESP32.firmware_calls.build in boot


def test_an_image_that_is_too_large_is_refused():
    small = dataclasses.replace(PICO_W, flash_free=(AT, AT + 4096))
    with pytest.raises(ValueError, match="does not fit into 4096; leave out a set"):
        images.in_flash(small, ("core",))


def test_the_loader_knows_the_image_as_it_is_made():
    text = images.LOADER.read_text()
    assert f" != {in_place.MAGIC!r}:".replace("'", '"') in text
