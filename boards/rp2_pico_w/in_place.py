"""Mounts the image of modules that lies in the flash of a board, so that they are importable.

    import in_place                     # in boot.py
    in_place.mount(0x100F0000)          # where filament.uf2 has put it
    import mpcore

Their code runs where it lies: the heap has only their names, constants and functions' records.
How that works, and what an image is like: host_tools/boards/in_place.py.
"""

import gc
import io
import sys
from binascii import crc32

import machine
import micropython
import vfs
from micropython import const
from uctypes import addressof, bytearray_at

_words = machine.mem32

_SIZE = const(8)
_CRC = const(12)
_CHECKED = const(16)
_MPY = const(16)
_NO_MACHINE_CODE = const(0xff)
_INDEX = const(20)
_INDEX_SIZE = const(24)
_DIRECTORY = const(0x4000)
_FILE = const(0x8000)
_NO_FILE = const(2)

_CONTEXT = const(4)         # a function in memory: type, context, functions inside it, code
_INNER = const(8)
_CODE = const(12)
_RECORD_CODE = const(4)     # the record of which functions are made; its first word is the kind
_RECORD_INNER = const(8)
_BYTECODE = const(0x20000)


@micropython.asm_thumb
def _object(r0) -> object:
    """The object at an address."""
    nop()


def body(function, record, names, size):
    """The function of which this is the record, in the module that `function` is from. Modules
    whose names lie at this address are imported now."""
    for name in str(bytearray_at(names, size), "ascii").split():
        __import__(name)
    new = bytearray(16)
    at = addressof(new)
    words = _words
    words[at] = words[id(function)]
    words[at + _CONTEXT] = words[id(function) + _CONTEXT]
    words[at + _INNER] = words[record + _RECORD_INNER]
    words[at + _CODE] = words[record + _RECORD_CODE]
    return _object(at)


def _as_expected():
    """Whether this firmware has functions and their records as the image has them."""
    def outer():
        def inner():
            pass
        return inner

    words = _words
    inner = outer()
    if words[id(outer)] != id(type(outer)) or words[id(inner) + _CONTEXT] != \
            words[id(outer) + _CONTEXT]:
        return False
    record = words[words[id(outer) + _INNER]]
    return (words[record] == _BYTECODE and words[record + _RECORD_INNER] == 0
            and words[record + _RECORD_CODE] == words[id(inner) + _CODE])


def mount(address, at="/rom"):
    """Make the image at an address of the flash importable. Raises OSError saying why not."""
    if bytes(bytearray_at(address, 8)) != b"FILAIMG1":
        raise OSError("no image at 0x%x: copy filament.uf2" % address)
    size = _words[address + _SIZE]
    if size > 1 << 20 or _words[address + _CRC] & 0xffffffff != crc32(
            bytearray_at(address + _CHECKED, size - _CHECKED)):
        raise OSError("the image is damaged: copy filament.uf2 again")
    ours = sys.implementation._mpy
    if _words[address + _MPY] not in (ours, ours & _NO_MACHINE_CODE) or not _as_expected():
        raise OSError("the image is for another firmware")
    vfs.mount(_Files(address), at)
    sys.path.append(at)
    sys.path.append(at + "/lib")


class _Files:
    """The image as a file system, as far as an import needs one."""

    def __init__(self, address):
        self._index = bytearray_at(address + _words[address + _INDEX],
                                   _words[address + _INDEX_SIZE])

    def mount(self, readonly, mkfs):
        pass

    def umount(self):
        pass

    def stat(self, path):
        find = self._index.find
        if find(b"\n%s " % path) >= 0:
            mode = _FILE
        elif find(b"\n%s/" % path) >= 0:
            mode = _DIRECTORY
        else:
            raise OSError(_NO_FILE)
        return mode, 0, 0, 0, 0, 0, 0, 0, 0, 0

    def open(self, path, mode):
        index = self._index
        key = b"\n%s " % path
        start = index.find(key)
        if start < 0:
            raise OSError(_NO_FILE)
        start += len(key)
        gc.collect()        # or what a module leaves behind would lie between what is to stay
        address, size = bytes(index[start:index.find(b"\n", start)]).split()
        return io.BytesIO(bytearray_at(int(address), int(size)))
