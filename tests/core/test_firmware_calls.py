"""Calls into an ESP32's firmware (boards/esp32/firmware_calls.py), with a firmware made up."""

from tests.core import stand_ins
from tests.core.stand_ins import Module
from tests.core.support import raises

BUILD = "27" * 32
MAP, RELEASE, DATA, CODE = 0x4016262C, 0x401453AC, 0x3F440000, 0x40210000
OFFSET, SIZE = 0x1B0000, 0x50000
WORDS_AT = 0x3FFB0000


class Firmware:
    """What stands in for the modules esp32, c_call and uctypes."""

    RUNNING = 1

    def __init__(self):
        self.partition = (0, 0, 0x10000, 0x1F0000, "factory", False)
        self.mapped = {}            # where each use of the flash appears
        self.answers = {}           # of esp_mmu_map, in place of the usual
        self.calls = []

    def Partition(self, kind):
        assert kind == self.RUNNING
        return self

    def info(self):
        return self.partition

    def readblocks(self, block, buf, offset):
        assert (block, offset, len(buf)) == (0, 0xB0, 32)
        buf[:] = bytes([0x27]) * 32

    def addressof(self, words):
        return WORDS_AT

    def call(self, words):
        self.calls.append(list(words))
        if words[0] == RELEASE:
            return
        function, offset, size, chip, use, flags, pointer = list(words)[:7]
        assert (function, chip, flags, pointer) == (MAP, 1, 1, WORDS_AT + 28)
        assert offset % 0x10000 == size % 0x10000 == 0
        known = use in self.mapped
        self.mapped.setdefault(use, {18: DATA, 9: CODE}[use])
        words[0], words[7] = self.answers.get(use, (0x103 if known else 0, self.mapped[use]))


class Partitions:
    """The class esp32.Partition."""

    def __init__(self, firmware):
        self.RUNNING = firmware.RUNNING
        self._firmware = firmware

    def __call__(self, kind):
        return self._firmware.Partition(kind)


def load(firmware):
    return stand_ins.load("firmware_calls", "boards/esp32", {
        "esp32": Module(Partition=Partitions(firmware)), "c_call": Module(call=firmware.call),
        "uctypes": Module(addressof=firmware.addressof),
        "micropython": Module(const=lambda value: value)})


def test_nothing_is_called_in_another_firmware():
    firmware = Firmware()
    calls = load(firmware)
    calls.check(BUILD)
    error = raises(OSError, calls.check, BUILD[:-1] + "8")
    assert "another firmware" in str(error) and not firmware.calls


def test_the_flash_is_shown_on_both_buses_and_again_after_a_soft_reset():
    firmware = Firmware()
    for _ in range(2):
        load(firmware).show(OFFSET, SIZE, DATA, CODE, MAP)
    assert firmware.mapped == {18: DATA, 9: CODE}
    assert [each[:3] for each in firmware.calls] == [[MAP, OFFSET, SIZE]] * 4


def test_what_appears_elsewhere_or_not_at_all_is_refused():
    for use, answer in ((18, (0, DATA + 0x10000)), (9, (0, DATA)), (9, (0x101, CODE)),
                        (18, (0x105, 0))):
        firmware = Firmware()
        firmware.answers[use] = answer
        error = raises(OSError, load(firmware).show, OFFSET, SIZE, DATA, CODE, MAP)
        assert "cannot be mapped: error 0x%x" % answer[0] in str(error)


def test_flash_that_belongs_to_another_partition_is_not_shown():
    for start, size in ((0x10000, 0x180000), (0x1F0000, 0x100000), (0x10000, 0x1EF000)):
        firmware = Firmware()
        firmware.partition = (0, 0, start, size, "ota_0", False)
        error = raises(OSError, load(firmware).show, OFFSET, SIZE, DATA, CODE, MAP)
        assert "partitions are others" in str(error) and not firmware.calls


def test_bluetooths_memory_is_asked_for():
    firmware = Firmware()
    load(firmware).release_bluetooth(RELEASE)
    assert firmware.calls == [[RELEASE, 3, 0, 0, 0, 0, 0]]
