"""An image of a program for a place in a board's flash, whose modules lie there as they would lie
in the heap once they were imported.

Stock firmware of the Pico W and of the ESP32 copies the code of an .mpy file into its memory, and
has no ROMFS. But between firmware and file system some flash is free, which is in the address
space or can be mapped there (boards/esp32/firmware_calls.py). An image that knows where one
firmware has its types, built-in objects and names (firmware.py) can have there, ready to be used,
what importing the modules would make (frozen.py tells): code, constants, functions, classes,
the dictionaries of modules and the names in all of these. None of that takes heap; what does is
what changes.

boards/rom.py mounts the image, after it has looked whether this is that firmware;
boards/in_flash.py, which lies in it, has its modules importable as files. Objects have words of 32
bits, as MicroPython 1.27 has them (firmware.py):

  function   type, context of its module, functions inside it, code, defaults
  class      type, flags u16 and name u16, where each slot is u8, slots; see firmware.py
  dict       type, bits: 0 all keys are names, 1 fixed, 2 in order, above: how many; places, table
  module     type, dictionary, names of its code u16 each, constants: its functions' context too
  wrapped    type, functions: staticmethod, classmethod; property has three
  bytes      type, hash = 0 for unknown, length, where they are; a text likewise
  tuple      type, length, objects
  float      type, the value
  int        type, bits: 0 negative, 1 lies elsewhere; digits of 16 bits, where they are

and what is only for the loader:

  image      MAGIC, size u32, CRC-32 u32 of all that follows, sys.implementation._mpy u32;
             addresses for which it was made: of its data, of its machine code; where its index is,
             entries of that; the firmware: where it is looked at, size of that, its CRC-32; where
             it has the last pool of names in RAM, and that pool after a reset; the pool of the
             image's names; the record of FILES
  record     of a module: its name, its context, its LIVE and OFFER (frozen.py) or 0
  index      for each file and directory: key u32, 30 bits of the CRC-32 of "/PATH"; address u32;
             size u32, of a directory 0; in the order of keys, so that it can be bisected. A file
             is an .mpy that says its record to the loader.
"""

import binascii
import struct
from collections import namedtuple

from host_tools.boards import firmware, frozen, mpy

ANY = b"FILAIMG"            # of every version: size and CRC-32 are in the same place in all
MAGIC = ANY + b"5"
FILES = "in_flash"          # the module of the image that serves the imports of all others
_HEAD = struct.Struct("<8s14I")
_CHECKED = 16               # the CRC begins there
_RECORD = struct.Struct("<HBBII")   # of a function that others make: 0, kind, is a generator, …
_KINDS = {mpy.BYTECODE: 2, mpy.NATIVE: 3, mpy.VIPER: 4}     # as the firmware numbers them
_WORD = 4
_GENERATOR = 1              # of a function's flags
_NONE = 6                   # objects that are no addresses
_IMMEDIATE = {None: _NONE, False: 14, True: 30}
_OF_KINDS = {mpy.NONE: None, mpy.FALSE: False, mpy.TRUE: True}
_SMALL = 1 << 30            # beyond which numbers are no words
_DIGIT = 16
_NAMES_BEFORE = 1024        # that may come up before the image is mounted
_THERE = "boot.py", "rom.mpy"   # names that come up in any case, in this order
_PLACES_AFTER = 10          # the pool that the firmware makes after that has twice as many
_ALL_NAMES, _FIXED, _IN_ORDER = 1, 2, 4
_SPECIAL = {"__setattr__", "__delattr__"}
_TAKE = "take"

# One module of a program. path: of its file; frozen: a Frozen; content: its text as an .mpy file.
Part = namedtuple("Part", "path frozen content")
_Laid = namedtuple("_Laid", "kind generator code inner")    # of a function's code


