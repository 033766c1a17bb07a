"""What is checked of firmware before any of it is sent: images, partition tables, UF2 files."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from host_tools.boards import facts, uf2
from host_tools.device import esp_image, uf2_drive
from tests.host import stock_firmware as stock

KNOWN = facts.load()
ESP32S = sorted(board.board for board in KNOWN.values() if board.esptool_chip)
C3 = KNOWN["esp32c3"]
PICO_W, PICO_2_W = KNOWN["rp2_pico_w"], KNOWN["rp2_pico2_w"]
APPLICATION = 0x10000


def damaged(content, at, by=0x01):
    content = bytearray(content)
    content[at] ^= by
    return bytes(content)


# --- images of the ESP32 -------------------------------------------------------------------


@pytest.mark.parametrize("board", ESP32S)
def test_stock_firmware_is_good_for_its_board_and_no_other(board):
    content = stock.of(board)
    image = esp_image.check(content, KNOWN[board])
    assert (image.chip, image.flash_size) == (KNOWN[board].chip, 4 << 20)
    for other in set(ESP32S) - {board}:
        with pytest.raises(ValueError, match=f"for the {image.chip}, and {other} has an "):
            esp_image.check(content, KNOWN[other])


def test_a_chip_that_no_board_here_has_is_named():
    with pytest.raises(ValueError, match="for the ESP32-C5, and esp32c3 has an ESP32-C3"):
        esp_image.check(stock.content(stock.OF_ANOTHER_CHIP), C3)


@pytest.mark.parametrize("change, complaint", [
    (lambda content: b"", "the file is empty"),
    (lambda content: b"\x7fELF" + content, "0xE9 is missing"),
    (lambda content: content[:23], "0xE9 is missing"),
    (lambda content: content[:30], "cut off"),
    (lambda content: content[:1000], "cut off"),
    (lambda content: content[:0x8000], "no partition table"),
    (lambda content: content[APPLICATION:], "no partition table"),
    (lambda content: content[:APPLICATION], "no application: it is cut off"),
    (lambda content: content[:-1], "cut off"),
    (lambda content: content[:len(content) // 2], "cut off"),
    (lambda content: damaged(content, 1, 0xFF), "header is damaged"),
    (lambda content: damaged(content, 3, 0xF0), "header is damaged"),
    (lambda content: damaged(content, 1000), "checksum is wrong"),
    (lambda content: damaged(content, 0x8004), "partition table is damaged"),
    (lambda content: damaged(content, APPLICATION), "0xE9 is missing"),
    (lambda content: damaged(content, 1_000_000), "checksum is wrong"),
    (lambda content: content[:APPLICATION] + stock.of("esp32c6")[APPLICATION:],
     "application is for the ESP32-C6"),
])
def test_an_image_that_is_not_whole_is_refused(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        esp_image.check(change(stock.of("esp32c3")), C3)


def image(segments=(b"12345678",), chip=5, hashed=False):
    """A small image as esptool makes them."""
    made = struct.pack("<BBBBI", 0xE9, len(segments), 2, 0x20, 0)
    made += bytes(4) + struct.pack("<H", chip) + bytes(9) + bytes([hashed])
    checksum = 0xEF
    for segment in segments:
        made += struct.pack("<II", 0x40000000, len(segment)) + segment
        for byte in segment:
            checksum ^= byte
    return made + bytes(15 - len(made) % 16) + bytes([checksum])


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=16))
def test_an_image_without_a_hash_has_its_checksum(segments):
    content = image(segments)
    assert esp_image.read(content) == ("ESP32-C3", 4 << 20, len(content))
    with pytest.raises(ValueError, match="checksum is wrong"):
        esp_image.read(damaged(content, len(content) - 1))


@given(st.binary(max_size=400))
@example(image()[:-1])
@example(b"\xe9\x10" + bytes(60))
def test_whatever_the_bytes_are_an_image_is_good_or_a_value_error(noise):
    for content in (noise, b"\xe9" + noise):
        try:
            found = esp_image.read(content)
        except ValueError:
            continue
        assert 24 < found.end <= len(content)


@given(st.integers(0, 10_000_000), st.integers(1, 255))
def test_no_single_byte_that_counts_can_be_wrong(at, by):
    """Only what fills up may differ: between the three parts, and before the table's hash."""
    content = stock.of("esp32c3")
    at %= len(content)
    loader = esp_image.read(content)
    application = esp_image.read(content, APPLICATION)
    changed = damaged(content, at, by)
    table = range(0x8000, 0x8062), range(0x8070, 0x8080)
    if at < loader.end or APPLICATION <= at < application.end or any(at in part for part in table):
        with pytest.raises(ValueError):
            esp_image.check(changed, C3)


