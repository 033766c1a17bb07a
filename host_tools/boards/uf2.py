"""UF2: what is copied onto the drive that a board in its boot loader is, to be written to flash."""

import struct

RP2040 = 0xE48BFF56         # the family of chips that is to take it
_BLOCK = struct.Struct("<8I476sI")
_MAGIC = 0x0A324655, 0x9E5D5157, 0x0AB16F30
_FAMILY_GIVEN = 0x2000
_PAGE, _SECTOR = 256, 4096


def encode(content, address, family=RP2040):
    """The UF2 file that puts `content` at this address, the start of a sector of 4096 bytes.

    The boot loader erases whole sectors, so the last one is filled up with erased bytes.
    """
    if address % _SECTOR:
        raise ValueError(f"{address:#x} is not the start of a sector")
    content += b"\xff" * (-len(content) % _SECTOR)
    pages = [content[at:at + _PAGE] for at in range(0, len(content), _PAGE)]
    return b"".join(
        _BLOCK.pack(*_MAGIC[:2], _FAMILY_GIVEN, address + number * _PAGE, _PAGE, number,
                    len(pages), family, page, _MAGIC[2])
        for number, page in enumerate(pages))