def image(parts, target, address, code=None):
    """The bytes of [Part] for this address, which is a multiple of 4.

    target: the Firmware that it is for. code: another address where the same bytes are for the
    processor's instructions, if it has a bus of its own for them. Raises ValueError for anything
    that is no .mpy file of one architecture, or not what the Frozen says.
    """
    modules = {part.frozen.name: mpy.parse(part.content) for part in parts}
    feature = max(module.features[0] for module in modules.values())
    # A file without machine code says nothing of an architecture.
    if {module.features[0] >> 2 for module in modules.values()} - {0, feature >> 2}:
        raise ValueError("files for several architectures")
    code = address if code is None else code
    names = _Names(target, parts, modules)
    memory = _Memory(address + _HEAD.size, code - address, target, names)
    records = memory.program([part.frozen for part in parts], modules)
    index = {_key(directory): (0, 0) for part in parts for directory in _directories(part.path)}
    entries = len(index) + len(parts)
    for part, content in zip(parts, _skeletons(records)):
        index[_key(part.path)] = memory.put(content), len(content)
    if len(index) != entries:
        raise ValueError("two paths have one key; rename a module")
    start = memory.put(b"".join(struct.pack("<3I", key, *where)
                                for key, where in sorted(index.items())))
    [files] = [record for part, record in zip(parts, records) if part.frozen.name == FILES]
    body = struct.pack("<12I", 6 | feature << 8, address, code, start, len(index), *target.span,
                       target.last_pool, target.pool, memory.names(), files) + memory.content
    return MAGIC + struct.pack("<2I", _CHECKED + len(body), binascii.crc32(body)) + body


def check(content, architecture, target, address, code=None):
    """Raises ValueError where this is no whole image for such code, this Firmware and these
    addresses."""
    if content[:len(MAGIC)] != MAGIC or len(content) < _HEAD.size:
        raise ValueError("it is none, or cut off")
    _, size, checksum, version, *made_for, _, _, start, length, crc = _HEAD.unpack_from(
        content)[:11]
    if size != len(content) or checksum != binascii.crc32(content[_CHECKED:]):
        raise ValueError("it is damaged or cut off")
    number = version >> 10
    if number not in (0, mpy.ARCHITECTURES.index(architecture)) or \
            made_for != [address, address if code is None else code] or \
            (start, length, crc) != tuple(target.span):
        raise ValueError("it was made for another board, or with other facts of this one")


def size_and_crc32(head):
    """What the first bytes of an image, of any version, say. Raises ValueError for others."""
    if head[:len(ANY)] != ANY or len(head) < _CHECKED:
        raise ValueError("it is no image")
    return struct.unpack_from("<2I", head, len(MAGIC))


def _key(path):
    return binascii.crc32(b"/" + path.encode()) & 0x3FFFFFFF


def _directories(path):
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def _skeletons(records):
    """.mpy files that say these records to the loader."""
    sources = {str(number): f"import {FILES}\n{FILES}.{_TAKE}({record:#x})\n"
               for number, record in enumerate(records)}
    return mpy.compiled("armv6m", sources, ("-O3", "-s", FILES)).values()


class _Names:
    """The numbers of names: those of the firmware, and from `first` on those that it lacks."""

    def __init__(self, target, parts, modules):
        wanted = {name.decode() for module in modules.values() for name in module.names
                  if isinstance(name, bytes)} | {"__module__", "__qualname__"}
        for part in parts:
            wanted.update(part.frozen.globals, (part.frozen.name,))
            for entity in part.frozen.globals.values():
                if isinstance(entity, frozen.Class):
                    wanted.update((entity.name, *(name for name, _ in entity.members)))
        self.first = len(target.names) + _NAMES_BEFORE
        self.new = sorted(wanted - target.numbers.keys())
        self._numbers = target.numbers | {
            name: self.first + number for number, name in enumerate(self.new)}

    def number(self, name):
        """Of a name of an .mpy file, which may have the number already, or of a text."""
        if isinstance(name, int):
            return name
        return self._numbers[name.decode() if isinstance(name, bytes) else name]

    def word(self, text):
        """The object that a name is, None for a text that is none."""
        number = self._numbers.get(text)
        return None if number is None else number << 3 | 2