@given(st.binary(max_size=200))
def test_whatever_the_bytes_are_a_partition_table_is_good_or_a_value_error(noise):
    for content in (noise, b"\xaa\x50" + noise, b"\xeb\xeb" + noise):
        try:
            esp_image.partitions(content, 0)
        except ValueError:
            continue
        pytest.fail("a table without a right hash was taken")


def test_flash_that_is_too_small_is_told():
    content = stock.of("esp32")
    esp_image.check_fit(content, KNOWN["esp32"], 4 << 20)
    with pytest.raises(ValueError, match="it needs 4 MB of flash, and the board has 2 MB"):
        esp_image.check_fit(content, KNOWN["esp32"], 2 << 20)


# --- UF2 -----------------------------------------------------------------------------------


def test_stock_firmware_of_a_pico_w():
    content = stock.of("rp2_pico_w")
    blocks = uf2.check(content, PICO_W.uf2_family, PICO_W.flash_size)
    assert len(blocks) == 3422 and blocks[0].address == 0x10000000
    assert len(uf2.memory(content)) == 3422 * 256
    with pytest.raises(ValueError, match=r"for the RP2040, and not for the RP2350 \(Arm\)"):
        uf2.check(content, PICO_2_W.uf2_family, PICO_2_W.flash_size)


PAGES = uf2.encode(bytes(range(256)) * 32, 0x10000000)      # 8 KB: 32 blocks
_E10 = struct.pack("<8I476sI", 0x0A324655, 0x9E5D5157, 0x2000, 0x10FFFF00, 256, 0, 2, 0xE48BFF57,
                   b"\xef" * 256, 0x0AB16F30)


def with_field(content, block, field, value):
    content = bytearray(content)
    struct.pack_into("<I", content, block * 512 + 4 * field, value)
    return bytes(content)


@pytest.mark.parametrize("content, complaint", [
    (b"", "the file is empty"),
    (PAGES[:-1], "cut off"),
    (PAGES[:-512], "blocks are missing"),
    (PAGES[512:], "blocks are missing"),
    (bytes(512), "block 0 of it is no UF2 block"),
    (with_field(PAGES, 3, 1, 0), "block 3 of it is no UF2 block"),
    (with_field(PAGES, 31, 127, 0), "block 31 of it is no UF2 block"),
    (with_field(PAGES, 3, 2, 0), "does not say for which chip"),
    (with_field(PAGES, 3, 4, 477), "block 3 of it is damaged"),
    (with_field(PAGES, 3, 4, 255), "no page of flash"),
    (with_field(PAGES, 3, 3, 0x10000301), "no page of flash"),
    (with_field(PAGES, 3, 3, 0x0FFFFF00), "outside of the 2 MB of flash"),
    (with_field(PAGES, 3, 3, 0x10200000), "outside of the 2 MB of flash"),
    (with_field(PAGES, 3, 3, 0x10000000), "come twice"),
    (with_field(PAGES, 3, 5, 2), "out of order"),
    (with_field(PAGES, 3, 6, 33), "blocks are missing"),
    (with_field(PAGES, 3, 7, 0x1C5F21B0), "for the ESP32, and not for the RP2040"),
    (with_field(PAGES, 3, 7, 7), "for the family 0x7"),
    (PAGES + PAGES, "blocks are missing"),
    (_E10, "blocks are missing"),
])
def test_a_uf2_file_that_is_not_whole_is_refused(content, complaint):
    with pytest.raises(ValueError, match=complaint):
        uf2.check(content, PICO_W.uf2_family, PICO_W.flash_size)


