"""An image of modules for a place in a board's flash, whose code runs where it lies there.

Stock firmware of the Pico W and of the ESP32 copies the code of an .mpy file into its memory, and
has no ROMFS. But between firmware and file system some flash is free, which is in the address
space or can be mapped there (boards/esp32/firmware_calls.py), and what the firmware has for a
function in memory only points to its code. So of each module the image has

  code       the firmware's own records of its functions, ready, and all that they point to;
  constants  texts, bytes and tuples of such, as the firmware has them in memory; only where it is
             known which firmware that is, as they begin with the address of their type;
  skeleton   the .mpy file without all that: names, which the firmware must load, and a body that
             asks in_place.body for the function that is the module's own body, and calls it.

boards/in_place.py mounts the image so that the skeletons are importable files, after it
has looked whether this firmware's records are as they are here. The records have words of 32 bits:

  function   indicator u16 = 0, kind u8, is a generator u8, code u32, inner functions u32
  module     the record of its body; its constants u32, 0 for none, each a word; how many of these
             are to be copied u32, or 0 where the firmware can use the table as it is. One of 0 is
             in the skeleton.
  bytes      type u32, hash u32 = 0 for unknown, length u32, where they are u32; a text likewise
  tuple      type u32, length u32, objects
  image      MAGIC, size u32, CRC-32 u32 of all that follows, sys.implementation._mpy u32,
             where its index is u32, entries of that u32, addresses for which it was made u32: of
             its data, and of its machine code; types u32: of bytes, texts, tuples, or 0; code and
             constants; skeletons; index
  index      for each file and directory: key u32, 30 bits of the CRC-32 of "/PATH"; address u32;
             size u32, of a directory 0; in the order of keys, so that it can be bisected
"""

import binascii
import struct

from host_tools.boards import mpy

MAGIC = b"FILAIMG3"
_HEAD = struct.Struct("<8s10I")
_CHECKED = 16               # the CRC begins there
_RECORD = struct.Struct("<HBBII")
_KINDS = {mpy.BYTECODE: 2, mpy.NATIVE: 3, mpy.VIPER: 4}     # as the firmware numbers them
_WORD = 4
_GENERATOR = 1              # of a function's flags
_IMMEDIATE = {mpy.NONE: 6, mpy.FALSE: 14, mpy.TRUE: 30}     # objects that are no addresses
_SMALL = 1 << 30            # beyond which numbers are no words
_LOADER, _BODY = b"in_place", b"body"


def image(files, address, code=None, types=None):
    """The bytes of {path: content of an .mpy} for this address, which is a multiple of 4.

    code: another address where the same bytes are for the processor's instructions, if it has a
    bus of its own for them. types: the firmware's addresses of bytes, str and tuple, if it is
    known. Raises ValueError for anything that is no .mpy file of one architecture.
    """
    modules = {path: mpy.parse(content) for path, content in sorted(files.items())}
    feature = max(module.features[0] for module in modules.values())
    # A file without machine code says nothing of an architecture.
    if {module.features[0] >> 2 for module in modules.values()} - {0, feature >> 2}:
        raise ValueError("files for several architectures")
    code = address if code is None else code
    memory = _Memory(address + _HEAD.size, code - address, types)
    laid = {path: memory.module(module) for path, module in modules.items()}
    index = {_key(directory): (0, 0) for path in modules for directory in _directories(path)}
    entries = len(index) + len(modules)
    for path, module in modules.items():
        content = _skeleton(module, *laid[path])
        index[_key(path)] = memory.put(content), len(content)
    if len(index) != entries:
        raise ValueError("two paths have one key; rename a module")
    start = memory.put(b"".join(struct.pack("<3I", key, *where)
                                for key, where in sorted(index.items()))) - address
    body = struct.pack("<8I", 6 | feature << 8, start, len(index), address, code,
                       *(types or (0, 0, 0))) + memory.content
    return MAGIC + struct.pack("<2I", _CHECKED + len(body), binascii.crc32(body)) + body


def check(content, architecture, address, code=None, types=None):
    """Raises ValueError where this is no whole image for such code and these addresses."""
    if content[:len(MAGIC)] != MAGIC or len(content) < _HEAD.size:
        raise ValueError("it is none, or cut off")
    _, size, checksum, version, _, _, *made_for = _HEAD.unpack_from(content)
    if size != len(content) or checksum != binascii.crc32(content[_CHECKED:]):
        raise ValueError("it is damaged or cut off")
    number = version >> 10
    if number not in (0, mpy.ARCHITECTURES.index(architecture)) or \
            made_for != [address, address if code is None else code, *(types or (0, 0, 0))]:
        raise ValueError("it was made for another board, or with other facts of this one")


def _key(path):
    return binascii.crc32(b"/" + path.encode()) & 0x3FFFFFFF


def _directories(path):
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


class _Memory:
    """What is laid out from an address on; `shift` bytes behind is its machine code's address."""

    def __init__(self, start, shift, types):
        self.content = bytearray()
        self._start = start
        self._shift = shift
        self._types = types
        self._constants = {}        # Object -> word; of those that are alike one is enough

    def put(self, data):
        """Returns the address where it lies, a multiple of 4."""
        self.content += bytes(-len(self.content) % _WORD)
        self.content += data
        return self._start + len(self.content) - len(data)

    def module(self, module):
        """(address of the record of a module, its constants that the skeleton has to have)."""
        words = [self._constant(each) for each in module.objects]
        left = b"".join(b"%c" % mpy.NONE if word else each.data
                        for word, each in zip(words, module.objects))
        mixed = 0 in words
        table = self.put(struct.pack(f"<{len(words)}I", *words)) if any(words) else 0
        record = self.function(module.code)
        self.put(struct.pack("<2I", table, len(words) if table and mixed else 0))
        return record, ((len(words), left) if mixed else (0, b""))

    def _constant(self, constant):
        """The word that is an object; 0 where only the firmware can make it."""
        if constant.kind in _IMMEDIATE:
            return _IMMEDIATE[constant.kind]
        if constant.kind == mpy.INT and abs(int(constant.value)) < _SMALL:
            return (int(constant.value) << 1 | 1) & 0xFFFFFFFF
        if self._types is None:
            return 0
        if constant not in self._constants:
            self._constants[constant] = self._put_constant(constant)
        return self._constants[constant]

    def _put_constant(self, constant):
        of_bytes, of_str, of_tuple = self._types
        if constant.kind in (mpy.STR, mpy.BYTES):
            data = self.put(constant.value)
            return self.put(struct.pack("<4I", of_str if constant.kind == mpy.STR else of_bytes, 0,
                                        len(constant.value) - 1, data))
        if constant.kind == mpy.TUPLE:
            words = [self._constant(each) for each in constant.value]
            if all(words):
                return self.put(struct.pack(f"<{2 + len(words)}I", of_tuple, len(words), *words))
        return 0

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


def _skeleton(module, record, constants):
    """An .mpy file with a module's names that has its code run.

    constants: how many it has of its own, and these.
    """
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
    n_objects, objects = constants
    return (b"M\x06" + module.features + mpy.uint(names + 2) + mpy.uint(n_objects) + strings
            + objects + mpy.uint(len(outer) << 3 | 4) + outer
            + mpy.uint(1) + mpy.uint(len(inner) << 3) + inner)


def _signed(value):
    """A number that is not negative as a signed one: the second bit of all is its sign."""
    encoded = mpy.uint(value)
    return b"\x80" + encoded if encoded[0] & 0x40 else encoded