class _Memory:
    """What is laid out from an address on; `shift` bytes behind is its machine code's address."""

    def __init__(self, start, shift, target, names):
        self.content = bytearray()
        self._start = start
        self._shift = shift
        self._firmware = target
        self._types = target.types
        self._names = names
        self._there = {}            # what -> its word; of those that are alike one is enough
        self._codes = {}            # module -> code
        self._contexts = {}         # module -> address
        self._subclassed = set()    # (module, name) of classes

    # --- bytes ---------------------------------------------------------------------------------

    def put(self, data, multiple=_WORD):
        """Returns the address where it lies, a multiple of 4 or of another number."""
        self.content += bytes(-len(self.content) % multiple)
        self.content += data
        return self._start + len(self.content) - len(data)

    def words(self, *words):
        return self.put(struct.pack(f"<{len(words)}I", *words))

    def _fill(self, address, *words):
        struct.pack_into(f"<{len(words)}I", self.content, address - self._start, *words)

    def names(self):
        """The address of the pool of new names."""
        before = self._pool(self._firmware.pool, len(self._firmware.names), _THERE)
        return self._pool(before, self._names.first, self._names.new)

    def _pool(self, previous, first, names):
        encoded = [name.encode() for name in names]
        of_hash, of_length = self._firmware.bytes_in_hash, self._firmware.bytes_in_length
        hashes = b"".join(self._firmware.hash(name).to_bytes(of_hash, "little") for name in names)
        lengths = b"".join(len(name).to_bytes(of_length, "little") for name in encoded)
        addresses = [self.put(name + b"\0") for name in encoded]
        return self.words(previous, first, _PLACES_AFTER, len(encoded), self.put(hashes),
                          self.put(lengths), *addresses)

    # --- modules -------------------------------------------------------------------------------

    def program(self, parts, modules):
        """The addresses of the records of [Frozen], whose code is in {name: mpy.Module}."""
        for part in parts:
            self._contexts[part.name] = self.words(0, 0, 0, 0)
            for entity in part.globals.values():
                if isinstance(entity, frozen.Class):
                    self._subclassed.update((base.module, base.name) for base in entity.bases)
        self._codes = {part.name: modules[part.name].code for part in parts}
        return [self._module(part, modules[part.name]) for part in parts]

    def _module(self, part, module):
        context = self._contexts[part.name]
        members = {name: entity for name, entity in part.globals.items()
                   if not isinstance(entity, frozen.Live)}
        members["__name__"] = frozen.Literal(part.name)
        table = b"".join(struct.pack("<H", self._names.number(name)) for name in module.names)
        self._fill(context, self._types["module"], self._dict(members), self.put(table),
                   self.words(*map(self._constant, module.objects)))
        functions = [self._entity(part.globals[name]) if name in part.globals else 0
                     for name in (frozen.LIVE, frozen.OFFER)]
        return self.words(self._names.word(part.name), context, *functions)

    # --- code ----------------------------------------------------------------------------------

    def _lay(self, code):
        """Lay out a function's code and that of those inside it; returns its _Laid. Bytecode may
        lie anywhere; nobody asks for that of modules and classes, which has been run already."""
        data = self.put(code.data, 1 if code.kind == mpy.BYTECODE else _WORD)
        inner = [self._made(self._lay(child)) for child in code.children]
        table = self.words(*inner) if inner else 0
        prelude = code.data if code.kind == mpy.BYTECODE else None
        if code.kind == mpy.NATIVE:             # its prelude comes after the functions inside
            prelude = code.data[code.prelude:]
            table = self.words(*inner, data + code.prelude) if inner else data + code.prelude
        return _Laid(code.kind, bool(prelude and _flags(prelude) & _GENERATOR),
                     data if code.kind == mpy.BYTECODE else data + self._shift, table)

    def _made(self, laid):
        """The record by which a function inside another is made."""
        return self.put(_RECORD.pack(0, _KINDS[laid.kind], laid.generator, laid.code, laid.inner))

    # --- objects -------------------------------------------------------------------------------

    def _constant(self, constant):
        """The word that is a constant of code."""
        if constant.kind == mpy.FUNCTIONS:
            return self._firmware.fun_table
        return self._entity(_entity(constant))

    def _entity(self, entity):
        """The word that is an Entity."""
        if isinstance(entity, (frozen.Function, frozen.Class)):
            key = (type(entity), entity.module,
                   entity.path if isinstance(entity, frozen.Function) else entity.name)
        else:
            key = repr(entity)          # 1 and True are one as keys
        if key not in self._there:
            self._there[key] = getattr(self, "_" + type(entity).__name__.lower())(entity)
        return self._there[key]

    def _literal(self, entity):
        value = entity.value
        if isinstance(value, int) and not isinstance(value, bool):
            return self._int(value)
        if isinstance(value, str):
            word = self._names.word(value)
            return self._data("str", value.encode()) if word is None else word
        if isinstance(value, float):
            return self.put(struct.pack("<If", self._types["float"], value))
        return self._data("bytes", value) if isinstance(value, bytes) else _IMMEDIATE[value]

    def _int(self, value):
        if abs(value) < _SMALL:
            return (value << 1 | 1) & 0xFFFFFFFF
        digits = []
        left = abs(value)
        while left:
            digits.append(left & (1 << _DIGIT) - 1)
            left >>= _DIGIT
        data = self.put(struct.pack(f"<{len(digits)}H", *digits))
        signs = len(digits) << 2 | 2 | (value < 0)
        return self.words(self._types["int"], signs, len(digits), data)

    def _data(self, kind, value):
        return self.words(self._types[kind], 0, len(value), self.put(value + b"\0"))

    def _tuple(self, entity):
        items = [self._entity(item) for item in entity.items]
        return self.words(self._types["tuple"], len(items), *items)

    def _table(self, entity):
        """A dict in order, in which the firmware looks for a key one by one."""
        items = [(self._entity(key), self._entity(value)) for key, value in entity.items]
        all_names = _ALL_NAMES * all(key & 7 == 2 for key, _ in items)
        return self.words(self._types["dict"], len(items) << 3 | _IN_ORDER | _FIXED | all_names,
                          len(items), self.words(*(word for item in items for word in item)))

    def _dict(self, members):
        """A dict of names, in which the firmware looks by their hashes."""
        items = sorted((name, self._entity(entity)) for name, entity in members.items())
        places = len(items) + len(items) // 3 + 1
        table = [(0, 0)] * places
        for name, word in items:
            at = self._firmware.hash(name) % places
            while table[at][0]:
                at = (at + 1) % places
            table[at] = self._names.word(name), word
        return self.words(self._types["dict"], len(items) << 3 | _FIXED | _ALL_NAMES, places,
                          self.words(*(word for place in table for word in place)))

    def _builtin(self, entity):
        if entity.name is None:
            return self._firmware.module_objects[entity.module]
        return self._firmware.modules[entity.module][entity.name]

    def _object(self, entity):
        return self._contexts[entity.module]

    def _function(self, entity):
        code = self._codes[entity.module]
        for number in entity.path:
            code = code.children[number]
        laid = self._lay(code)
        kind = self._types[_FUNCTION_TYPES[laid.kind, laid.generator]]
        more = [self._entity(value) for value in entity.defaults]
        if entity.keywords:
            more.append(self._dict(dict(entity.keywords)))
        return self.words(kind, self._contexts[entity.module], laid.inner, laid.code, *more)

    def _wrapped(self, entity):
        words = [self._entity(function) for function in entity.functions]
        if entity.kind == "property":
            words += [_NONE] * (3 - len(words))
        return self.words(self._types[entity.kind], *words)

    def _class(self, entity):
        members = dict(entity.members)
        members.setdefault("__module__", frozen.Literal(entity.module))
        members.setdefault("__qualname__", frozen.Literal(entity.name))
        bases = [self._entity(base) for base in entity.bases]
        parent = bases[0] if len(bases) == 1 else bases and self.words(
            self._types["tuple"], len(bases), *bases)
        return self.words(*firmware.class_words(
            self._firmware, self._names.number(entity.name), self._dict(members), parent or 0,
            flags=firmware.SPECIAL_ACCESSORS * self._accesses_specially(entity)
            | firmware.IS_SUBCLASSED * ((entity.module, entity.name) in self._subclassed)))

    def _accesses_specially(self, entity):
        return isinstance(entity, frozen.Class) and (any(
            name in _SPECIAL or isinstance(member, frozen.Wrapped) and member.kind == "property"
            for name, member in entity.members) or any(map(self._accesses_specially,
                                                           entity.bases)))


