"""UF2: what is copied onto the drive that a board in its boot loader is, to be written to flash.

The format is Microsoft's: blocks of 512 bytes, each with the address of the bytes in it. A chip
takes those of its own family, and acts when it has seen all of them.
"""

import struct
from collections import namedtuple

RP2040 = 0xE48BFF56         # the family of chips that is to take it
ABSOLUTE = 0xE48BFF57       # any of Raspberry Pi's
FAMILIES = {RP2040: "RP2040", ABSOLUTE: "any RP2 chip", 0xE48BFF58: "data of an RP2350",
            0xE48BFF59: "RP2350 (Arm)", 0xE48BFF5A: "RP2350 (RISC-V)",
            0xE48BFF5B: "RP2350 (Arm, not secure)", 0x1C5F21B0: "ESP32"}
FLASH = 0x10000000          # where an RP2 has its flash in the address space
BLOCK = 512
_BLOCK = struct.Struct("<8I476sI")
_MAGIC = 0x0A324655, 0x9E5D5157, 0x0AB16F30
_NOT_FLASH, _FAMILY_GIVEN = 0x1, 0x2000
_PAGE, _SECTOR = 256, 4096
# The first block of a file for an RP2350: it mends the erratum E10, and is numbered as if there
# were a second one.
_E10_ADDRESS = 0x10FFFF00

Block = namedtuple("Block", "address number total family data")


def encode(content, address, family=RP2040):
    """The UF2 file that puts `content` at this address, the start of a sector of 4096 bytes.

    The boot loader erases whole sectors, so the last one is filled up with erased bytes.
    """
    if address % _SECTOR:
        raise ValueError(f"{address:#x} is not the start of a sector")
    content += b"\xff" * (-len(content) % _SECTOR)
    pages = [content[at:at + _PAGE] for at in range(0, len(content), _PAGE)]
    return b"".join(_encoded(Block(address + number * _PAGE, number, len(pages), family, page))
                    for number, page in enumerate(pages))


def _encoded(block):
    return _BLOCK.pack(*_MAGIC[:2], _FAMILY_GIVEN, block.address, len(block.data), block.number,
                       block.total, block.family, block.data, _MAGIC[2])


def decode(content):
    """The Blocks of a UF2 file that belong into flash, in its order.

    Raises ValueError for anything that is no UF2 file or is cut off within a block.
    """
    if not content:
        raise ValueError("the file is empty")
    if len(content) % BLOCK:
        raise ValueError("it is cut off, or no UF2 file: its size is no multiple of 512 bytes")
    found = []
    for at in range(0, len(content), BLOCK):
        one, two, flags, address, size, number, total, family, data, three = \
            _BLOCK.unpack_from(content, at)
        if (one, two, three) != _MAGIC:
            raise ValueError(f"block {at // BLOCK} of it is no UF2 block")
        if flags & _NOT_FLASH:
            continue
        if not flags & _FAMILY_GIVEN:
            raise ValueError("it does not say for which chip it is")
        if size > len(data):
            raise ValueError(f"block {at // BLOCK} of it is damaged")
        found.append(Block(address, number, total, family, data[:size]))
    return found


def check(content, family, flash_size):
    """The Blocks of a UF2 file for chips of this family with so many bytes of flash.

    Raises ValueError, with what is wrong: it is for other chips, blocks are missing or come
    twice, or an address is outside of the flash.
    """
    blocks = [block for block in decode(content) if not _mends_e10(block)]
    for block in blocks:
        if block.family != family:
            name = FAMILIES.get(block.family, f"family {block.family:#x}")
            raise ValueError(f"it is for the {name}, and not for the {FAMILIES[family]}")
        if block.address % _PAGE or len(block.data) != _PAGE:
            raise ValueError(f"it has a block that is no page of flash ({block.address:#x})")
        if not FLASH <= block.address < FLASH + flash_size:
            raise ValueError(f"it writes outside of the {flash_size >> 20} MB of flash "
                             f"({block.address:#x})")
    if not blocks or {block.total for block in blocks} != {len(blocks)}:
        raise ValueError("it is cut off: blocks are missing")
    if [block.number for block in blocks] != list(range(len(blocks))) \
            or len({block.address for block in blocks}) != len(blocks):
        raise ValueError("it is damaged: its blocks are out of order, or come twice")
    return blocks


def _mends_e10(block):
    return block.family == ABSOLUTE and block.address == _E10_ADDRESS


def join(*contents):
    """One UF2 file of several, each checked, for the same chips.

    A board leaves its boot loader as soon as it has all blocks of a file. Raises ValueError where
    two write to the same place.
    """
    files = [decode(content) for content in contents]
    blocks = [block for file in files for block in file if not _mends_e10(block)]
    if len({block.address for block in blocks}) != len(blocks):
        raise ValueError("two of the UF2 files write to the same place in flash")
    first = [block for file in files for block in file if _mends_e10(block)][:1]
    return b"".join(map(_encoded, [*first, *(
        block._replace(number=number, total=len(blocks)) for number, block in enumerate(blocks))]))


def memory(content):
    """The bytes that the file puts into flash, one page after the other as they come in it."""
    return b"".join(block.data for block in decode(content))
