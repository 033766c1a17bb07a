"""The names and objects of stock firmware, looked up in its file: boards/BOARD/firmware.json.

    python -m host_tools.boards.firmware_file --board rp2_pico_w --port /dev/ttyACM0 FIRMWARE.uf2

writes that. Most is found in the file by what it looks like (firmware.py has the layouts), so that
it can be checked without a board. The rest comes from a board that runs the firmware
(firmware_probe.py), or without --port stays as it is.
"""

import argparse
import binascii
import json
import struct
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

from host_tools.boards import facts as board_facts
from host_tools.boards import uf2
from host_tools.boards.firmware import (
    CODE_SLOTS, MAX_NAMES, MAX_SPAN, SLOTS, Class, Firmware, Span, load, name_hash, parse,
    text)
from host_tools.device import esp_image, link
from host_tools.unix_port import ROOT

LIVE_TYPES = "fun_bc", "fun_native", "fun_viper"    # the file does not tell which is which
PROBE = Path(__file__).with_name("firmware_probe.py")

_WORD = 4
_POOL = struct.Struct("<6I")        # before the addresses of the texts
_TYPE = struct.Struct("<IHH12s")    # before the words of its slots
_FIRST_PLACES = 10                  # of the first pool, whatever is in it
_SORTED = 1 << 31
_MAX_ENTRIES = 0x1000               # of a map in the firmware
_IN_FLASH = 7                       # flags of a map in order, that is fixed, all keys being names
_FLAGS = 0x07FF                     # of a type
_FUNCTION = 0x20                    # the flags of a type whose objects bind an object
_CONSTANTS = 6, 14, 30              # None, False and True begin the table of functions
_CALLS = 16                         # that at least follow
_CODE = 0x40000000                  # where an ESP32 has all of it; an Arm's addresses are odd

Type = namedtuple("Type", "address flags name slots")


def read(content, facts):
    """The Firmware in the file of one for a board with these Facts, as far as it is there: with
    no last_pool, no class_ and none of the LIVE_TYPES.

    Raises ValueError, saying what is wrong with the file or is not found in it.
    """
    if facts.uf2_family is not None:
        memory = _Memory(_joined(uf2.check(content, facts.uf2_family, facts.flash_size)))
    elif facts.flash_offset is not None:
        memory = _Memory(esp_image.segments(content, facts))
    else:
        raise ValueError(f"{facts.board} has no firmware that could be read")
    return _read(memory, facts.board)


def _joined(blocks):
    """[(address, bytes), …] of Blocks, those that follow each other as one."""
    pieces = []
    for block in sorted(blocks, key=lambda block: block.address):
        if pieces and pieces[-1][0] + len(pieces[-1][1]) == block.address:
            pieces[-1][1].extend(block.data)
        else:
            pieces.append((block.address, bytearray(block.data)))
    return [(address, bytes(data)) for address, data in pieces]


def _read(memory, board):
    names, pools = _names(memory)
    types = _types(memory, names)
    objects = _module_objects(memory, names, types["module"])
    modules = {name: _members(memory, names, address, types["dict"])
               for name, address in objects.items()}
    table = _fun_table(memory)
    span = _span(memory, [table, *types.values(), *objects.values(), *(
        word for members in modules.values() for word in members.values())], pools)
    first = pools[0]
    return Firmware(board, tuple(names), first.bytes_in_hash, first.bytes_in_length,
                    pools[-1].address, None, modules, objects, types, table, span, None)