_FUNCTION_TYPES = {
    (mpy.BYTECODE, False): "fun_bc", (mpy.BYTECODE, True): "gen_wrap",
    (mpy.NATIVE, False): "fun_native", (mpy.NATIVE, True): "native_gen_wrap",
    (mpy.VIPER, False): "fun_viper"}


def _entity(constant):
    """The Entity that a constant of an .mpy file is."""
    if constant.kind in _OF_KINDS:
        return frozen.Literal(_OF_KINDS[constant.kind])
    if constant.kind == mpy.INT:
        return frozen.Literal(int(constant.value))
    if constant.kind == mpy.FLOAT:
        return frozen.Literal(float(constant.value))
    if constant.kind == mpy.STR:
        return frozen.Literal(constant.value.decode())
    if constant.kind == mpy.BYTES:
        return frozen.Literal(constant.value)
    if constant.kind == mpy.TUPLE:
        return frozen.Tuple(tuple(map(_entity, constant.value)))
    raise ValueError("a constant of a kind that an image cannot have")


def _flags(prelude):
    """The scope flags in a prelude, whose bytes but the first are xFSSKAED."""
    flags = 0
    for number, byte in enumerate(prelude):
        flags |= bool(number and byte & 0x40) << (number - 1 if number else 0)
        if byte < 0x80:
            return flags
    raise ValueError("a prelude is cut short")
