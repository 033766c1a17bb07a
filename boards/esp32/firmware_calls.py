"""Functions of an ESP32's stock firmware that Python has no way to, called by their addresses.

    import firmware_calls as calls      # in boot.py; the numbers are of the board's facts.py
    calls.check("27fdf0c2…")            # FIRMWARE_CALLS
    calls.release_bluetooth(0x401453ac)
    calls.show(0x1b0000, 0x50000, 0x3f440000, 0x40210000, 0x4016262c)   # FLASH_FREE, FLASH_MAP

An address is another in every build. So nothing is called before the build is known to be the very
one whose addresses these are: a firmware that was flashed since is refused. Both functions are
public ones of ESP-IDF, which the firmware itself calls in the same way, from the same task.

The firmware maps only itself into the address space. Who writes the table of what is mapped must
not run through the very caches that look into it: they have to be off, the other processor has to
wait in RAM, and interrupts too. esp_mmu_map does all of that, for both processors, writes entries
that nothing else uses, and flushes the caches; a program that wrote the table itself could do none
of it. What is mapped stays so until the chip is reset, and to map it again finds it there.

While the firmware writes to the flash, nothing else can be read from it; it sees to that for its
own code, and what is mapped here is no different: it runs in the task that waits for the write.

All of this has run in an emulator, and not yet on a chip.
"""

from array import array
from binascii import hexlify

import c_call
from esp32 import Partition
from micropython import const
from uctypes import addressof

_BUILD = const(0xb0)            # in the application: the hash of the ELF file it was made of
_OFFSET = const(2)              # of what a partition says of itself
_SIZE = const(3)
_FLASH = const(1)               # arguments of esp_mmu_map (esp_mm, ESP-IDF 5.5): the chip to map,
_DATA = const(18)               # MMU_MEM_CAP_READ and _8BIT
_INSTRUCTIONS = const(9)        # MMU_MEM_CAP_EXEC and _32BIT
_SHARED = const(1)              # a place may be mapped twice, for data and for instructions
_POINTER = const(6)             # where among the words of a call it is, and what it points to
_MAPPED = const(7)
_DONE = const(0)                # ESP_OK
_BEFORE = const(0x103)          # ESP_ERR_INVALID_STATE
_BLUETOOTH = const(3)           # ESP_BT_MODE_BTDM: all of it


def check(build):
    """Raises OSError unless this firmware is the one with this hash, in hexadecimal digits."""
    found = bytearray(32)
    Partition(Partition.RUNNING).readblocks(0, found, _BUILD)
    if hexlify(found).decode() != build:
        raise OSError("the image is for another firmware: flash both anew")


def show(offset, size, data, code, function):
    """Map `size` bytes of flash from `offset`, multiples of 64 KB, on both buses.

    data, code: the addresses where they are to appear on each. function: esp_mmu_map. Raises
    OSError, with what is otherwise than it should be.
    """
    about = Partition(Partition.RUNNING).info()
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


def release_bluetooth(function):
    """Give the memory that the firmware keeps for Bluetooth, 40 KB, to all; until a reset there
    is no Bluetooth. function: esp_bt_controller_mem_release.

    The heap grows until nothing is left, and then Wi-Fi has no memory for a packet that comes:
    this is in pieces that are smaller, and stays for Wi-Fi. Where Bluetooth is in use, or this
    was done before, nothing happens.
    """
    c_call.call(array("I", (function, _BLUETOOTH, 0, 0, 0, 0, 0)))
