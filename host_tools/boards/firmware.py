"""What stock firmware has ready: the numbers of its names, and where its objects are.

    firmware = load("rp2_pico_w")
    firmware.numbers["append"], firmware.modules["time"]["sleep_ms"], firmware.types["dict"]

An image that is made for one firmware can then have names, functions, classes and modules ready,
which otherwise take heap. boards/BOARD/firmware.json has it of the one firmware that in_place.py
may make such images for; `span` tells whether a board runs that. firmware_file.py writes it.

Layouts, of MicroPython 1.27 on such boards. All fields are words of 32 bits, the first at offset
0, unless it is said otherwise; "…" means as many as there are.

  object     number N, of 31 bits, is N << 1 | 1; name Q is Q << 3 | 2; None 6, False 14, True 30;
             any other the address of a struct, a multiple of 4, that begins with that of its type
  hash       of a name: h = 5381, then h = h * 33 ^ byte for each, of that the lowest
             `bytes_in_hash` bytes; 1 instead of 0
  pool       previous pool; how many numbers are before its own, | 1 << 31 if its names are in the
             order of their bytes; places; names in it; address of their hashes; of their lengths;
             addresses of their texts, each with a zero behind it, …. Number 0 is no name. Names
             are looked for from the last pool to the first, and a number in the last one that
             does not begin behind it. A new name gets into the last one if names < places, else
             into a new one with twice as many places
  map        used << 3 | in order << 2 | fixed << 1 | all keys are names; places; address of a
             table of (key, value) …, where a key 0 is free, and 4 was removed. If it is in order,
             as all maps in the firmware are, it is looked through from the start, up to `used`;
             else a name is at the place that is its hash modulo places, or after that, the first
             place being after the last, before any free one
  dict       type; map: 16 bytes
  module     type; its dict. One in Python also has its constants: address of the names, u16 each,
             and of the objects that its code mentions; it is the context of its functions. (Code
             that was not imported has a context without a type.)
  function   type, which is fun_bc, gen_wrap, fun_native, native_gen_wrap or fun_viper; context;
             table of functions inside; code; default values … of the last arguments by position;
             if any by keyword have some, their dict. How many it does not say: its prelude does
  closure    type; function; count; cells …. A cell is its type and an object
  class      type; flags u16; number of its name u16; twelve u8 in the order of SLOTS: which of the
             words behind that slot is, from 1, or 0 for none; words …. class_words() makes one
             like the firmware's, which has ten words; or eleven with a base, the last being that
             or a tuple of several; or twelve with one that has a "protocol", the last being that.
             Of the flags IS_SUBCLASSED is set in each base that is no type of the firmware, and
             SPECIAL_ACCESSORS if a base has it, or its dict has __setattr__ or __delattr__, a
             property, or any object with __get__, __set__ or __delete__. Its dict has __module__
             and __qualname__, and a function __new__ is in a staticmethod there
  property   type; getter; setter; deleter, each an object or None
  staticmethod, classmethod      type; function
  tuple      type; count; objects …
  str, bytes type; hash, or 0 for unknown; length; address of them, with a zero behind
  int        type; negative | fixed << 1 | places << 2; digits used; address of these, u16 each,
             the lowest first
  float      type; value, of IEEE 754

What the firmware writes to is: the flags of a class from which one is derived, even if nothing
changes; a dict that is not fixed (a fixed one refuses, a class's without a word); cells, lists,
instances. The garbage collector looks for nothing in flash: what is there must not be all that
points to an object in memory.
"""

import functools
import json
import re
import struct
from collections import namedtuple
from dataclasses import asdict, dataclass

from host_tools.unix_port import ROOT

SLOTS = ("make_new", "print", "call", "unary_op", "binary_op", "attr", "subscr", "iter", "buffer",
         "protocol", "parent", "locals_dict")
CODE_SLOTS = 9              # of a class, before what is its own
IS_SUBCLASSED, SPECIAL_ACCESSORS = 1, 2     # flags of a class
TYPES = ("array", "bound_method", "bytearray", "bytes", "classmethod", "closure", "dict", "float",
         "fun_bc", "fun_native", "fun_viper", "gen_wrap", "int", "list", "module",
         "native_gen_wrap", "object", "property", "staticmethod", "str", "tuple", "type")
