"""Modules that lie in the board's flash, with stock firmware and what makes them go."""

import dataclasses

import pytest

from host_tools.boards import facts, firmware, images, in_place, mpy, uf2
from host_tools.emulator.board import Board, Failure

AT = 0x100D8000
END = 0x100F0000
PICO_W = facts.load()["rp2_pico_w"]

# What functions, classes and generators are made of; each with a different record in the image.
MODULE = '''
import micropython
import time as clock
from errno import EIO
NAMES = ("a", b"bytes", 1 << 40, 2.5, None)
READY = ("a text that is no name", b"bytes", (True, -7, 1 << 29, None, ("", b"")))

def outer(x, *args, y=3, **more):
    def inner(z):
        return x + y + z + sum(args)
    return [inner(n) for n in range(3)]

class Base:
    made = 3
    def __init__(self):
        self.made += 1
    @property
    def twice(self):
        return 2 * self.made
    @twice.setter
    def twice(self, value):
        self.made = value
    @staticmethod
    def new():
        return Derived()

class Derived(Base):
    pass

class Calling(Base):
    def __init__(self):
        super().__init__()

class Failed(OSError):
    pass

TABLE = {Base: "base", 5: outer, "key": (1, None)}

def look(key):
    return TABLE.get(key), key in TABLE, len(TABLE["key"])

made = 0

def count():
    global made
    made += 1
    return made

def generator(n):
    try:
        for i in range(n):
            yield i
    finally:
        NOTES.append("closed")

async def waits():
    return 5

@micropython.viper
def total(buf: ptr8, n: int) -> int:
    found = 0
    for i in range(n):
        found += buf[i]
    return found

@micropython.native
def natively(x, y=4):
    def inside(n):
        return [x * i for i in range(n)]
    return inside(y)

@micropython.native
def native_generator(n):
    for i in range(n):
        yield i * i

NOTES = []
'''
USE = '''
import {0} as m, machine, time
derived = m.Base.new()
derived.twice = 8
print(m.outer(1, 2, 3, y=4), m.NAMES, m.Derived().twice, derived.twice, m.Calling().twice)
print(isinstance(derived, m.Base), m.Derived.__name__, m.clock is time, m.EIO, m.look(m.Base))
print(m.look(5)[1:], m.count(), m.count())
try:
    raise m.Failed(m.EIO)
except OSError as e:
    print(e.errno, type(e))
print(m.READY, {{b"bytes": 1}}[m.READY[1]], m.READY[0] == "a text " + "that is no name")
print(list(m.generator(3)), m.NOTES, m.total(bytes(range(10)), 10), m.natively(3))
print(list(m.native_generator(4)))
try:
    m.waits().send(None)
except StopIteration as e:
    print(e.value)
print([{1:#x} <= machine.mem32[id(f) + 12] < {2:#x}
       for f in (m.outer, m.generator, m.total, m.natively)])
'''


SHAPES = '''
class Shape:
    """Apps derive others from it."""
    corners = 0
    def name(self):
        return "shape with %d" % self.corners

class Own(Shape):
    corners = 2

SHARED = []
'''


def path(name):
    return {"package": "lib/package/__init__.mpy"}.get(name, f"lib/{name.replace('.', '/')}.mpy")


def image(texts, public=()):
    return images.image(images.parts(texts, path, PICO_W, public), PICO_W)


@pytest.fixture(name="make")
def make_fixture(tmp_path):
    """make(content): a board with this image, and the loader on its file system."""
    boards = []

    def make(content, boot=""):
        files = tmp_path / "files"
        files.mkdir(exist_ok=True)
        for name, data in images.loader(PICO_W).items():
            (files / name).write_bytes(data)
        (files / "boot.py").write_text(boot)
        file = tmp_path / "image.uf2"
        file.write_bytes(uf2.encode(content, AT))
        boards.append(Board(tmp_path, more=[file]))
        boards[-1].copy(files)
        boards[-1].mpremote("soft-reset")
        return boards[-1]

    yield make
    for board in boards:
        board.stop()


MOUNT = f"import rom\nrom.mount({AT})\n"


def test_code_of_every_kind_runs_in_flash_as_it_does_in_the_heap(make, tmp_path):
    (tmp_path / "files").mkdir()
    [content] = mpy.compiled("armv6m", {"module.py": MODULE}).values()
    (tmp_path / "files" / "plain.mpy").write_bytes(content)
    board = make(image({"module": MODULE, "package": "", "package.inner": MODULE},
                       {"Calling", "NOTES"}), MOUNT)
    plain = board.run(USE.format("plain", AT, END)).splitlines()
    for name in "module", "package.inner":
        said = board.run(USE.format(name, AT, END)).splitlines()
        assert said[:-1] == plain[:-1] and len(plain) == 9
        assert (plain[-1], said[-1]) == (str([False] * 4), str([True] * 4))


