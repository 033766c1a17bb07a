"""Mounts the image of a program that lies in the flash of a board, so that it is importable.

    import rom                      # in boot.py
    rom.mount(0x100D8000)           # where it is: FLASH_FREE or FLASH_MAP of a board's facts
    import mpcore

What importing makes lies ready there: code, functions, classes, the dictionaries of modules, and
all names in them. How that works, and what an image is like: host_tools/boards/in_place.py.

Names that the firmware lacks and that there are before those of the image have other numbers than
these. So whoever is to use the image is compiled after it is mounted, by main.py or by exec() in
boot.py. All names here are the firmware's: where there are no others, those of the image can stay
in the flash. Nothing of this module stays either, once the image is mounted.
"""

import sys
from binascii import crc32
from os import listdir, stat

from machine import mem32
from micropython import const
from uctypes import addressof, bytearray_at

_SIZE = const(8)            # in the image
_CRC = const(12)
_CHECKED = const(16)
_LARGEST = const(0x200000)
_MPY = const(16)
_NO_MACHINE_CODE = const(0xff)
_DATA_AT = const(20)        # addresses for which it was made
_CODE_AT = const(24)
_SPAN = const(36)           # address, size and CRC of what tells this firmware from others
_LAST_POOL = const(48)
_POOL = const(52)           # the firmware's
_NAMES = const(56)          # the image's
_FILES = const(60)          # record of in_flash.py: its name, and its context
_CONTEXT = const(4)

_PREVIOUS = const(0)        # a pool of names: the one before, number of its first name, places,
_BEFORE = const(4)          # names, and where hashes, lengths and characters of each are
_NUMBER = const(0x7fffffff)
_USED = const(12)
_POOL_HASHES = const(16)
_POOL_LENGTHS = const(20)
_POOL_NAMES = const(24)
_ITEMS = const(12)          # a list: type, places, length, where its items are
_ON_TRIAL = const("image.on.trial")     # of slots.py, a byte for each start
_STARTS = const(5)          # more than slots.py allows: it has not come to that


def mount(start, path="/rom", code=None):
    """Make the image at an address of the flash importable. code: where the same flash is for the
    processor's instructions, if that is elsewhere. Returns its CRC-32. Raises OSError saying why
    not."""
    words = mem32
    if bytearray_at(start, 8) != b"FILAIMG5":
        raise OSError("no image at 0x%x: flash it" % start)
    size = words[start + _SIZE]
    if not _CHECKED < size < _LARGEST or not match(start + _CHECKED, size - _CHECKED,
                                                   words[start + _CRC]):
        raise OSError("the image is damaged: flash it again")
    ours = sys.implementation._mpy
    if words[start + _MPY] not in (ours, ours & _NO_MACHINE_CODE) or \
            words[start + _DATA_AT] != start or \
            words[start + _CODE_AT] != (start if code is None else code) or \
            not match(words[start + _SPAN], words[start + _SPAN + 4], words[start + _SPAN + 8]):
        raise OSError("the image is for another firmware")
    if _ON_TRIAL in listdir("/"):       # nothing of it has run yet that could keep from that
        size = stat("/" + _ON_TRIAL)[6]
        if size >= _STARTS:
            raise OSError("the image does not start")
        with open("/" + _ON_TRIAL, "wb") as file:
            file.write(bytes(size + 1))
    before = extend(start)
    record = words[start + _FILES]
    files = load(words[record + _CONTEXT])
    sys.modules[load(words[record])] = files
    files.mount(start, path, before)
    sys.modules.pop(__name__)
    return words[start + _CRC] & 0xffffffff


def match(start, count, value):
    return crc32(bytearray_at(start, count)) == value & 0xffffffff


def extend(start):
    """Put the names of an image after those that there are. Their numbers are in its code, so
    there is a gap in the numbers, which nothing asks for. Returns the pool that was the last one:
    new names of the program go where its last were, so it has to stay."""
    words = mem32
    names, firmware = words[start + _NAMES], words[start + _POOL]
    last = pool = words[words[start + _LAST_POOL]]
    while pool != firmware:
        if words[pool + _POOL_HASHES] == words[names + _POOL_HASHES]:
            return None                 # they are there already
        pool = words[pool + _PREVIOUS]
        if not pool:
            raise OSError("the image is for another firmware")
    if (words[last + _BEFORE] & _NUMBER) + words[last + _USED] > words[names + _BEFORE]:
        raise OSError("too many names before the image's: mount it first in boot.py")
    if last != firmware and not (words[last + _PREVIOUS] == firmware
                                 and startswith(words[names + _PREVIOUS], last)):
        size = _POOL_NAMES + 4 * words[names + _USED]
        new = bytearray(size)
        new[:] = bytearray_at(names, size)
        names = addressof(new)
        words[names + _PREVIOUS] = last
    words[words[start + _LAST_POOL]] = names
    return load(last)


def startswith(start, target):
    """Whether a pool of the image begins with the names of another, which there are before: those
    of this file and of boot.py, that are there in any case. Else the image's have to be copied, as
    their pool has to say where that one is."""
    words = mem32
    count = words[target + _USED]
    if count > words[start + _USED]:
        return False
    lengths = bytearray_at(words[target + _POOL_LENGTHS], count)
    if lengths != bytearray_at(words[start + _POOL_LENGTHS], count):
        return False
    for index in range(count):
        at = _POOL_NAMES + 4 * index
        if bytearray_at(words[start + at], lengths[index]) != bytearray_at(
                words[target + at], lengths[index]):
            return False
    return True


def load(start):
    """The object at an address."""
    box = [None]
    mem32[mem32[id(box) + _ITEMS]] = start
    return box[0]
