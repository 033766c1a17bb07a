"""The firmware of an ESP32: what is checked of it before a byte is sent.

MicroPython's file holds boot loader, partition table and application as they lie in flash, from
where the boot loader belongs (`flash_offset` of a board's facts). The layout is Espressif's,
"Firmware Image Format" and "Partition Tables" in its documentation.
"""

import functools
import hashlib
import operator
import struct
from collections import namedtuple

CHIPS = {0: "ESP32", 2: "ESP32-S2", 5: "ESP32-C3", 9: "ESP32-S3", 12: "ESP32-C2", 13: "ESP32-C6",
         16: "ESP32-H2", 18: "ESP32-P4", 20: "ESP32-C61", 23: "ESP32-C5"}
_MAGIC = 0xE9
_HEADER = struct.Struct("<BBBBI")       # magic, segments, flash mode, its size and speed, entry
_CHIP = struct.Struct("<H")
_CHIP_AT, _HASHED_AT, _SEGMENTS_AT = 12, 23, 24
_SEGMENT = struct.Struct("<II")         # where it is loaded, its length
_MAX_SEGMENTS = 16
_CHECKSUM_SEED = 0xEF
_DESCRIPTION_AT = 32                    # of an application, the first of its data
_DESCRIPTION = struct.Struct("<I140x32s")       # magic; the SHA-256 of the ELF file
_DESCRIPTION_MAGIC = 0xABCD5432
_MEGABYTE = 1 << 20
_MAX_SIZE_CODE = 7                      # 128 MB

_TABLE = 0x8000                         # where MicroPython keeps its partition table
_TABLE_SIZE = 0xC00
_PARTITION = struct.Struct("<HBBII16sI")
_PARTITION_MAGIC, _MD5_MAGIC = 0x50AA, 0xEBEB
_APPLICATION = 0                        # a type of partition

Image = namedtuple("Image", "chip flash_size end")
Partition = namedtuple("Partition", "type subtype offset size label")


def read(content, at=0):
    """The Image that begins at content[at]: `chip` by name, `flash_size` in bytes as its header
    says, `end` of its segments, checksum and hash within the content.

    Raises ValueError where it is damaged or cut off.
    """
    if len(content) < at + _SEGMENTS_AT or content[at] != _MAGIC:
        raise ValueError("no image for an ESP32 begins there (byte 0xE9 is missing)")
    _, _, _, size_and_speed, _ = _HEADER.unpack_from(content, at)
    number, = _CHIP.unpack_from(content, at + _CHIP_AT)
    if size_and_speed >> 4 > _MAX_SIZE_CODE:
        raise ValueError("its header is damaged")
    pieces = [piece for _, piece in _pieces(content, at)]
    position = pieces[-1].stop
    position += 16 - (position - at) % 16       # the checksum is the last byte of a row of 16
    hashed = content[at + _HASHED_AT] == 1
    if len(content) < position + 32 * hashed:
        raise ValueError("it is cut off")
    if hashed:
        good = hashlib.sha256(content[at:position]).digest() == content[position:position + 32]
    else:
        data = b"".join(content[piece] for piece in pieces)
        good = functools.reduce(operator.xor, data, _CHECKSUM_SEED) == content[position - 1]
    if not good:
        raise ValueError("it is damaged: its checksum is wrong")
    return Image(CHIPS.get(number, f"chip {number}"), _MEGABYTE << (size_and_speed >> 4),
                 position + 32 * hashed)


def _pieces(content, at):
    """[(address, slice of the content), …] of the segments of the image there. Raises ValueError.
    """
    count = content[at + 1]
    if not 0 < count <= _MAX_SEGMENTS:
        raise ValueError("its header is damaged")
    found, position = [], at + _SEGMENTS_AT
    for _ in range(count):
        if len(content) < position + _SEGMENT.size:
            raise ValueError("it is cut off")
        address, length = _SEGMENT.unpack_from(content, position)
        position += _SEGMENT.size + length
        found.append((address, slice(position - length, position)))
    return found


def partitions(content, at):
    """The Partitions of the table that begins at content[at]. Raises ValueError."""
    found = []
    for position in range(at, at + _TABLE_SIZE, _PARTITION.size):
        if len(content) < position + _PARTITION.size:
            break
        magic, kind, subtype, offset, size, label, _ = _PARTITION.unpack_from(content, position)
        if magic == _MD5_MAGIC:
            digest = hashlib.md5(content[at:position], usedforsecurity=False).digest()
            if digest != content[position + 16:position + 32]:
                raise ValueError("its partition table is damaged")
            return found
        if magic != _PARTITION_MAGIC:
            break
        found.append(Partition(kind, subtype, offset, size,
                               label.rstrip(b"\0").decode(errors="replace")))
    raise ValueError("it has no partition table: is it the application alone?")


def check(content, facts):
    """The Image of the boot loader in a whole firmware for a board with these Facts.

    Raises ValueError, with what is wrong: it is for another chip, damaged or cut off.
    """
    if not content:
        raise ValueError("the file is empty")
    loader = read(content)
    if loader.chip != facts.chip:
        raise ValueError(f"it is for the {loader.chip}, and {facts.board} has an {facts.chip}")
    for part, begin in _applications(content, facts):
        application = read(content, begin)
        if application.chip != facts.chip:
            raise ValueError(f"its application is for the {application.chip}")
        if application.end > begin + part.size:
            raise ValueError("its application is larger than the place for it")
        return loader
    raise ValueError("it has no application: it is cut off")


def _applications(content, facts):
    """(Partition, where in the content) of each application that a whole firmware brings; there
    may be places for others, where an update would put them."""
    for part in partitions(content, _TABLE - facts.flash_offset):
        begin = part.offset - facts.flash_offset
        if part.type == _APPLICATION and 0 <= begin < len(content):
            yield part, begin


def segments(content, facts):
    """[(address at which it is loaded or mapped, bytes), …] of the application in a whole
    firmware for a board with these Facts. Raises ValueError, see check()."""
    check(content, facts)
    _, begin = next(_applications(content, facts))
    return [(address, content[piece]) for address, piece in _pieces(content, begin)]


def build(content, facts):
    """The hash by which the build of the application in a whole firmware, checked, is known: as a
    board says it, in hexadecimal digits. None where it has none."""
    for part in partitions(content, _TABLE - facts.flash_offset):
        at = part.offset - facts.flash_offset + _DESCRIPTION_AT
        if part.type == _APPLICATION and 0 <= at <= len(content) - _DESCRIPTION.size:
            magic, digest = _DESCRIPTION.unpack_from(content, at)
            return digest.hex() if magic == _DESCRIPTION_MAGIC else None
    return None


def check_fit(content, facts, flash_size):
    """Raises ValueError where a whole firmware, checked, needs more than flash_size bytes."""
    needed = max(read(content).flash_size, facts.flash_offset + len(content))
    if needed > flash_size:
        raise ValueError(f"it needs {-(-needed // _MEGABYTE)} MB of flash, and the board has "
                         f"{flash_size // _MEGABYTE} MB")