def test_the_block_that_mends_an_rp2350_is_no_part_of_the_numbering():
    content = _E10 + uf2.encode(bytes(4096), 0x10000000, PICO_2_W.uf2_family)
    assert len(uf2.check(content, PICO_2_W.uf2_family, PICO_2_W.flash_size)) == 16
    second = uf2.encode(b"2", 0x10100000, PICO_2_W.uf2_family)
    joined = uf2.join(content, second)
    assert joined[:512] == _E10
    assert len(uf2.check(joined, PICO_2_W.uf2_family, PICO_2_W.flash_size)) == 32


@given(st.lists(st.binary(min_size=1, max_size=9000), min_size=1, max_size=3))
def test_files_that_are_joined_write_what_each_of_them_writes(contents):
    files = [uf2.encode(content, 0x10000000 + 0x10000 * number)
             for number, content in enumerate(contents)]
    joined = uf2.join(*files)
    blocks = uf2.check(joined, PICO_W.uf2_family, PICO_W.flash_size)
    assert [(block.address, block.data) for block in blocks] == [
        (block.address, block.data) for file in files for block in uf2.decode(file)]
    assert uf2.join(joined) == joined
    with pytest.raises(ValueError, match="same place"):
        uf2.join(joined, files[0])


@given(st.binary(max_size=600), st.integers(0, 31), st.integers(0, 127),
       st.integers(0, 2 ** 32 - 1))
def test_whatever_the_bytes_are_a_uf2_file_is_good_or_a_value_error(noise, block, field, value):
    for content in (noise, with_field(PAGES, block, field, value)):
        try:
            blocks = uf2.check(content, PICO_W.uf2_family, PICO_W.flash_size)
        except ValueError:
            continue
        assert len(blocks) == 32 and {len(each.data) for each in blocks} == {256}


# --- INFO_UF2.TXT --------------------------------------------------------------------------

RP2040_INFO = b"UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n"
RP2350_INFO = b"UF2 Bootloader v1.0\nModel: Raspberry Pi RP2350\nBoard-ID: RP2350\n"


def test_what_boot_loaders_say_of_themselves():
    assert uf2_drive.parse_info(RP2040_INFO) == ("Raspberry Pi RP2", PICO_W.uf2_board)
    assert uf2_drive.parse_info(RP2350_INFO) == ("Raspberry Pi RP2350", PICO_2_W.uf2_board)
    for wrong in (b"", b"Model: X\nBoard-ID: Y\n", RP2040_INFO[:30], b"UF2 Bootloader\nModel: X"):
        with pytest.raises(ValueError, match="INFO_UF2.TXT"):
            uf2_drive.parse_info(wrong)


@given(st.binary(max_size=200), st.integers(0, len(RP2040_INFO)))
def test_whatever_the_bytes_are_an_info_is_two_texts_or_a_value_error(noise, at):
    for content in (noise, RP2040_INFO[:at] + noise + RP2040_INFO[at:]):
        try:
            model, board = uf2_drive.parse_info(content)
        except ValueError:
            continue
        assert isinstance(model, str) and isinstance(board, str)


def test_the_facts_of_boards_have_a_way_to_flash_each():
    for board in KNOWN.values():
        ways = (board.esptool_chip is not None) + (board.uf2_family is not None)
        assert ways == (board.firmware is not None)
        if board.esptool_chip:
            assert board.chip in esp_image.CHIPS.values()
            assert board.esptool_chip == board.chip.lower().replace("-", "")
        if board.uf2_family:
            assert board.chip in uf2.FAMILIES[board.uf2_family]
