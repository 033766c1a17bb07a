"""Puts the image that a slot's program is for into a board's flash, when the one there is another.

    import renewal.image                # boot.py, when the image was not mounted or not right
    renewal.image.renew(error, start, end)      # FLASH_FREE of the board's facts

What runs from an image cannot replace it. So an update brings the new one into its slot, below
slots.IMAGE, in pieces of the file system: NN.z compressed by zlib, NN as they are, in the order of
their names; with it `crc`, the CRC-32 in its head, as hexadecimal digits, and the files of the top
that belong to it, such as rom.mpy. When the board starts that slot, it finds that another image
is mounted. It erases the head of that, which is the end of it, and starts anew; finds none, writes
that of the slot, the head last, and starts anew. Whenever the power goes, the next start finds a
whole image that is right, or one that is to be written: no more is to be known than which slot is
to run. An image that is there and does not start, or whose program is not confirmed, loses its
trial; then the good slot's is put there again in the same way.

These files are at the top of the file system and are installed over serial only: this, slots.py
and place.py, which has the way into the flash (boards/BOARD/place.py).
"""

import deflate
import os
import sys
from binascii import crc32

from micropython import const
from uctypes import bytearray_at

from renewal import place, slots

_BLOCK = const(4096)
_MAGIC = b"FILAIMG"
_SIZE = const(8)            # in the image, see host_tools/boards/in_place.py
_CRC = const(12)
_CHECKED = const(16)
_SPAN = const(36)
_HEAD = const(64)


def renew(error, start, end):
    """Have the next start find the image of the slot that is to run. Returns never.

    error: why it was not mounted, or does not do. Raises that where there is nothing to be done.
    """
    count = (end - start) // _BLOCK
    flash, first = place.device(start, end)
    state = slots.load()
    there = whole(flash, first, count)
    trial = state["trial"]
    over = trial is not None and not (slots.has_main(trial) and slots.image(trial) not in (
        None, there))
    if over:                    # what it is for is there, and that is not enough
        slots.roll_back(state, repr(error))
    slot = state["trial"] or state["good"]
    wanted = slot and slots.image(slot)
    if wanted in (None, there):
        if not over and not slots.end_of_trial():
            raise error
    elif there is None:
        try:
            _put(flash, first, count, slot)
            if whole(flash, first, count) != wanted:
                raise OSError("the flash does not keep the image that is written")
        except Exception as failure:
            if slot != state["trial"]:
                raise
            slots.roll_back(state, repr(failure))
    else:                       # it may be mounted: nothing may be written to but its head
        flash.writeblocks(first, b"\xff" * _BLOCK)
    place.restart()


def whole(flash, first, count):
    """The CRC-32 of the image in the flash, None where there is none that is whole."""
    block = bytearray(_BLOCK)
    flash.readblocks(first, block)
    size, crc = _word(block, _SIZE), _word(block, _CRC)
    if block[:len(_MAGIC)] != _MAGIC or not _HEAD <= size <= count * _BLOCK:
        return None
    found, at = crc32(memoryview(block)[_CHECKED:min(size, _BLOCK)]), _BLOCK
    while at < size:
        first += 1
        flash.readblocks(first, block)
        found = crc32(memoryview(block)[:min(size - at, _BLOCK)], found)
        at += _BLOCK
    return crc if found & 0xffffffff == crc else None


def _put(flash, first, count, slot):
    """Write a slot's image, its head last. Raises OSError when it does not fit this board."""
    top = slots.root + "/" + slot + slots.IMAGE + "/"
    names = sorted(os.listdir(top))
    head = None
    index = 0
    print("writing the image of slot", slot)
    for name in names:
        if not name[:2].isdigit():
            continue
        for block in _blocks(top + name):
            if head is None:
                head = bytes(block)
                _check(head, count)
            elif index < count:
                flash.writeblocks(first + index, block)
            index += 1
    if head is None:
        raise OSError("the slot's image is not there")
    for name in names:
        if name.endswith(".mpy"):
            _install(top + name, slots.root + "/" + name)
    flash.writeblocks(first, head)


def _check(head, count):
    start, size, crc = (_word(head, _SPAN + at) for at in (0, 4, 8))
    if head[:len(_MAGIC)] != _MAGIC or _word(head, _SIZE) > count * _BLOCK or \
            crc32(bytearray_at(start, size)) & 0xffffffff != crc:
        raise OSError("the slot's image is for another firmware")


def _blocks(path):
    """The blocks in a piece; the last one is filled up as erased flash is."""
    block = bytearray(_BLOCK)
    view = memoryview(block)
    with open(path, "rb") as file:
        data = deflate.DeflateIO(file, deflate.ZLIB) if path.endswith(".z") else file
        while True:
            size = 0
            while size < _BLOCK:
                more = data.readinto(view[size:])
                if not more:
                    break
                size += more
            if not size:
                return
            block[size:] = b"\xff" * (_BLOCK - size)
            yield block


def _install(source, path):
    with open(source, "rb") as file, open(path + ".new", "wb") as target:
        target.write(file.read())
    os.rename(path + ".new", path)


def _word(data, at):
    return int.from_bytes(data[at:at + 4], "little")