MAX_NAMES = 0x10000         # as a class has 16 bits for one
MAX_SPAN = 0x20000          # of flash that a board has to look through when it starts
_WORD = 4
_HASH_START = 5381
_WIDTH = 99

Span = namedtuple("Span", "address size crc32")
# What the firmware puts into a class: `code`, the words of its first nine slots; `examples`, how
# classes looked: {what is special: (flags, indexes, the words from the tenth on)}.
Class = namedtuple("Class", "code examples")


@dataclass(frozen=True)
class Firmware:
    """names: by number, of which 0 is none. bytes_in_hash, bytes_in_length: in its pools. pool:
    the address of the last of these; last_pool: where in memory its address is after a reset.
    modules: {name of a built-in module: {name in it: the word that is the object}};
    module_objects: {its name: its address}. Of some an import prefers a file in sys.path, and of
    these a few are frozen into the firmware, whose names are known: the ESP32's "machine.py", of
    which most is from here. types: {name: address} of types, for functions by
    those that MicroPython's source has for them. fun_table: the address that an .mpy file's
    constant MP_FUN_TABLE stands for. span: the Span of flash where all that is. class_: a Class.
    last_pool, class_ and some of the types are not in a firmware's file: see firmware_file.read().
    """

    board: str
    names: tuple
    bytes_in_hash: int
    bytes_in_length: int
    pool: int
    last_pool: int | None
    modules: dict
    module_objects: dict
    types: dict
    fun_table: int
    span: Span
    class_: Class | None

    @functools.cached_property
    def numbers(self):
        """{name: its number}."""
        return {name: number for number, name in enumerate(self.names) if number}

    def hash(self, name):
        """Of a name that may be none of the firmware's, as its pools and maps have it."""
        return name_hash(name.encode(), self.bytes_in_hash)


def name_hash(data, size):
    """The hash, of so many bytes, of the bytes of a name."""
    found = _HASH_START
    for byte in data:
        found = (found * 33 & 0xFFFFFFFF) ^ byte
    return found & (1 << 8 * size) - 1 or 1


def class_words(firmware, name, members, parent=0, protocol=0, flags=0):
    """The words of a class. name: its number; members, parent: addresses of its dict and of its
    base or of a tuple of several; protocol: of the (first) base, 0 for none; flags: IS_SUBCLASSED,
    SPECIAL_ACCESSORS or both."""
    code = firmware.class_.code
    last = [members, *[parent] * bool(parent), *[protocol] * bool(protocol)]
    indexes = [*range(1, len(code) + 1), 12 * bool(protocol), 11 * bool(parent), 10]
    plain, _, _ = firmware.class_.examples["plain"]
    return [firmware.types["type"], plain | flags | name << 16,
            *struct.unpack("<3I", bytes(indexes)), *code, *last]


def load(board, directory=ROOT / "boards"):
    """The Firmware of a board, by name. Raises ValueError where it has none, or a damaged one."""
    path = directory / board / "firmware.json"
    try:
        return parse(board, path.read_text())
    except FileNotFoundError:
        raise ValueError(f"boards/{board}/firmware.json is missing: nobody has looked where the "
                         f"firmware has its names and objects") from None


def parse(board, text):
    """The Firmware in the text of a firmware.json. Raises ValueError, with what is wrong in it."""
    where = f"boards/{board}/firmware.json"
    try:
        parts = json.loads(text)
        checked = {name: check(parts.pop(name)) for name, check in _PARTS.items()}
        if parts:
            raise ValueError(f"it has more: {', '.join(sorted(parts))}")
        if checked["modules"].keys() != checked["module_objects"].keys():
            raise ValueError("modules and module_objects are not of the same names")
        if missing := set(TYPES) - checked["types"].keys():
            raise ValueError(f"types has no {', '.join(sorted(missing))}")
        class_ = checked.pop("class")
        return Firmware(board=board, class_=class_, **checked)
    except KeyError as error:
        raise ValueError(f"{where}: {error} is missing") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{where}: {error}") from error


