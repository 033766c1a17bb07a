"""The ways into the flash of boards (boards/BOARD/place.py), with a firmware made up."""

from tests.core import stand_ins
from tests.core.stand_ins import Module
from tests.core.support import raises

SIZE = 4096
START, END = 0x1B0000, 0x200000
PARTITION, RECORD, CHIP, DATA = 0x3FFD0CB0, 0x3FFBC514, 0x3FFC0720, 0x3FFC0798


class Partition:
    """An ESP32's partition, and the memory in which its firmware keeps what it knows of it."""

    RUNNING = 1
    at = 0x10000
    size = 0x1F0000

    def __init__(self):
        self.words = {PARTITION + 4: RECORD, RECORD: CHIP, RECORD + 12: self.at,
                      RECORD + 16: self.size, CHIP + 12: DATA, CHIP + 20: 0x400000}
        self.meant = {DATA + 4: 0}
        self.written = []

    def __call__(self, kind):
        assert kind == self.RUNNING
        return self

    def info(self):
        return 0, 0, self.at, self.size, "factory", False

    def readblocks(self, number, data):
        data[:] = bytes([number & 255]) * len(data)

    def writeblocks(self, number, data):
        assert self.meant[DATA + 4], "the firmware has ended this"
        if data == b"fails":
            raise OSError(5)
        self.written.append((number, data))


def esp32(partition, flash_size=0x400000):
    place = stand_ins.load("place", "boards/esp32", {
        "esp": Module(flash_size=lambda: flash_size), "esp32": Module(Partition=partition),
        "machine": Module(mem8=partition.meant, mem32=partition.words, reset=None),
        "micropython": Module(const=lambda value: value)})
    place.id = lambda thing: PARTITION
    return place


def test_the_firmware_of_an_esp32_is_told_that_a_write_is_meant_while_it_lasts():
    partition = Partition()
    device, first = esp32(partition).device(START, END)
    device.writeblocks(first + 1, b"block")
    assert partition.written == [((START - Partition.at) // SIZE + 1, b"block")]
    raises(OSError, device.writeblocks, first, b"fails")
    assert partition.meant == {DATA + 4: 0}
    block = bytearray(4)
    device.readblocks(first, block)
    assert block == bytes([first & 255]) * 4


def test_an_esp32_whose_firmware_keeps_it_otherwise_is_left_alone():
    for where in RECORD + 12, RECORD + 16, CHIP + 20:
        partition = Partition()
        partition.words[where] += 1
        error = raises(OSError, esp32(partition).device, START, END)
        assert "in another way" in str(error) and not partition.written
    partition = Partition()
    partition.meant[DATA + 4] = 7
    raises(OSError, esp32(partition).device, START, END)
    assert partition.meant == {DATA + 4: 7}


def test_what_is_not_in_the_partition_that_runs_is_left_alone():
    for start, end in ((0x10000, END), (START, END + SIZE), (END, START)):
        error = raises(OSError, esp32(Partition()).device, start, end)
        assert "partitions are others" in str(error)


def rp2(blocks):
    class Flash:
        def ioctl(self, operation, argument):
            return {4: blocks, 5: SIZE}[operation]

    return stand_ins.load("place", "boards/rp2_pico_w", {
        "rp2": Module(Flash=Flash), "machine": Module(soft_reset=None),
        "micropython": Module(const=lambda value: value)})


def test_blocks_before_a_picos_file_system_have_numbers_below_zero():
    device, first = rp2(212).device(0x100D8000, 0x1012C000)
    assert first == -84 and device.ioctl(5, 0) == SIZE
    error = raises(OSError, rp2(352).device, 0x100D8000, 0x1012C000)
    assert "file system lies elsewhere" in str(error)
