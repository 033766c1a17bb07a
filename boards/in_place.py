"""Mounts the image of modules that lies in the flash of a board, so that they are importable.

    import in_place                     # in boot.py
    in_place.mount(0x100E0000)          # where it is: FLASH_FREE or FLASH_MAP of a board's facts
    import mpcore

Their code runs where it lies: the heap has only their names, constants and functions' records.
How that works, and what an image is like: host_tools/boards/in_place.py.
"""

import gc
import io
import sys
from binascii import crc32

import machine
import vfs
from micropython import const
from uctypes import addressof, bytearray_at

_words = machine.mem32
_MAGIC = b"FILAIMG3"

_SIZE = const(8)
_CRC = const(12)
_CHECKED = const(16)
_LARGEST = const(0x200000)
_MPY = const(16)
_NO_MACHINE_CODE = const(0xff)
_INDEX = const(20)
_ENTRIES = const(24)
_MADE_FOR = const(28)       # address of its data; after that, of its machine code
_TYPES = const(36)          # of bytes, texts and tuples that it has ready
_ENTRY = const(12)          # of the index: key, where the file is, its size or 0 for a directory
_ENTRY_DATA = const(4)
_ENTRY_SIZE = const(8)
_KEY = const(0x3fffffff)
_DIRECTORY = const(0x4000)
_FILE = const(0x8000)
_NO_FILE = const(2)
_COLLECT = const(8)         # modules; what they leave behind must not lie between what is to stay

_CONTEXT = const(4)         # a function in memory: type, context, functions inside it, code
_INNER = const(8)
_CODE = const(12)
_RECORD_CODE = const(4)     # the record of which functions are made; its first word is the kind
_RECORD_INNER = const(8)
_CONSTANTS = const(12)      # the record of a module has that of its body, and these
_TO_COPY = const(16)
_TABLE = const(12)          # of constants, of a context in memory
_BYTECODE = const(0x20000)


_LENGTH = const(8)          # a bytes in memory: type, hash or 0, length, where its bytes are
_DATA = const(12)
_ITEMS = const(12)          # a list: type, places, length, where they are


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
    words[at + _DATA] = address
    return _object(at)


def body(function, record):
    """The body of which this is the record, in the module that `function` is from."""
    new = bytearray(16)
    at = addressof(new)
    words = _words
    context = words[id(function) + _CONTEXT]
    constants = words[record + _CONSTANTS]
    count = words[record + _TO_COPY]
    if count:
        table = words[context + _TABLE]
        for offset in range(0, 4 * count, 4):
            if words[constants + offset]:
                words[table + offset] = words[constants + offset]
    elif constants:
        words[context + _TABLE] = constants
    words[at] = words[id(function)]
    words[at + _CONTEXT] = context
    words[at + _INNER] = words[record + _RECORD_INNER]
    words[at + _CODE] = words[record + _RECORD_CODE]
    return _object(at)


def _as_expected(types):
    """Whether this firmware has lists, bytes, functions and their records as they are here.
    types: the address of those of bytes, str and tuple that the image has, 0 where it has none."""
    def outer():
        def inner():
            pass
        return inner

    words = _words
    box = [_MAGIC]
    if words[id(box) + _LENGTH] != 1 or words[words[id(box) + _ITEMS]] != id(_MAGIC):
        return False
    if words[id(_MAGIC)] != id(bytes) or words[id(_MAGIC) + _LENGTH] != len(_MAGIC) or \
            bytearray_at(words[id(_MAGIC) + _DATA], len(_MAGIC)) != _MAGIC:
        return False
    if words[types]:
        pair = box, "a text that is no name"
        if [words[types + offset] for offset in (0, 4, 8)] != [id(bytes), id(str), id(tuple)] or \
                [words[id(pair) + offset] for offset in (0, 4, 8)] != [id(tuple), 2, id(box)] or \
                words[id(pair[1])] != id(str) or (id(None), id(False), id(True)) != (6, 14, 30):
            return False
        table = words[words[id(_as_expected) + _CONTEXT] + _TABLE]
        if id(pair[1]) not in [words[table + offset] for offset in range(0, 64, 4)]:
            return False
    inner = outer()
    if words[id(outer)] != id(type(outer)) or words[id(inner) + _CONTEXT] != \
            words[id(outer) + _CONTEXT]:
        return False
    record = words[words[id(outer) + _INNER]]
    return (words[record] == _BYTECODE and words[record + _RECORD_INNER] == 0
            and words[record + _RECORD_CODE] == words[id(inner) + _CODE])


def mount(address, at="/rom", code=None):
    """Make the image at an address of the flash importable. code: where the same flash is for the
    processor's instructions, if that is elsewhere. Raises OSError saying why not."""
    if bytearray_at(address, len(_MAGIC)) != _MAGIC:
        raise OSError("no image at 0x%x: flash it" % address)
    size = _words[address + _SIZE]
    if not _CHECKED < size < _LARGEST or _words[address + _CRC] & 0xffffffff != crc32(
            bytearray_at(address + _CHECKED, size - _CHECKED)):
        raise OSError("the image is damaged: flash it again")
    ours = sys.implementation._mpy
    if _words[address + _MPY] not in (ours, ours & _NO_MACHINE_CODE) or \
            not _as_expected(address + _TYPES) or \
            _words[address + _MADE_FOR] != address or \
            _words[address + _MADE_FOR + 4] != (address if code is None else code):
        raise OSError("the image is for another firmware")
    vfs.mount(_Files(address), at)
    sys.path.append(at)
    sys.path.append(at + "/lib")


class _Files:
    """The image as a file system, as far as an import needs one."""

    def __init__(self, address):
        self._index = address + _words[address + _INDEX]
        self._count = _words[address + _ENTRIES]
        self._opened = 0

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
        self._opened += 1
        if self._opened % _COLLECT == 0:
            gc.collect()
        return io.BytesIO(_bytes(_words[at + _ENTRY_DATA], _words[at + _ENTRY_SIZE]))
