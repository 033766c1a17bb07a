"""Modules whose code runs in the board's flash, with stock firmware and what makes them go."""

import shutil

import pytest

from host_tools.boards import facts, images, in_place, mpy, uf2
from host_tools.emulator.board import Board, Failure

AT = 0x100E0000
NATIVE_AT = 0x100F0000

# What functions, classes and generators are made of; each with a different record in the image.
MODULE = '''
import micropython
NAMES = ("a", b"bytes", 1 << 40, 2.5, None)
READY = ("a text that is no name", b"bytes", (True, -7, 1 << 29, None, ("", b"")))

def outer(x, *args, y=3, **more):
    def inner(z):
        return x + y + z + sum(args)
    return [inner(n) for n in range(3)]

class Base:
    made = 0
    def __init__(self):
        type(self).made += 1
    @property
    def twice(self):
        return 2 * self.made

class Derived(Base):
    def __init__(self):
        super().__init__()

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
import {0} as m, machine
print(m.outer(1, 2, 3, y=4), m.NAMES, m.Derived().twice, m.Derived().twice)
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


@pytest.fixture(name="make")
def make_fixture(tmp_path):
    """make(content): a board with this image, and the loader on its file system."""
    boards = []

    def make(*contents):
        files = tmp_path / "files"
        files.mkdir(exist_ok=True)
        shutil.copy(images.LOADER, files)
        more = []
        for number, content in enumerate(contents):
            more.append(tmp_path / f"{number}.uf2")
            more[-1].write_bytes(content)
        boards.append(Board(tmp_path, more=more))
        boards[-1].copy(files)
        return boards[-1]

    yield make
    for board in boards:
        board.stop()


@pytest.mark.parametrize("types", (None, facts.load()["rp2_pico_w"].flash_types))
def test_code_of_every_kind_runs_in_flash_as_it_does_in_the_heap(make, tmp_path, types):
    texts = {"module.py": MODULE, "package/__init__.py": "", "package/inner.py": MODULE}
    contents = mpy.compiled("armv6m", texts)
    image = in_place.image({"lib/" + name[:-3] + ".mpy": content
                            for name, content in contents.items()}, AT, types=types)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "plain.mpy").write_bytes(contents["module.py"])
    board = make(uf2.encode(image, AT))
    plain = board.run(USE.format("plain", AT, NATIVE_AT)).splitlines()
    for name in "module", "package.inner":
        said = board.run(f"import in_place\nin_place.mount({AT})\n"
                         + USE.format(name, AT, NATIVE_AT)
                         + "import vfs\nvfs.umount('/rom')\n").splitlines()
        assert said[:-1] == plain[:-1] and len(plain) == 6
        assert (plain[-1], said[-1]) == (str([False] * 4), str([True] * 4))


@pytest.mark.parametrize("damage, complaint", [
    (lambda image: b"", "no image at 0x100e0000: flash it"),
    (lambda image: image[:60] + b"\x55" + image[61:], "the image is damaged"),
    (lambda image: image[:8] + b"\xff" * 4 + image[12:], "the image is damaged"),
])
def test_what_is_no_whole_image_is_refused(make, damage, complaint):
    image = in_place.image({"m.mpy": mpy.compiled("armv6m", {"m.py": "x = 1\n"})["m.py"]}, AT)
    with pytest.raises(Failure, match=complaint):
        make(uf2.encode(damage(image), AT)).run(f"import in_place\nin_place.mount({AT})")


@pytest.mark.parametrize("which", range(3))
def test_an_image_with_objects_of_another_firmware_is_refused(make, which):
    types = list(facts.load()["rp2_pico_w"].flash_types)
    types[which] += 4
    content = mpy.compiled("armv6m", {"m.py": MODULE})["m.py"]
    with pytest.raises(Failure, match="the image is for another firmware"):
        make(uf2.encode(in_place.image({"m.mpy": content}, AT, types=types), AT)).run(
            f"import in_place\nin_place.mount({AT})")


def test_an_image_for_another_processor_is_refused(make):
    content = mpy.compiled("armv7emsp", {"m.py": MODULE})["m.py"]
    with pytest.raises(Failure, match="the image is for another firmware"):
        make(uf2.encode(in_place.image({"m.mpy": content}, AT), AT)).run(
            f"import in_place\nin_place.mount({AT})")