def _word(value):
    if not isinstance(value, str) or not re.fullmatch("0x[0-9a-f]{1,8}", value):
        raise ValueError(f"{value!r} is no word, as \"0x10080b30\" is one")
    return int(value, 16)


def _address(value):
    found = _word(value)
    if not found or found % _WORD:
        raise ValueError(f"{value} is no address of an object")
    return found


def _small(value):
    if type(value) is not int or not 0 <= value < MAX_NAMES:
        raise ValueError(f"{value!r} is no number that is expected there")
    return value


def _bytes_in(value):
    if _small(value) not in (1, 2):
        raise ValueError(f"hashes and lengths have one or two bytes, not {value}")
    return value


def _list_of(check):
    def checked(value):
        if not isinstance(value, list):
            raise ValueError(f"{str(value)[:40]} is no list")
        return tuple(map(check, value))
    return checked


def _dict_of(check):
    return lambda value: {_text(name): check(each) for name, each in value.items()}


def _text(value):
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _all_names(value):
    found = _list_of(_text)(value)
    if not 2 < len(found) < MAX_NAMES or len(set(found[1:])) != len(found) - 1:
        raise ValueError("names has too few or too many, or one twice")
    return found


def _span_of(value):
    address, size, crc32 = value
    found = Span(_address(address), _word(size), _word(crc32))
    if not 0 < found.size <= MAX_SPAN:
        raise ValueError(f"a span of {found.size} bytes")
    return found


def _class_of(value):
    code, examples = value["code"], value["examples"]
    found = Class(_list_of(_word)(code), _dict_of(_example)(examples))
    if len(found.code) != CODE_SLOTS or "plain" not in found.examples:
        raise ValueError("class has not what every class has")
    return found


def _example(value):
    flags, indexes, more = value
    found = _small(flags), _list_of(_small)(indexes), _list_of(_text)(more)
    if len(found[1]) != len(SLOTS):
        raise ValueError(f"a class has {len(SLOTS)} indexes")
    return found


_PARTS = {"bytes_in_hash": _bytes_in, "bytes_in_length": _bytes_in, "pool": _address,
          "last_pool": _address, "fun_table": _address, "span": _span_of,
          "types": _dict_of(_address), "class": _class_of,
          "module_objects": _dict_of(_address), "modules": _dict_of(_dict_of(_word)),
          "names": _all_names}


def text(firmware):
    """The text of the firmware.json of a Firmware that has all of its parts."""
    own = asdict(firmware) | {
        "types": dict(sorted(firmware.types.items())),
        "class": {"code": _hex(firmware.class_.code), "examples": firmware.class_.examples}}
    parts = {name: own[name] if check in (_bytes_in, _class_of, _all_names) else _hex(own[name])
             for name, check in _PARTS.items()}
    return _filled(parts) + "\n"


def _hex(value):
    if isinstance(value, dict):
        return {name: _hex(each) for name, each in value.items()}
    return list(map(_hex, value)) if isinstance(value, (list, tuple)) else f"{value:#x}"


def _filled(value, indent="", before=0):
    """As JSON, in lines that are filled, but what has lines of its own begins one.

    before: how many characters are before it in its line.
    """
    flat = json.dumps(value)
    if before + len(flat) < _WIDTH or not isinstance(value, (dict, list, tuple)):
        return flat
    inner = indent + " "
    if isinstance(value, dict):
        items = []
        for name, each in value.items():
            label = json.dumps(name) + ": "
            items.append(label + _filled(each, inner, len(inner + label)))
    else:
        items = [_filled(each, inner, len(inner)) for each in value]
    lines = []
    for item in items:
        if lines and "\n" not in item + lines[-1] and \
                len(inner) + len(lines[-1]) + len(item) + 3 <= _WIDTH:
            lines[-1] += ", " + item
        else:
            lines.append(item)
    return flat[0] + "\n" + ",\n".join(inner + line for line in lines) + flat[-1]
