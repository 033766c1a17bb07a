"""Images of modules that run in place, and the UF2 files that carry them (tests/board runs them)."""

import binascii
import dataclasses
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rp2040py.device.load_flash import decode_block

from host_tools.boards import __main__ as boards
from host_tools.boards import c_call, facts, images, in_place, listings, mpy, uf2

AT = 0x100E0000
PICO_W = facts.load()["rp2_pico_w"]
ESP32 = facts.load()["esp32"]
WHOLE = in_place.image({"m.mpy": mpy.compiled("xtensawin", {"m.py": "x = 1\n"})["m.py"]},
                       *ESP32.flash_map, ESP32.flash_types)


def key(path):
    return binascii.crc32(b"/" + path.encode()) & 0x3FFFFFFF


def read(image, at):
    """{key: content, b"" for a directory} of an image for an address."""
    magic, size, crc, _, index, entries, made_for, _ = struct.unpack_from("<8s7I", image)
    assert made_for == at
    assert magic == in_place.MAGIC and size == len(image) and crc == binascii.crc32(image[16:])
    rows = [struct.unpack_from("<3I", image, index + 12 * i) for i in range(entries)]
    assert [row[0] for row in rows] == sorted({row[0] for row in rows})
    return {key: image[start - at:][:size] if size else b"" for key, start, size in rows}


def test_every_file_is_found_as_a_smaller_one_with_the_same_names_and_constants():
    files = {"lib/a/__init__.mpy": "import a.b\nX = 2.5\n", "lib/a/b.mpy": "Y = b'bytes'\n",
             "c.mpy": "def f(x): return lambda y: x + y\n"}
    contents = mpy.compiled("armv6m", files)
    found = read(in_place.image(contents, AT), AT)
    assert {each for each, content in found.items() if not content} == {key("lib"), key("lib/a")}
    for path, content in contents.items():
        module, skeleton = mpy.parse(content), mpy.parse(found[key(path)])
        assert skeleton.names == module.names + [b"in_place", b"body"]
        assert (skeleton.objects, skeleton.features) == (module.objects, module.features)
        assert len(skeleton.code.children) == 1 and len(skeleton.code.data) < 50


def test_addresses_in_an_image_are_where_it_is_to_be():
    content = mpy.compiled("armv6m", {"m.py": "def f():\n def g(): yield 1\n return g\n"})["m.py"]
    image = in_place.image({"m.mpy": content}, AT)

    code = mpy.parse(content).code.children[0].children[0]
    data = image.index(code.data) + AT
    found = image.index(struct.pack("<HBBII", 0, 2, 1, data, 0))    # a generator, nothing inside
    assert found % 4 == 0
    outer = image.index(mpy.parse(content).code.children[0].data) + AT
    table = image.index(struct.pack("<I", found + AT)) + AT
    assert struct.pack("<HBBII", 0, 2, 0, outer, table) in image


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
    content = mpy.compiled("xtensawin", {"m.py": VIPER})["m.py"]
    viper, native, plain = mpy.parse(content).code.children
    data, code = ESP32.flash_map
    image = in_place.image({"m.mpy": content}, data, code)
    assert read(image, data)[key("m.mpy")]

    def record(kind, function, at):
        return image.index(struct.pack("<HBBI", 0, kind, 0, at + image.index(function.data)))

    assert record(4, viper, code) and record(2, plain, data)
    # the prelude of a native function is data, and read as such
    inner, = struct.unpack_from("<I", image, record(3, native, code) + 8)
    assert inner == data + image.index(native.data) + native.prelude


def test_an_image_is_for_one_board_and_its_places_only():
    content = mpy.compiled("xtensawin", {"m.py": VIPER})["m.py"]
    image = in_place.image({"m.mpy": content}, *ESP32.flash_map, ESP32.flash_types)
    images.check(image, ESP32)
    for wrong, complaint in (
            (image[:-1], "damaged or cut off"), (image[:20], "none, or cut off"),
            (b"", "none, or cut off"), (image[:90] + b"\x55" + image[91:], "damaged"),
            (image + bytes(0x50000), "larger than the flash"),
            (in_place.image({"m.mpy": content}, AT), "for another board"),
            (in_place.image({"m.mpy": mpy.compiled("rv32imc", {"m.py": VIPER})["m.py"]},
                            *ESP32.flash_map, ESP32.flash_types), "for another board")):
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
    contents = {f"{name}.mpy": mpy.compiled(name, {"m.py": text})["m.py"]
                for name in ("armv6m", "armv7emsp")}
    with pytest.raises(ValueError, match="several architectures"):
        in_place.image(contents, AT)
    with pytest.raises(ValueError, match="no .mpy file"):
        in_place.image({"m.mpy": b"text"}, AT)


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
        "boot.py", "main.py", "in_place.py", "board.py", "facts.py"}
    file = (directory / "filament.uf2").read_bytes()
    blocks = [decode_block(file[at:at + 512]) for at in range(0, len(file), 512)]
    start, end = PICO_W.flash_free
    assert blocks[0].flash_address == start and blocks[-1].flash_address < end
    image = b"".join(block.payload for block in blocks)
    found = read(image[:struct.unpack_from("<I", image, 8)[0]], start)
    for path in ("lib/mpcore/nic.mpy", "lib/mpcore/dns/mdns.mpy", "start_bulb.mpy", "sse.mpy"):
        assert found[key(path)]
    assert hex(start) in (directory / "fs" / "boot.py").read_text()


def test_an_esp32_gets_the_bytes_and_what_makes_its_firmware_show_them(tmp_path):
    boards.build([ESP32], listings.USUAL, tmp_path)
    directory = tmp_path / "xtensawin" / "esp32"
    content = (directory / "filament.bin").read_bytes()
    images.check(content, ESP32)
    found = read(content, ESP32.flash_map.data)
    for path in ("lib/mpcore/nic.mpy", "lib/mpcore/dns/mdns.mpy", "start_bulb.mpy", "sse.mpy"):
        assert found[key(path)]
    files = {path.name: path.read_bytes() for path in (directory / "fs").iterdir()}
    assert files.keys() == {"boot.py", "main.py", "in_place.py", "firmware_calls.py",
                            "c_call.mpy", "board.py", "facts.py"}
    assert files["c_call.mpy"] == c_call.content("xtensawin")
    boot = files["boot.py"].decode()
    assert [boot.index(each) for each in ("calls.check", "calls.show", "in_place.mount")] == \
        sorted(boot.index(each) for each in ("calls.check", "calls.show", "in_place.mount"))
    assert ESP32.firmware_calls.build in boot


def test_an_image_that_is_too_large_is_refused():
    small = dataclasses.replace(PICO_W, flash_free=(AT, AT + 4096))
    with pytest.raises(ValueError, match="does not fit into 4096; leave out a set"):
        images.in_flash(small, ("core",))


def test_the_loader_knows_the_image_as_it_is_made():
    text = images.LOADER.read_text()
    assert f"_MAGIC = {in_place.MAGIC!r}".replace("'", '"') in text
