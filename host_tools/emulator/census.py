"""What lies in an emulated Pico W's heap: every live block, by what it is and whose it is.

    python -m host_tools.emulator.census [--mpy] [--react SECONDS] [--further N] [--rows N]

The bulb joins in lockstep.py's simulated network, so that the figures repeat to the byte. What
MicroPython 1.27 lays out how is written down here: blocks of 16 bytes with two bits each in a
table (py/gc.c), objects that begin with the address of their type, pools of names (py/qstr.c).
"""

import argparse
import struct
from collections import Counter, defaultdict

from host_tools import unix_port
from host_tools.emulator import lockstep
from host_tools.emulator.board import ROOMY

RAM, FLASH = 0x20000000, 0x10000000
_HEAP_END, _ROOMY_HEAP = 0x20040000, 0x20080000     # see pico.mjs
_BLOCK = 16
_HEAD, _TAIL, _MARKED = 1, 2, 3     # in that table
_OF_A_PROGRAM = 0x200               # a flag of types
_FUNCTIONS = "function", "generator", "closure"
_BUILD = unix_port.ROOT / "build" / "board"


class Heap:
    """ram, flash: contents of both memories. roomy: see Board."""

    def __init__(self, ram, flash, roomy):
        self._ram, self._flash = ram, flash
        self._end = _ROOMY_HEAP + ROOMY if roomy else _HEAP_END
        self.blocks = self._blocks()            # address -> size
        self._pools = self._find_pools()
        self._type_of_types = self._find_type()

    def word(self, address):
        memory, start = ((self._ram, RAM) if address >= RAM else (self._flash, FLASH))
        at = address - start
        return struct.unpack_from("<I", memory, at)[0] if 0 <= at <= len(memory) - 4 else 0

    def half(self, address):
        return self.word(address & ~3) >> 8 * (address & 2) & 0xFFFF

    def bytes(self, address, size):
        memory, start = ((self._ram, RAM) if address >= RAM else (self._flash, FLASH))
        return bytes(memory[address - start:address - start + size])

    def words(self, address):
        """Words of a block."""
        size = self.blocks[address]
        return struct.unpack(f"<{size // 4}I", self.bytes(address, size))

    def _blocks(self):
        for at in range(RAM, RAM + 0x20000, 4):
            table, size, start, end = (self.word(at), self.word(at + 4), self.word(at + 12),
                                       self.word(at + 16))
            if end == self._end and table < start < end and size * 4 * _BLOCK == end - start:
                break
        else:
            raise ValueError("no heap found")
        found, head = {}, None
        for number in range(size * 4):
            kind = self._ram[table - RAM + number // 4] >> 2 * (number & 3) & 3
            address = start + number * _BLOCK
            if kind in (_HEAD, _MARKED):
                head = address
                found[head] = _BLOCK
            elif kind == _TAIL and head is not None:
                found[head] += _BLOCK
            else:
                head = None
        self.start = start
        return found

    # --- names -------------------------------------------------------------------------------

    def _is_pool(self, address, depth=0):
        previous, total, alloc, length = (self.word(address + 4 * i) for i in range(4))
        total &= 0x7FFFFFFF
        of_image = FLASH <= self.word(address + 16) < RAM       # its hashes, see in_place.py
        if not 0 < length <= (alloc if not of_image else 5000) or total > 20000:
            return False
        if previous == 0:
            return total == 0 and FLASH <= address < RAM
        if not (FLASH <= previous < self._end) or depth > 40:
            return False
        before = (self.word(previous + 4) & 0x7FFFFFFF) + self.word(previous + 12)
        return (before == total or of_image and before < total) \
            and self._is_pool(previous, depth + 1)

    def _find_pools(self):
        pools = [address for address, size in self.blocks.items()
                 if size >= 32 and self._is_pool(address)]
        if not pools:
            raise ValueError("no pools of names found")
        last = max(pools, key=lambda address: self.word(address + 4) & 0x7FFFFFFF)
        chain = []
        while last:
            chain.append(last)
            last = self.word(last)
        return chain

    def pools(self):
        """(address, used, places) of those in the heap."""
        return [(each, self.word(each + 12), self.word(each + 8)) for each in self._pools
                if each in self.blocks]

    def name(self, number):
        for pool in self._pools:
            first = self.word(pool + 4) & 0x7FFFFFFF
            if number >= first:
                index = number - first
                if index >= self.word(pool + 12):
                    return f"?{number}"
                at = self.word(pool + 24 + 4 * index)
                size = self.bytes(self.word(pool + 20) + index, 1)[0]
                return self.bytes(at, size).decode("utf8", "replace")
        return f"?{number}"

    def name_data(self):
        """Addresses of what has the characters of names."""
        for pool, used, _ in self.pools():
            for index in range(used):
                yield self.word(pool + 24 + 4 * index)

    # --- objects -----------------------------------------------------------------------------

    def _find_type(self):
        """The address of `type`, which is its own type."""
        counts = Counter(word for address in self.blocks
                         for word in [self.word(address)]
                         if FLASH <= word < RAM and self.word(word) == word)
        for word, _ in counts.most_common():
            if self.name(self.half(word + 6)) == "type":
                return word
        raise ValueError("no type found")

    def is_type(self, address):
        return address % 4 == 0 and (FLASH <= address < RAM or address in self.blocks) \
            and self.word(address) == self._type_of_types

    def type_name(self, address):
        return self.name(self.half(address + 6))

    def kind(self, address):
        """The name of the type of an object in a block, and whether that is a class of a program;
        None if it is not one."""
        first = self.word(address)
        if self.is_type(first):
            return self.type_name(first), bool(self.half(first + 4) & _OF_A_PROGRAM)
        return None


def _is_name(value):
    return value & 7 == 2


class Census:
    """Who has what. kinds: {address of a block: (what it is, whose)}. slack: bytes of tables that
    are free, by their kind. by(key) sums: key(kind, owner) -> [blocks, bytes], the most first."""

    def __init__(self, heap):
        self.heap = heap
        self.kinds = {}
        self._label()

    def _put(self, address, kind, owner):
        if address in self.heap.blocks and address not in self.kinds:
            self.kinds[address] = kind, owner
            return True
        return False

    def _map(self, at, kind, owner):
        """A mp_map_t: its table."""
        table, used = self.heap.word(at + 8), self.heap.word(at) >> 3
        if self._put(table, kind, owner):
            self.slack[kind] += self.heap.blocks[table] - 8 * used

    def _label(self):
        heap = self.heap
        self.slack = Counter()
        self.modules = {}       # address of a module and its context -> name
        for pool, used, places in heap.pools():
            self._put(pool, "names: pool", "")
            self._put(heap.word(pool + 16), "names: hashes", "")
            self.slack["names: pool"] += max(0, places - used) * 4
        for at in heap.name_data():
            address = at & ~(_BLOCK - 1)        # characters of many names share a block
            while address not in heap.blocks and address > heap.start:
                address -= _BLOCK
            if address in heap.blocks and at < address + heap.blocks[address]:
                self._put(address, "names: characters", "")
        objects = {}
        for address in heap.blocks:
            if address in self.kinds:
                continue
            kind = heap.kind(address)
            if kind:
                objects[address] = kind
        for address, (kind, ours) in objects.items():
            if kind == "module" and not ours:
                table = heap.word(address + 4)
                name = self._dict_get(table, "__name__")
                name = name if name else "?"
                self.modules[address] = name
                self._put(address, "module", name)
                self._put(table, "module: dict", name)
                self._map(table + 4, "module: globals table", name)
                for offset, what in ((8, "module: name table"), (12, "module: object table")):
                    self._put(heap.word(address + offset), what, name)
        classes = {}
        for address, (kind, ours) in objects.items():
            if kind == "type":
                name = heap.type_name(address)
                module = "?"
                locals_at = self._locals(address)
                classes[address] = name
                if locals_at in heap.blocks:
                    for value in self._values(locals_at):
                        if value in heap.blocks and (heap.kind(value) or " ")[0] in _FUNCTIONS:
                            module = self.modules.get(heap.word(value + 4), module)
                owner = f"{module}.{name}"
                classes[address] = owner
                self._put(address, "class", owner)
                self._put(locals_at, "class: dict", owner)
                if locals_at:
                    self._map(locals_at + 4, "class: table", owner)
        for address, (kind, ours) in objects.items():
            first = heap.word(address)
            if ours:
                owner = classes.get(first, kind)
                self._put(address, "instance", owner)
                self._map(address + 4, "instance: table", owner)
                continue
            if kind in ("function", "generator"):
                module = self.modules.get(heap.word(address + 4), "?")
                self._put(address, kind, module)
                self._put(heap.word(address + 12), "code", module)
                self._children(heap.word(address + 8), module)
        for address, (kind, ours) in objects.items():
            if address in self.kinds:
                continue
            if kind == "dict":
                self._put(address, "dict", "")
                self._map(address + 4, "dict: table", "")
            elif kind in ("list",):
                self._put(address, "list", "")
                self._put(heap.word(address + 12), "list: items", "")
            elif kind in ("bytes", "str"):
                self._put(address, kind, "")
                self._put(heap.word(address + 12), kind + ": data", "")
            elif kind in ("bytearray", "array", "memoryview"):
                self._put(address, kind, "")
                self._put(heap.word(address + 12), kind + ": data", "")
            elif kind == "closure":
                self._put(address, kind, self.modules.get(
                    heap.word(heap.word(address + 4) + 4), "?"))
            else:
                self._put(address, kind, "")
        # everything else: said by who refers to it
        referrers = defaultdict(list)
        for address in heap.blocks:
            for index, word in enumerate(heap.words(address)):
                if word in heap.blocks and word != address:
                    referrers[word].append((address, index * 4))
        self.referrers = referrers
        for address, size in heap.blocks.items():
            if address not in self.kinds:
                by = sorted({f"{self.kinds.get(each, ('?', ''))[0]}+{offset}"
                             for each, offset in referrers[address]})[:2]
                self.kinds[address] = "other, from " + ", ".join(by), \
                    self.kinds.get(referrers[address][0][0], ("", ""))[1] \
                    if referrers[address] else ""

    def _children(self, table, module, depth=0):
        """The table of functions in code, and their records."""
        heap = self.heap
        if table not in heap.blocks or depth > 6 or not self._put(table, "code: inner", module):
            return
        for word in heap.words(table):
            if word in heap.blocks and word not in self.kinds and heap.blocks[word] <= 32:
                record = heap.words(word)
                self._put(word, "code: record", module)
                self._put(record[1], "code", module)
                self._children(record[2], module, depth + 1)

    def _locals(self, address):
        """Where the dictionary of a class is: in the last of twelve slots."""
        heap = self.heap
        slots = heap.bytes(address + 8, 12)
        index = slots[11]
        return heap.word(address + 20 + 4 * (index - 1)) if index else 0

    def _dict_get(self, at, key):
        heap = self.heap
        table = heap.word(at + 12)
        for i in range(heap.word(at + 8)):
            k, value = heap.word(table + 8 * i), heap.word(table + 8 * i + 4)
            if _is_name(k) and heap.name(k >> 3) == key and _is_name(value):
                return heap.name(value >> 3)
        return None

    def _values(self, at):
        heap = self.heap
        table = heap.word(at + 12)
        alloc = heap.blocks.get(table, 0) // 8
        return [heap.word(table + 8 * i + 4) for i in range(alloc)]

    def by(self, key):
        found = defaultdict(lambda: [0, 0])     # [blocks, bytes]
        for address, size in self.heap.blocks.items():
            entry = found[key(*self.kinds[address])]
            entry[0] += 1
            entry[1] += size
        return sorted(found.items(), key=lambda item: -item[1][1])


def take(directory, in_flash=True, react_s=0, further=0):
    """The Census of a bulb that has joined, and reacted for so long, and met so many members."""
    installed = lockstep.prepare(directory, in_flash, roomy=not in_flash)
    with lockstep.Play(directory, installed) as play:
        if react_s:
            play.follow()
            play.meet(further)
            play.react_for(react_s * 1000)
        else:
            play.wait_for("network", status="OK")
        play.memory()               # which collects garbage first
        ram, flash = directory / "ram.bin", directory / "flash-now.bin"
        play.board.save(flash)
        play.board.save_ram(ram)
    return Census(Heap(ram.read_bytes(), flash.read_bytes(), installed["heap"] is not None))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--mpy", action="store_true", help="the code in .mpy files")
    parser.add_argument("--react", type=int, default=0, metavar="SECONDS")
    parser.add_argument("--further", type=int, default=0, metavar="N")
    parser.add_argument("--rows", type=int, default=40, metavar="N")
    arguments = parser.parse_args()
    census = take(_BUILD / "census", not arguments.mpy, arguments.react, arguments.further)
    for title, key in (("kinds", lambda kind, owner: kind),
                       ("whose", lambda kind, owner: owner),
                       ("both", lambda kind, owner: f"{kind:28} {owner}")):
        print(f"--- {title}")
        for what, (count, size) in census.by(key)[:arguments.rows]:
            print(f"{size:8,} {count:6} {what}")
    print("--- places of tables that are free")
    for what, size in census.slack.most_common():
        print(f"{size:8,}        {what}")
    print(f"--- all {sum(census.heap.blocks.values()):,}")


if __name__ == "__main__":
    main()
