"""The addresses in boards/esp32/facts.py, looked up in the firmware that they are of."""

import struct

from host_tools.boards import facts
from host_tools.device import esp_image
from tests.host import stock_firmware as stock

ESP32 = facts.load()["esp32"]
_PAGE = 0x10000             # of the flash, as it is mapped
_APPLICATION = 0x10000
_BUSES = {"data": 0x3F400000, "code": 0x400D0000}


class Code:
    """The application in a firmware, by the addresses at which it runs."""

    def __init__(self, content, at):
        count, position = content[at + 1], at + 24
        self._pieces = []
        for _ in range(count):
            address, size = struct.unpack_from("<2I", content, position)
            position += 8
            self._pieces.append((address, content[position:position + size]))
            position += size

    def word(self, address, size=4):
        for start, data in self._pieces:
            if start <= address < start + len(data):
                return int.from_bytes(data[address - start:][:size], "little")
        return 0

    def end(self, bus):
        return max(start + len(data) for start, data in self._pieces
                   if bus <= start < bus + 0x400000)

    def text(self, value):
        """Where a text lies."""
        [found] = [start + data.index(b"\0" + value + b"\0") + 1 for start, data in self._pieces
                   if b"\0" + value + b"\0" in data]
        return found

    def instructions(self, function):
        """(address, its three bytes) of a function's, as it begins with `entry` and so does the
        next; instructions of two bytes are told by their lowest bits."""
        assert self.word(function, 1) == 0x36
        address = function
        while address == function or self.word(address, 1) != 0x36:
            found = self.word(address, 3)
            yield address, found
            address += 2 if 8 <= found & 15 <= 13 else 3

    def literals(self, function):
        """The words that its l32r instructions load."""
        for address, found in self.instructions(function):
            if found & 15 == 1:
                yield self.word((address + 3 & ~3) + ((found >> 8) - 0x10000) * 4)

    def callees(self, function):
        for address, found in self.instructions(function):
            if found & 0x3F == 0x25:
                offset = (found >> 6) - (found >> 23 << 18)
                yield (address & ~3) + offset * 4 + 4


def test_the_facts_are_of_the_pinned_firmware():
    content = stock.of("esp32")
    calls = ESP32.firmware_calls
    assert esp_image.build(content, ESP32) == calls.build
    code = Code(content, _APPLICATION - ESP32.flash_offset)
    assert code.text(b"esp_mmu_map") in code.literals(calls.map)
    [released] = [each for each in code.callees(calls.release)
                  if code.text(b"esp_bt_controller_rom_mem_release") in code.literals(each)]
    assert released != calls.release


def test_the_image_lies_behind_the_firmware_in_its_partition_and_appears_behind_it():
    content = stock.of("esp32")
    [place] = [part for part in esp_image.partitions(content, 0x8000 - ESP32.flash_offset)
               if part.type == 0]
    end = ESP32.flash_offset + esp_image.read(content, place.offset - ESP32.flash_offset).end
    start, free_end = ESP32.flash_free
    assert end <= start < free_end <= place.offset + place.size and start % _PAGE == 0
    assert (free_end - start) % _PAGE == 0
    code = Code(content, place.offset - ESP32.flash_offset)
    for bus, address in _BUSES.items():
        assert getattr(ESP32.flash_map, bus) == -(-code.end(address) // _PAGE) * _PAGE


def test_another_firmware_has_another_build():
    assert esp_image.build(stock.of("esp32c3"), facts.load()["esp32c3"]) not in (
        None, ESP32.firmware_calls.build)
