"""An image of modules for a place in a board's flash, whose code runs where it lies there.

Stock firmware of the Pico W and of the ESP32 copies the code of an .mpy file into its memory, and
has no ROMFS. But between firmware and file system some flash is free, which is in the address
space or can be mapped there (boards/esp32/firmware_calls.py), and what the firmware has for a function
in memory only points to its code. So of each module the image has

  code       the firmware's own records of its functions, ready, and all that they point to;
  skeleton   the .mpy file without the code: names and constants, which the firmware must load,
             and a body that asks in_place.body for the function that is the module's own body,
             and calls it.

boards/in_place.py mounts the image so that the skeletons are importable files, after it
has looked whether this firmware's records are as they are here. The records have words of 32 bits:

  function   indicator u16 = 0, kind u8, is a generator u8, code u32, inner functions u32
  image      MAGIC, size u32, CRC-32 u32 of all that follows, sys.implementation._mpy u32,
             where its index is u32, entries of that u32, addresses for which it was made u32: of
             its data, and of its machine code; code; skeletons; index
  index      for each file and directory: key u32, 30 bits of the CRC-32 of "/PATH"; address u32;
             size u32, of a directory 0; in the order of keys, so that it can be bisected
"""

import binascii
import struct

from host_tools.boards import mpy

MAGIC = b"FILAIMG2"
_HEAD = struct.Struct("<8s7I")
_CHECKED = 16               # the CRC begins there
_RECORD = struct.Struct("<HBBII")
_KINDS = {mpy.BYTECODE: 2, mpy.NATIVE: 3, mpy.VIPER: 4}     # as the firmware numbers them
_WORD = 4
_GENERATOR = 1              # of a function's flags
_LOADER, _BODY = b"in_place", b"body"


def image(files, address, code=None):
    """The bytes of {path: content of an .mpy} for this address, which is a multiple of 4.

    code: another address where the same bytes are for the processor's instructions, if it has a
    bus of its own for them. Raises ValueError for anything that is no .mpy file of one
    architecture.
    """
    modules = {path: mpy.parse(content) for path, content in sorted(files.items())}
    feature = max(module.features[0] for module in modules.values())
    # A file without machine code says nothing of an architecture.
    if {module.features[0] >> 2 for module in modules.values()} - {0, feature >> 2}:
        raise ValueError("files for several architectures")
    code = address if code is None else code
    memory = _Memory(address + _HEAD.size, code - address)
    records = {path: memory.function(module.code) for path, module in modules.items()}
    index = {_key(directory): (0, 0) for path in modules for directory in _directories(path)}
    entries = len(index) + len(modules)
    for path, module in modules.items():
        content = _skeleton(module, records[path])
        index[_key(path)] = memory.put(content), len(content)
    if len(index) != entries:
        raise ValueError("two paths have one key; rename a module")
    start = memory.put(b"".join(struct.pack("<3I", key, *where)
                                for key, where in sorted(index.items()))) - address
    body = struct.pack("<5I", 6 | feature << 8, start, len(index), address,
                       code) + memory.content
    return MAGIC + struct.pack("<2I", _CHECKED + len(body), binascii.crc32(body)) + body


def check(content, architecture, address, code=None):
    """Raises ValueError where this is no whole image for such code and these addresses."""
    if content[:len(MAGIC)] != MAGIC or len(content) < _HEAD.size:
        raise ValueError("it is none, or cut off")
    _, size, checksum, version, _, _, *made_for = _HEAD.unpack_from(content)
    if size != len(content) or checksum != binascii.crc32(content[_CHECKED:]):
        raise ValueError("it is damaged or cut off")
    number = version >> 10
    if number not in (0, mpy.ARCHITECTURES.index(architecture)) or \
            made_for != [address, address if code is None else code]:
        raise ValueError("it was made for another board, or with other facts of this one")


def _key(path):
    return binascii.crc32(b"/" + path.encode()) & 0x3FFFFFFF


def _directories(path):
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


class _Memory:
    """What is laid out from an address on; `shift` bytes behind is its machine code's address."""

    def __init__(self, start, shift):
        self.content = bytearray()
        self._start = start
        self._shift = shift

    def put(self, data):
        """Returns the address where it lies, a multiple of 4."""
        self.content += bytes(-len(self.content) % _WORD)
        self.content += data
        return self._start + len(self.content) - len(data)

    def function(self, code):
        """The address of the record of a function."""
        data = self.put(code.data)
        inner = [self.function(child) for child in code.children]
        prelude = data if code.kind == mpy.BYTECODE else None
        if code.kind == mpy.NATIVE:             # its prelude comes after the functions inside
            prelude = data + code.prelude
            inner.append(prelude)
        table = (prelude if inner == [prelude] else
                 self.put(struct.pack(f"<{len(inner)}I", *inner)) if inner else 0)
        flags = 0 if prelude is None else _flags(code.data[prelude - data:])
        data += 0 if code.kind == mpy.BYTECODE else self._shift
        return self.put(_RECORD.pack(0, _KINDS[code.kind], flags & _GENERATOR, data, table))


def _flags(prelude):
    """The scope flags in a prelude, whose bytes but the first are xFSSKAED."""
    flags = 0
    for number, byte in enumerate(prelude):
        flags |= bool(number and byte & 0x40) << (number - 1 if number else 0)
        if byte < 0x80:
            return flags
    raise ValueError("a prelude is cut short")


def _skeleton(module, record):
    """An .mpy file with a module's names and constants that has its code run."""
    names = len(module.names)
    strings = module.strings + b"".join(
        mpy.uint(len(name) << 1) + name + b"\0" for name in (_LOADER, _BODY))
    inner = bytes([0x00, 0x02, 0x00, 0x51, 0x63])           # returns None
    outer = (b"\x38\x02\x00"                                 # a stack of eight; no name
            b"\x80\x51\x1b" + mpy.uint(names)                  # from 0, None: import in_place
            + b"\x14" + mpy.uint(names + 1)                    # its method body
            + b"\x32\x00"                                   # the inner function
            + b"\x22" + _signed(record)
            + b"\x36\x02"                                   # called with both
            + b"\x34\x00\x63")                             # call what it gives; return
    return (b"M\x06" + module.features + mpy.uint(names + 2) + mpy.uint(module.n_objects) + strings
            + module.objects + mpy.uint(len(outer) << 3 | 4) + outer
            + mpy.uint(1) + mpy.uint(len(inner) << 3) + inner)


def _signed(value):
    """A number that is not negative as a signed one: the second bit of all is its sign."""
    encoded = mpy.uint(value)
    return b"\x80" + encoded if encoded[0] & 0x40 else encoded