def _span(memory, words, pools):
    """The Span of pools and of what is an object, and no number or name, of these words, as far as
    it is in the same part of the firmware as the pools are: some are in memory."""
    first, end = memory.around(pools[0].address)
    places = [place for pool in pools for place in (pool.address, *pool.tables, pool.end)]
    places += [place for word in words if word % _WORD == 0 and first <= word < end
               for place in (word, min(word + _TYPE.size, end))]
    start = min(places)
    size = -(-(max(places) - start) // _WORD) * _WORD
    if size > MAX_SPAN:
        raise ValueError(f"its names and objects are spread over {size} bytes")
    return Span(start, size, binascii.crc32(memory.data(start, size)))


class _Memory:
    """A firmware by the addresses at which it runs: [(address, bytes), …]."""

    def __init__(self, pieces):
        self._pieces = pieces

    def data(self, address, size):
        """The bytes there. Raises ValueError where they are not of the firmware."""
        for start, data in self._pieces:
            if start <= address and address + size <= start + len(data):
                return data[address - start:address - start + size]
        raise ValueError(f"{address:#x} is outside of the firmware")

    def around(self, address):
        """(start, end) of the part of the firmware in which that is."""
        return next((start, start + len(data)) for start, data in self._pieces
                    if start <= address < start + len(data))

    def words(self, address, count):
        return struct.unpack(f"<{count}I", self.data(address, _WORD * count))

    def find(self, *words):
        """Yields each address, a multiple of 4, where these words are."""
        wanted = struct.pack(f"<{len(words)}I", *words)
        for start, data in self._pieces:
            at = data.find(wanted)
            while at >= 0:
                if (start + at) % _WORD == 0:
                    yield start + at
                at = data.find(wanted, at + 1)

    def all_words(self):
        """Yields (address, word) of all."""
        for start, data in self._pieces:
            skipped = -start % _WORD
            count = max(0, len(data) - skipped) // _WORD
            words = struct.unpack_from(f"<{count}I", data, skipped) if count else ()
            yield from zip(range(start + skipped, start + skipped + _WORD * count, _WORD), words)


class _Pool:
    """A pool of names: where it is, where its tables begin and end, and what is in it."""

    def __init__(self, memory, address, before, bytes_in_hash, bytes_in_length):
        """Raises ValueError where that is none of so many bytes, with `before` numbers before it.
        """
        self.address = address
        self.bytes_in_hash, self.bytes_in_length = bytes_in_hash, bytes_in_length
        _, previous, _, count, hashes, lengths = _POOL.unpack(memory.data(address, _POOL.size))
        if previous & ~_SORTED != before or not 0 < count < MAX_NAMES - before:
            raise ValueError(f"no pool of names at {address:#x}")
        self.end = address + _POOL.size + _WORD * count
        self.tables = hashes, lengths, hashes + bytes_in_hash * count, \
            lengths + bytes_in_length * count
        texts = memory.words(address + _POOL.size, count)
        formats = {1: "B", 2: "H"}
        hashes = struct.unpack(f"<{count}{formats[bytes_in_hash]}",
                               memory.data(hashes, bytes_in_hash * count))
        lengths = struct.unpack(f"<{count}{formats[bytes_in_length]}",
                                memory.data(lengths, bytes_in_length * count))
        self.names = []
        for number, (text, wanted, length) in enumerate(zip(texts, hashes, lengths), before):
            data = memory.data(text, length + 1)
            if data[-1] or number and name_hash(data[:-1], bytes_in_hash) != wanted:
                raise ValueError(f"name {number} is not as its length and hash say")
            self.names.append(data[:-1].decode())


def _names(memory):
    """(all names, the _Pools that they are in)."""
    pools = list(_valid(
        lambda address, in_hash, in_length: _Pool(memory, address, 0, in_hash, in_length),
        ((address, in_hash, in_length) for address in memory.find(0, 0, _FIRST_PLACES)
         for in_hash in (1, 2) for in_length in (1, 2))))
    if len(pools) != 1:
        raise ValueError("the first pool of names is not found, or there are several")
    sizes = pools[0].bytes_in_hash, pools[0].bytes_in_length
    names = list(pools[0].names)
    while True:
        before = len(names)
        following = [_Pool(memory, address, before, *sizes) for mark in (0, _SORTED)
                     for address in memory.find(pools[-1].address, before | mark)]
        if not following:
            return names, pools
        if len(following) > 1:
            raise ValueError("there are several pools of names after one")
        pools += following
        names += following[0].names


def _valid(make, candidates):
    """Yields what make() makes of those of which it does not raise ValueError."""
    for arguments in candidates:
        try:
            yield make(*arguments)
        except ValueError:
            continue


# Of each type that is looked for, the name that it says it has, and what else it is known by where
# others have the same: which slots it has, in which order.
_TYPES = {name: (name, lambda found: True) for name in (
    "module", "closure", "bound_method", "type", "dict", "int", "str", "bytes", "bytearray",
    "list", "float", "staticmethod", "classmethod", "property", "object", "array")} | {
    "tuple": ("tuple", lambda found: found.slots["make_new"]),
    "gen_wrap": ("generator", lambda found: found.flags == _FUNCTION
                 and found.slots["attr"] == 1),
    "native_gen_wrap": ("generator", lambda found: found.flags == _FUNCTION
                        and found.slots["call"] == 1)}


def type_at(memory, names, address):
    """The Type that lies there. Raises ValueError where there is none."""
    _, flags, number, slots = _TYPE.unpack(memory.data(address, _TYPE.size))
    used = sorted(filter(None, slots))
    if flags & ~_FLAGS or not 0 < number < len(names) or used != list(range(1, len(used) + 1)):
        raise ValueError(f"no type at {address:#x}")
    return Type(address, flags, names[number], dict(zip(SLOTS, slots)))


def _types(memory, names):
    """{name: address} of _TYPES. The type of all types is the one that is its own."""
    selves = [found for found in _valid(
        lambda address: type_at(memory, names, address),
        ((address,) for address, word in memory.all_words() if address == word))
        if found.name == "type"]
    if len(selves) != 1:
        raise ValueError("the type of types is not found")
    found = list(_valid(lambda address: type_at(memory, names, address),
                        ((address,) for address in memory.find(selves[0].address))))
    types = {}
    for key, (name, is_it) in _TYPES.items():
        fitting = [each.address for each in found if each.name == name and is_it(each)]
        if len(fitting) != 1:
            raise ValueError(f"{len(fitting)} types could be {key}")
        [types[key]] = fitting
    return types


def _name(names, word):
    if word & 7 != 2 or not 0 < word >> 3 < len(names):
        raise ValueError(f"{word:#x} is no name")
    return names[word >> 3]


def _table(memory, names, address, count):
    """[(name, word), …] of a map in order."""
    if not 0 < count <= _MAX_ENTRIES:
        raise ValueError("a map of no size that one has")
    words = memory.words(address, 2 * count)
    return list(zip((_name(names, word) for word in words[::2]), words[1::2]))


def _module_objects(memory, names, module):
    """{name: address} of the modules in the firmware's maps of modules.

    `__main__` is not among them, as its dict is in memory, nor are modules frozen in Python.
    """
    objects = {}
    words = [word for _, word in memory.all_words()]
    for flags, places, table in zip(words, words[1:], words[2:]):
        if flags & 7 != _IN_FLASH or flags >> 3 != places or not places:
            continue
        try:
            entries = _table(memory, names, table, places)
            if any(memory.words(word, 1) != (module,) for _, word in entries):
                continue
        except ValueError:
            continue
        for name, word in entries:
            if objects.setdefault(name, word) != word:
                raise ValueError(f"there are two modules {name}")
    objects.pop("__main__", None)
    return dict(sorted(objects.items()))


def _members(memory, names, address, of_dict):
    """{name: word} of a module."""
    _, members = memory.words(address, 2)
    kind, used, places, table = memory.words(members, 4)
    if kind != of_dict or used != places << 3 | _IN_FLASH:
        raise ValueError(f"the module at {address:#x} has no dict in flash")
    entries = _table(memory, names, table, places)
    if entries[0][0] != "__name__":
        raise ValueError(f"the module at {address:#x} does not begin with its name")
    return dict(entries)


def _fun_table(memory):
    def table(address):
        calls = memory.words(address + _WORD * len(_CONSTANTS), _CALLS)
        if not all(word & 1 or word >= _CODE for word in calls):
            raise ValueError("no table of functions")
        return address

    found = list(_valid(table, ((address,) for address in memory.find(*_CONSTANTS))))
    if len(found) != 1:
        raise ValueError("the table of functions for machine code is not found")
    return found[0]


# --- from a board that runs it -------------------------------------------------------------------

def probe(firmware):
    """The code to run on a board with this firmware, which prints what with_live() takes."""
    return f"POOL = {firmware.pool}\n{PROBE.read_text()}"


def with_live(firmware, said):
    """The Firmware with the parts that are not in its file, from what the code of probe() printed.

    Raises ValueError where that is not what such a board says.
    """
    try:
        found = json.loads(said)
        [last_pool] = found["last_pool"]
        codes = {tuple(slots[:CODE_SLOTS]) for _, _, slots in found["classes"].values()}
        [code] = codes
        examples = {name: (flags, tuple(indexes), tuple(
            each if isinstance(each, str) else f"{each:#x}" for each in slots[CODE_SLOTS:]))
                    for name, (flags, indexes, slots) in sorted(found["classes"].items())}
        types = firmware.types | {name: found["types"][name] for name in LIVE_TYPES}
        whole = replace(firmware, last_pool=last_pool, types=types, class_=Class(code, examples))
        return parse(whole.board, text(whole))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the board said {said[:200]!r}: does it run this firmware?") from error


def main():
    """Write boards/BOARD/firmware.json; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m host_tools.boards.firmware_file",
        description="Write boards/BOARD/firmware.json: the numbers of the names and the addresses "
                    "of the objects that a firmware has.")
    parser.add_argument("--board", required=True, choices=sorted(board_facts.load()))
    parser.add_argument("--port", help="of a board that runs this firmware; without one, what is "
                        "not in the file stays as it was")
    parser.add_argument("--output", type=Path, help="another file than boards/BOARD/firmware.json")
    parser.add_argument("file", type=Path, help="the firmware: as .uf2, or .bin for an ESP32")
    arguments = parser.parse_args()
    try:
        found = read(arguments.file.read_bytes(), board_facts.load()[arguments.board])
        if arguments.port:
            with link.open_link(arguments.port) as board:
                found = with_live(found, board.run(probe(found)))
        else:
            kept = load(arguments.board)
            found = replace(found, last_pool=kept.last_pool, class_=kept.class_, types={
                **{name: kept.types[name] for name in LIVE_TYPES}, **found.types})
        output = arguments.output or ROOT / "boards" / arguments.board / "firmware.json"
        output.write_text(text(found))
    except (OSError, ValueError, link.LinkError) as error:
        print(f"firmware: {error}", file=sys.stderr)
        return 1
    print(f"{output}: {len(found.names)} names, {len(found.modules)} modules, "
          f"{found.span.size} bytes to be compared")
    return 0


if __name__ == "__main__":
    sys.exit(main())
