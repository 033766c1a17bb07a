"""Shows a part of an ESP32's flash in its address space, so that code can run there in place.

    import flash_map                    # in boot.py; the numbers are FLASH_FREE and FLASH_MAP
    flash_map.show(0x1b0000, 0x50000, 0x3f440000, 0x40210000, 0x4016262c, "27fdf0c2…")

The firmware maps only itself. Who writes the table of what is mapped must not run through the
caches that look into it: they have to be off, the other processor has to wait in RAM, and so has
every interrupt. ESP-IDF does all that in esp_mmu_map, by which the firmware maps flash itself (to
verify an update), so that is called here, from the task and with the stack that a program of
Python has anyway. It writes no entry that was in use, both processors' tables, and flushes their
caches; what it maps stays mapped until the chip is reset, and mapping it again finds it there.

The function has no name that a program could ask for, only an address, which is another in every
build. So nothing is called before the build is known to be the very one; a firmware that was
flashed since is refused. All of this has run in an emulator, and not yet on a chip.
"""

from array import array
from binascii import hexlify

import c_call
from esp32 import Partition
from micropython import const
from uctypes import addressof

_BUILD = const(0xb0)            # in the application: the hash of the ELF file it was made of
_OFFSET, _SIZE = const(2), const(3)         # of what a partition says of itself
_FLASH = const(1)               # arguments of esp_mmu_map (esp_mm, ESP-IDF 5.5): the chip to map,
_DATA = const(18)               # MMU_MEM_CAP_READ and _8BIT
_INSTRUCTIONS = const(9)        # MMU_MEM_CAP_EXEC and _32BIT
_SHARED = const(1)              # a place may be mapped twice, for data and for instructions
_POINTER = const(6)             # where among the words of a call it is, and what it points to
_MAPPED = const(7)
_DONE, _BEFORE = const(0), const(0x103)     # ESP_OK, ESP_ERR_INVALID_STATE


def show(offset, size, data, code, function, firmware):
    """Map `size` bytes of flash from `offset`, multiples of 64 KB, on both buses.

    data, code: the addresses where they are to appear on each. function: that of esp_mmu_map.
    firmware: the hash of the build that has it there, in hexadecimal digits. Raises OSError, with
    what is otherwise than it should be.
    """
    running = Partition(Partition.RUNNING)
    build = bytearray(32)
    running.readblocks(0, build, _BUILD)
    if hexlify(build).decode() != firmware:
        raise OSError("the image is for another firmware: flash both anew")
    about = running.info()
    if not about[_OFFSET] < offset or offset + size > about[_OFFSET] + about[_SIZE]:
        raise OSError("the partitions are others: there is no place for an image")
    _map(function, offset, size, _DATA, data)
    _map(function, offset, size, _INSTRUCTIONS, code)


def _map(function, offset, size, use, wanted):
    words = array("I", (function, offset, size, _FLASH, use, _SHARED, 0, 0))
    words[_POINTER] = addressof(words) + 4 * _MAPPED
    c_call.call(words)
    if words[0] not in (_DONE, _BEFORE) or words[_MAPPED] != wanted:
        raise OSError("the flash cannot be mapped: error 0x%x, at 0x%x; switch the board off and "
                      "on" % (words[0], words[_MAPPED]))
