"""What boards/rp2_pico_w/firmware.json and firmware.py say, asked of the emulated board."""

import json
import struct
from types import SimpleNamespace

import pytest

from host_tools.boards import facts, firmware, firmware_file
from host_tools.emulator.board import Board
from tests.host import stock_firmware

STOCK = firmware.load("rp2_pico_w")
RAM = 0x20000000
NUMBERS, TYPES = STOCK.numbers, STOCK.types

# Objects of each kind, whose names are ones that the firmware has.
OBJECTS = '''
import gc
def start(a, b=5, *, write=7):
    return lambda: a + write
def stop():
    yield
class Timer:
    write = property(start, stop)
    append = staticmethod(start)
    insert = classmethod(stop)
    def __init__(self):
        pass
class Pin(Timer):
    pass
class PWM(Pin, Timer):
    pass
class ADC(Exception):
    pass
class Signal(ADC):
    def __setattr__(self, name, value):
        pass
made = {"start": start, "stop": stop, "inside": start(1),
        "classes": [Timer, Pin, PWM, ADC, Signal], "big": -(1 << 40) - 3,
        "text": b"no name of it".decode(), "bytes": b"\\x01\\x02", "pair": (1, None),
        "real": 2.5}
gc.collect()
print(made)
'''


class Memory:
    """What the board has, by address."""

    def __init__(self, ram):
        self._ram = ram

    def words(self, address, count):
        return list(struct.unpack_from(f"<{count}I", self._ram, address - RAM))

    def data(self, address, size):
        return self._ram[address - RAM:address - RAM + size]


@pytest.fixture(name="live", scope="module")
def live_fixture(tmp_path_factory):
    """The board, the addresses of the objects that were made, and its memory then."""
    directory = tmp_path_factory.mktemp("board")
    with Board(directory) as board:
        said = board.run(OBJECTS + '''
import json
print(json.dumps({name: [id(each) for each in value] if name == "classes" else id(value)
                  for name, value in made.items()}))''')
        board.save_ram(directory / "ram")
        yield SimpleNamespace(board=board, made=json.loads(said.splitlines()[-1]),
                              memory=Memory((directory / "ram").read_bytes()))


def small(value):
    return value << 1 | 1


def name(text):
    return NUMBERS[text] << 3 | 2


def test_every_object_of_a_builtin_module_is_where_it_is_said_to_be(live):
    said = live.board.run(f'''
for name in {list(STOCK.modules)!r}:
    module = __import__(name)
    print(name, id(module), *("%s=%d" % (key, id(value))
                              for key, value in module.__dict__.items()))
''')
    found = [line.split() for line in said.splitlines()]
    assert {name: int(address) for name, address, *_ in found} == STOCK.module_objects
    assert {name: {key: int(word) & 0xFFFFFFFF
                   for key, word in (member.split("=") for member in members)}
            for name, _, *members in found} == STOCK.modules


def test_the_board_tells_what_is_not_in_the_file(live):
    found = firmware_file.read(stock_firmware.of("rp2_pico_w"), facts.load()["rp2_pico_w"])
    assert firmware_file.with_live(found, live.board.run(firmware_file.probe(found))) == STOCK


def test_the_span_is_the_same_on_the_board(live):
    address, size, crc32 = STOCK.span
    assert live.board.run(f'''
import uctypes, binascii
print(binascii.crc32(uctypes.bytearray_at({address}, {size})))''').strip() == str(crc32)


def test_pools_of_new_names_end_in_the_last_one_in_flash(live):
    pool, numbers = live.memory.words(STOCK.last_pool, 1)[0], []
    while pool != STOCK.pool:
        pool, number, *_ = live.memory.words(pool, 4)
        numbers.append(number)
    assert numbers[-1] == len(STOCK.names) and numbers == sorted(numbers, reverse=True)


def members_of(memory, address):
    """{key: value} of the dict there, whose map must be hashed."""
    kind, flags, places, table = memory.words(address, 4)
    assert kind == TYPES["dict"] and flags & 7 == 1
    words = memory.words(table, 2 * places)
    found = {key: (place, value) for place, (key, value) in enumerate(zip(words[::2], words[1::2]))
             if key > 4}
    assert len(found) == flags >> 3
    for key, (place, _) in found.items():
        if key & 7 != 2 or key >> 3 >= len(STOCK.names):
            continue
        at = STOCK.hash(STOCK.names[key >> 3]) % places
        while at != place:
            assert words[2 * at], "a free place is before it"
            at = (at + 1) % places
    return {key: value for key, (_, value) in found.items()}


def test_classes_are_as_class_words_makes_them(live):
    memory, made = live.memory, []
    timer, pin, pwm, adc, signal = live.made["classes"]
    base, special = firmware.IS_SUBCLASSED, firmware.SPECIAL_ACCESSORS
    for title, address, parent, flags in (
            ("Timer", timer, 0, base | special), ("Pin", pin, timer, base | special),
            ("PWM", pwm, None, special),
            ("ADC", adc, STOCK.modules["builtins"]["Exception"], base),
            ("Signal", signal, adc, special)):
        members, *more = memory.words(address + 20 + 4 * firmware.CODE_SLOTS, 2)
        if parent is None:
            [parent] = more
            assert memory.words(parent, 4) == [TYPES["tuple"], 2, pin, timer]
        words = firmware.class_words(STOCK, NUMBERS[title], members, parent, flags=flags)
        assert memory.words(address, len(words)) == words
        made.append(members_of(memory, members))
        assert made[-1][name("__module__")] == name("__main__")
        assert made[-1][name("__qualname__")] == name(title)
    start, stop = live.made["start"], live.made["stop"]
    assert memory.words(made[0][name("write")], 4) == [TYPES["property"], start, stop, 6]
    assert memory.words(made[0][name("append")], 2) == [TYPES["staticmethod"], start]
    assert memory.words(made[0][name("insert")], 2) == [TYPES["classmethod"], stop]


def test_functions_have_their_defaults_behind_them(live):
    memory = live.memory
    kind, context, table, code, positional, keywords = memory.words(live.made["start"], 6)
    assert (kind, positional) == (TYPES["fun_bc"], small(5))
    assert members_of(memory, keywords) == {name("write"): small(7)}
    _, globals_, names, _ = memory.words(context, 4)    # of no type: it was not imported
    assert members_of(memory, globals_)[name("start")] == live.made["start"]
    assert name("write") >> 3 in struct.unpack("<32H", memory.data(names, 64))
    assert memory.words(live.made["stop"], 2) == [TYPES["gen_wrap"], context]
    kind, function, count, *_ = memory.words(live.made["inside"], 4)
    assert (kind, memory.words(function, 2), count) == (
        TYPES["closure"], [TYPES["fun_bc"], context], 2)
    assert code != table


def test_constants_are_as_they_are_said_to_be(live):
    memory, made = live.memory, live.made
    kind, flags, digits, data = memory.words(made["big"], 4)
    assert (kind, flags & 1, flags >> 2 >= digits) == (TYPES["int"], 1, True)
    assert int.from_bytes(memory.data(data, 2 * digits), "little") == (1 << 40) + 3
    kind, _, size, data = memory.words(made["text"], 4)
    assert (kind, memory.data(data, size + 1)) == (TYPES["str"], b"no name of it\0")
    assert memory.words(made["bytes"], 1) == [TYPES["bytes"]]
    assert memory.words(made["pair"], 4) == [TYPES["tuple"], 2, small(1), 6]
    kind, value = memory.words(made["real"], 2)
    assert (kind, struct.pack("<I", value)) == (TYPES["float"], struct.pack("<f", 2.5))
