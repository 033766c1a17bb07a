"""Mounts the image of a program that lies in the flash of a board, so that it is importable.

    import in_place                     # in boot.py
    in_place.mount(0x100E0000)          # where it is: FLASH_FREE or FLASH_MAP of a board's facts
    import mpcore

What importing makes lies ready there: code, functions, classes, the dictionaries of modules, and
all names in them. How that works, and what an image is like: host_tools/boards/in_place.py.
"""

import io
import sys
from binascii import crc32

import machine
import vfs
from micropython import const
from uctypes import addressof, bytearray_at

_words = machine.mem32
_MAGIC = b"FILAIMG4"

_SIZE = const(8)            # in the image
_CRC = const(12)
_CHECKED = const(16)
_LARGEST = const(0x200000)
_MPY = const(16)
_NO_MACHINE_CODE = const(0xff)
_DATA_AT = const(20)        # addresses for which it was made
_CODE_AT = const(24)
_INDEX = const(28)
_ENTRIES = const(32)
_SPAN = const(36)           # address, size and CRC of what tells this firmware from others
_LAST_POOL = const(48)
_POOL = const(52)
_FIRST = const(56)          # number of the first name
_COUNT = const(60)
_HASHES = const(64)
_LENGTHS = const(68)
_NAMES = const(72)
_ENTRY = const(12)          # of the index: key, where the file is, its size or 0 for a directory
_ENTRY_DATA = const(4)
_ENTRY_SIZE = const(8)
_KEY = const(0x3fffffff)
_DIRECTORY = const(0x4000)
_FILE = const(0x8000)
_NO_FILE = const(2)
_CONTEXT = const(4)         # the record of a module: its name, and these
_LIVE = const(8)
_OFFER = const(12)

_PREVIOUS = const(0)        # a pool of names: the one before, number of its first name, places,
_BEFORE = const(4)          # names, and where hashes, lengths and characters of each are
_NUMBER = const(0x7fffffff)
_PLACES = const(8)
_USED = const(12)
_POOL_HASHES = const(16)
_POOL_LENGTHS = const(20)
_POOL_NAMES = const(24)
_NEXT_PLACES = const(10)    # the next pool has twice as many
_GLOBALS = const(4)         # a module: type, dictionary
_CLASS = const(64)          # bytes of a class, with one base
_PARENT = const(60)
_ITEMS = const(12)          # a list or bytes: type, …, …, where its items are
_LENGTH = const(8)


def _object(address):
    """The object at an address."""
    box = [None]
    _words[_words[id(box) + _ITEMS]] = address
    return box[0]


def _bytes(address, size):
    """The bytes that lie at an address, without a copy."""
    new = bytearray(16)
    at = addressof(new)
    words = _words
    words[at] = id(bytes)
    words[at + _LENGTH] = size
    words[at + _ITEMS] = address
    return _object(at)


def from_flash(record):
    """Have the module that is being imported be the one in the flash, of which this is the
    record; then run what is live in it."""
    words = _words
    module = sys.modules[_object(words[record])]
    if words[record + _OFFER]:          # something will be put into its own dictionary
        module.__getattr__ = _object(words[record + _OFFER])
    else:
        words[id(module) + _GLOBALS] = words[words[record + _CONTEXT] + _GLOBALS]
    if words[record + _LIVE]:
        _object(words[record + _LIVE])(copied)


def copied(template, base=None):
    """A copy, in the heap, of a class in the flash, with another base: MicroPython marks a class
    when one is derived from it."""
    new = bytearray(_CLASS)
    at = addressof(new)
    new[:] = bytearray_at(id(template), _CLASS)
    if base is not None:
        _words[at + _PARENT] = id(base)
    return _object(at)


def mount(address, at="/rom", code=None):
    """Make the image at an address of the flash importable. code: where the same flash is for the
    processor's instructions, if that is elsewhere. Raises OSError saying why not."""
    words = _words
    if bytearray_at(address, len(_MAGIC)) != _MAGIC:
        raise OSError("no image at 0x%x: flash it" % address)
    size = words[address + _SIZE]
    if not _CHECKED < size < _LARGEST or not _is(address + _CHECKED, size - _CHECKED,
                                                 words[address + _CRC]):
        raise OSError("the image is damaged: flash it again")
    ours = sys.implementation._mpy
    if words[address + _MPY] not in (ours, ours & _NO_MACHINE_CODE) or \
            words[address + _DATA_AT] != address or \
            words[address + _CODE_AT] != (address if code is None else code) or \
            not _is(words[address + _SPAN], words[address + _SPAN + 4],
                    words[address + _SPAN + 8]):
        raise OSError("the image is for another firmware")
    _bring_names(address)
    vfs.mount(_Files(address), at)
    sys.path.append(at)
    sys.path.append(at + "/lib")


def _is(address, size, crc):
    return crc32(bytearray_at(address, size)) == crc & 0xffffffff


def _bring_names(image):
    """Put the names of an image after those that there are. Their numbers are in its code, so there
    is a gap in the numbers, which nothing asks for."""
    words = _words
    last = words[words[image + _LAST_POOL]]
    first, count = words[image + _FIRST], words[image + _COUNT]
    pool = last
    while pool != words[image + _POOL]:
        if words[pool + _POOL_HASHES] == words[image + _HASHES]:
            return                      # they are there already
        pool = words[pool + _PREVIOUS]
        if not pool:
            raise OSError("the image is for another firmware")
    if (words[last + _BEFORE] & _NUMBER) + words[last + _USED] > first:
        raise OSError("too many names before the image's: mount it first in boot.py")
    new = bytearray(_POOL_NAMES + 4 * count)
    new[_POOL_NAMES:] = bytearray_at(words[image + _NAMES], 4 * count)
    at = addressof(new)
    words[at + _PREVIOUS] = last
    words[at + _BEFORE] = first
    words[at + _PLACES] = _NEXT_PLACES
    words[at + _USED] = count
    words[at + _POOL_HASHES] = words[image + _HASHES]
    words[at + _POOL_LENGTHS] = words[image + _LENGTHS]
    words[words[image + _LAST_POOL]] = at


class _Files:
    """The image as a file system, as far as an import needs one."""

    def __init__(self, address):
        self._index = _words[address + _INDEX]
        self._count = _words[address + _ENTRIES]

    def mount(self, readonly, mkfs):
        pass

    def umount(self):
        pass

    def _find(self, path):
        key = crc32(path) & _KEY
        words, index = _words, self._index
        low, high = 0, self._count
        while low < high:
            middle = low + high >> 1
            at = index + middle * _ENTRY
            found = words[at]
            if found == key:
                return at
            if found < key:
                low = middle + 1
            else:
                high = middle
        raise OSError(_NO_FILE)

    def stat(self, path):
        size = _words[self._find(path) + _ENTRY_SIZE]
        return _FILE if size else _DIRECTORY, 0, 0, 0, 0, 0, size, 0, 0, 0

    def open(self, path, mode):
        at = self._find(path)
        return io.BytesIO(_bytes(_words[at + _ENTRY_DATA], _words[at + _ENTRY_SIZE]))
