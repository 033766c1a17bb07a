"""The way into the flash of an ESP32 behind its firmware, see boards/renewal/image.py.

That is in the partition from which the firmware runs, and ESP-IDF ends the program that writes to
it, by the address alone, unless the chip's own record says that this is meant. What sets that is
not in stock firmware, so it is set here, for as long as a block is written. The record is found by
way of the partition's: first the chip, of that the fourth word, data for the functions of the
system, and in these the second (ESP-IDF 5.5). What is known of all three is compared before.

This has run in an emulator, and not yet on a chip.
"""

import esp
from esp32 import Partition
from machine import mem8, mem32
from machine import reset as restart    # what was mapped stays so until the chip is reset
from micropython import const

__all__ = ("device", "restart")
_BLOCK = const(4096)
_OFFSET = const(2)          # of what a partition says of itself
_SIZE = const(3)
_RECORD = const(4)          # in its object
_CHIP = const(0)            # in its record
_AT = const(12)
_BYTES = const(16)
_DATA = const(12)           # in the chip's
_CHIP_BYTES = const(20)
_MEANT = const(4)           # in that data


def device(start, end):
    """(block device, number of its first block) of what lies at these offsets in flash. Raises
    OSError where that is no part of the firmware's partition."""
    partition = Partition(Partition.RUNNING)
    about = partition.info()
    if not about[_OFFSET] < start < end <= about[_OFFSET] + about[_SIZE]:
        raise OSError("the partitions are others: there is no place for an image")
    return _Unlocked(partition, about), (start - about[_OFFSET]) // _BLOCK


class _Unlocked:
    """The blocks of a partition, to be read and written."""

    def __init__(self, partition, about):
        record = mem32[id(partition) + _RECORD]
        chip = mem32[record + _CHIP]
        self._meant = mem32[chip + _DATA] + _MEANT
        if (mem32[record + _AT], mem32[record + _BYTES], mem32[chip + _CHIP_BYTES],
                mem8[self._meant]) != (about[_OFFSET], about[_SIZE], esp.flash_size(), 0):
            raise OSError("this firmware keeps its flash in another way")
        self._partition = partition
        self.readblocks = partition.readblocks

    def writeblocks(self, number, data):
        mem8[self._meant] = 1
        try:
            self._partition.writeblocks(number, data)
        finally:
            mem8[self._meant] = 0