def test_apps_may_derive_classes_and_read_what_is_live(make):
    board = make(image({"shapes": SHAPES}, {"Shape", "Own", "SHARED"}), MOUNT)
    said = board.run("""
import shapes
class Mine(shapes.Shape):
    corners = 7
    def name(self):
        return "my " + super().name()
print(Mine().name(), shapes.Own().name(), isinstance(shapes.Own(), shapes.Shape))
shapes.SHARED.append(5)
print(shapes.SHARED, hasattr(shapes, "nothing"))
""").splitlines()
    assert said == ["my shape with 7 shape with 2 True", "[5] False"]


def test_a_package_is_asked_for_its_modules(make):
    texts = {"package": "X = 1\n", "package.inner": "Y = 2\n",
             "user": "def get():\n from package import inner\n return inner.Y\n"}
    board = make(image(texts), MOUNT)
    assert board.run("import user, package\nprint(user.get(), package.X, package.inner.Y)\n"
                     "try:\n from package import nothing\n"
                     "except (AttributeError, ImportError):\n print('none')").split() == [
        "2", "1", "2", "none"]


def test_what_lies_in_flash_takes_no_heap(make):
    texts = {"m": "".join(f"def a_function_{n}(x): return x + {n}\n" for n in range(200))}
    board = make(image(texts), MOUNT)
    before, after, said = map(int, board.run("""
import gc
gc.collect()
before = gc.mem_alloc()
import m
gc.collect()
print(before, gc.mem_alloc(), m.a_function_199(1))
""").split())
    assert said == 200 and after - before < 300


def test_an_image_for_another_processor_is_refused(make):
    parts = images.parts({"m": MODULE}, path, PICO_W)
    others = mpy.compiled("armv7emsp", {part.frozen.name: part.frozen.text for part in parts})
    parts = [part._replace(content=others[part.frozen.name]) for part in parts]
    with pytest.raises(Failure, match="the image is for another firmware"):
        make(images.image(parts, PICO_W)).run(MOUNT)


def test_the_loader_has_no_names_but_the_firmwares():
    """So that those of the image need not be copied into the heap."""
    [boot] = mpy.compiled("armv6m", {"rom": images.boot(PICO_W)}).values()
    known = firmware.load("rp2_pico_w").numbers
    for content in (boot, *images.loader(PICO_W).values()):
        assert not {name.decode() for name in mpy.names(content)} - known.keys()


def test_names_that_there_are_before_take_nothing_away(make):
    """Then the names of an image are copied: the board finds them and its own."""
    texts = {"m": "def a_new_name(another): return another\n"}
    before = "a_name_of_its_own = 'text of its own'\n"
    board = make(image(texts), before + MOUNT)
    assert board.run("import m\nprint(m.a_new_name(another=7), m.__name__)").split() == ["7", "m"]


def test_mounting_twice_is_no_different(make):
    board = make(image({"m": "x = 1\n"}), MOUNT + "import vfs\nvfs.umount('/rom')\n" + MOUNT)
    assert board.run("import m\nprint(m.x)").split() == ["1"]


@pytest.mark.parametrize("damage, complaint", [
    (lambda image: b"", "no image at 0x100d8000: flash it"),
    (lambda image: image[:60] + b"\x55" + image[61:], "the image is damaged"),
    (lambda image: image[:8] + b"\xff" * 4 + image[12:], "the image is damaged"),
])
def test_what_is_no_whole_image_is_refused(make, damage, complaint):
    with pytest.raises(Failure, match=complaint):
        make(damage(image({"m": "x = 1\n"}))).run(MOUNT)


@pytest.mark.parametrize("change", [
    lambda known: {"span": known.span._replace(crc32=known.span.crc32 ^ 1)},
    lambda known: {"pool": known.pool + 4},
])
def test_an_image_for_another_firmware_is_refused(make, change):
    known = firmware.load("rp2_pico_w")
    other = dataclasses.replace(known, **change(known))
    parts = images.parts({"m": "x = 1\n"}, path, PICO_W)
    with pytest.raises(Failure, match="the image is for another firmware"):
        make(in_place.image(parts, other, AT)).run(MOUNT)


def test_an_image_for_another_place_is_refused(make):
    parts = images.parts({"m": "x = 1\n"}, path, PICO_W)
    with pytest.raises(Failure, match="the image is for another firmware"):
        make(in_place.image(parts, firmware.load("rp2_pico_w"), AT + 4096)).run(MOUNT)
