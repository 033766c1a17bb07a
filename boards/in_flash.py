"""What serves the imports of an image's modules; it lies in the image itself (rom.py)."""

import io
import sys
from binascii import crc32

import vfs
from machine import mem32
from micropython import const
from uctypes import addressof, bytearray_at

_INDEX = const(28)          # in the image
_ENTRIES = const(32)
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
_GLOBALS = const(4)         # a module: type, dictionary
_CLASS = const(64)          # bytes of a class, with one base
_PARENT = const(60)
_ITEMS = const(12)          # a list or bytes: type, …, …, where its items are
_LENGTH = const(8)


def mount(image, at, names):
    """Make the files of an image importable. names: what has to stay where it is as long as the
    image is mounted; it must not be looked at."""
    vfs.mount(Files(image, names), at)
    sys.path.append(at)
    sys.path.append(at + "/lib")


def take(record):
    """Have the module that is being imported be the one in the flash, of which this is the
    record; then run what is live in it."""
    words = mem32
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
        mem32[at + _PARENT] = id(base)
    return _object(at)


def _object(address):
    """The object at an address."""
    box = [None]
    mem32[mem32[id(box) + _ITEMS]] = address
    return box[0]


def _bytes(address, size):
    """The bytes that lie at an address, without a copy."""
    new = bytearray(16)
    at = addressof(new)
    words = mem32
    words[at] = id(bytes)
    words[at + _LENGTH] = size
    words[at + _ITEMS] = address
    return _object(at)


class Files:
    """The image as a file system, as far as an import needs one."""

    def __init__(self, image, names):
        self._names = names
        self._index = mem32[image + _INDEX]
        self._count = mem32[image + _ENTRIES]

    def mount(self, readonly, mkfs):
        pass

    def umount(self):
        pass

    def _find(self, path):
        key = crc32(path) & _KEY
        words, index = mem32, self._index
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
        size = mem32[self._find(path) + _ENTRY_SIZE]
        return _FILE if size else _DIRECTORY, 0, 0, 0, 0, 0, size, 0, 0, 0

    def open(self, path, mode):
        at = self._find(path)
        return io.BytesIO(_bytes(mem32[at + _ENTRY_DATA], mem32[at + _ENTRY_SIZE]))
