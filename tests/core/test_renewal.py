"""The image that a slot's program is for comes into the flash, and the power goes at any moment.

What stands in for the board: a file system on which each change is whole or not there, and a flash
chip on which it is not.
"""

import io
import sys
from binascii import crc32

from tests.core import stand_ins
from tests.core.stand_ins import Module
from tests.core.support import raises

BLOCK = 4096
PLACE = (0x1000, 0x9000)    # of eight blocks
SPAN = b"what tells a firmware from others"
SPAN_AT = 0x2000
ON_TRIAL = "/image.on.trial"


# As zlib.compressobj(9, zlib.DEFLATED, 12) has the first two blocks of NEW.
PACKED = (
    "48c7edc5b11140401000c023d305b1586c3e617e86543f3a508662c41fa886021420d84d76ca4bca"
    "eb3c5c6344bf6fa58a0f6d44f7d6dcc7590300000000000000bff300bdc5470f")


class Cut(BaseException):
    """The power has gone."""


class Restart(BaseException):
    pass


class Files:
    """Files on a board, as `open` and `os` are to what is tested there."""

    def __init__(self, board, files):
        self._board = board
        self.files = dict(files)

    def open(self, path, mode="r"):
        if "w" in mode:
            return Writing(self, path, mode)
        if path not in self.files:
            raise OSError(2)
        data = self.files[path]
        return io.BytesIO(data) if "b" in mode else io.StringIO(data.decode())

    def put(self, path, data):
        self._board.change()
        self.files[path] = data

    def stat(self, path):
        if path not in self.files:
            raise OSError(2)

    def listdir(self, top):
        return [path[len(top):] for path in self.files if path.startswith(top)]

    def rename(self, old, new):
        self._board.change()
        self.files[new] = self.files.pop(old)

    def remove(self, path):
        self.stat(path)
        self._board.change()
        del self.files[path]

    def sync(self):
        pass


class Writing:
    """A file that is there when it has been closed."""

    def __init__(self, files, path, mode):
        self._files = files
        self._path = path
        self._data = b""
        self._binary = "b" in mode

    def __enter__(self):
        return self

    def __exit__(self, kind, *error):
        if kind is None:
            self._files.put(self._path, self._data)

    def write(self, data):
        self._data += data if self._binary else data.encode()

    def flush(self):
        pass


class Chip:
    """Flash whose blocks are erased and then written, the first half first."""

    def __init__(self, board):
        self._board = board
        self.content = bytearray(b"\xff" * (PLACE[1] - PLACE[0]))
        self.worn_out = False

    def readblocks(self, number, data):
        at = (number + 8) * BLOCK
        data[:] = self.content[at:at + BLOCK]

    def writeblocks(self, number, data):
        assert -8 <= number < 0 and len(data) == BLOCK
        at = (number + 8) * BLOCK
        self._board.change()
        self.content[at:at + BLOCK] = b"\xff" * BLOCK
        if self.worn_out:
            return
        half = BLOCK // 2
        self._board.change()
        self.content[at:at + half] = data[:half]
        self._board.change()
        self.content[at + half:at + BLOCK] = data[half:]


def image(kind, blocks, span=SPAN, starts=True):
    """The bytes of an image, the last block not full."""
    body = (int.to_bytes(int(starts), 4, "little") + bytes(16)
            + b"".join(int.to_bytes(each, 4, "little")
                       for each in (SPAN_AT, len(span), crc32(span) & 0xffffffff))
            + bytes([kind]) * (blocks * BLOCK - 100))
    head = b"FILAIMG5" + int.to_bytes(16 + len(body), 4, "little")
    return head + int.to_bytes(crc32(body) & 0xffffffff, 4, "little") + body


OLD, NEW = image(1, 3), image(2, 4)


def crc_of(content):
    return int.from_bytes(content[12:16], "little")


def slot(name, content, packed=None):
    """A slot's files, for an image or for any. packed: of its first piece, compressed."""
    files = {"/%s/main.py" % name: name.encode()}
    if content is not None:
        top = "/%s/.image/" % name
        files[top + "crc"] = b"%08x" % crc_of(content)
        files[top + "rom.mpy"] = b"loader of %d" % content[-1]
        first = 2 * BLOCK
        files[top + ("00.z" if packed else "00")] = packed or content[:first]
        files[top + "01"] = content[first:]
    return files


class Board:
    """A board with slots, on which the power may go after `left` changes."""

    def __init__(self, files, content):
        self.left = None
        self.disk = Files(self, files)
        self.chip = Chip(self)
        self.chip.content[:len(content)] = content
        self.confirms = True
        self.ran = []

    def change(self):
        if self.left is not None:
            if not self.left:
                self.left = None
                raise Cut
            self.left -= 1

    def boot(self):
        """From a reset to the next; returns what runs then, a slot and its image's kind, or None
        if nothing does."""
        slots = self._slots()
        try:
            mounted = self._mount()
            path = list(sys.path)
            try:
                running = slots.boot(mounted)
            finally:
                sys.path[:] = path
            if running is None:
                return None
        except Exception as error:
            self._renewal(slots).renew(error, *PLACE)
            raise AssertionError("it has returned")
        kind = self.chip.content[200]
        self.ran.append((running, kind))
        if self.confirms or running == "a":
            slots.confirm()
        else:
            raise Restart               # as by the timer
        return running, kind

    def settle(self):
        """What runs in the end, through as many resets as it takes."""
        for _ in range(12):
            try:
                return self.boot()
            except (Restart, Cut):
                pass
        raise AssertionError("it never ends: %r" % self.ran)

    def _mount(self):
        """As rom.py does."""
        content = self.chip.content
        size = int.from_bytes(content[8:12], "little")
        if content[:8] != b"FILAIMG5" or not 64 < size < len(content) or \
                crc32(content[16:size]) & 0xffffffff != crc_of(content):
            raise OSError("no image")
        files = self.disk.files
        if files.get("/rom.mpy") != b"loader of %d" % content[200]:
            raise OSError("no loader")
        if ON_TRIAL in files:
            if len(files[ON_TRIAL]) >= 5:
                raise OSError("the image does not start")
            self.disk.put(ON_TRIAL, files[ON_TRIAL] + b"\0")
        if not content[16]:
            raise Restart               # its own code fails
        return crc_of(content)

    def _slots(self):
        slots = stand_ins.load("slots", "boards", {})
        slots.os, slots.open, slots.root = self.disk, self.disk.open, ""
        slots._limit = lambda minutes: None
        return slots

    def _renewal(self, slots):
        def restart():
            raise Restart

        def device(start, end):
            assert (start, end) == PLACE
            return self.chip, -8

        found = stand_ins.load("image", "boards/renewal", {
            "renewal": Module(place=Module(device=device, restart=restart), slots=slots),
            "micropython": Module(const=lambda value: value),
            "uctypes": Module(bytearray_at=lambda at, size: SPAN[:size] * (at == SPAN_AT)),
            "deflate": deflate()})
        found.os, found.open, found.print = self.disk, self.disk.open, lambda *words: None
        return found


def deflate():
    try:
        return __import__("deflate")
    except ImportError:
        import zlib

        class DeflateIO(io.BytesIO):
            def __init__(self, file, kind):
                io.BytesIO.__init__(self, zlib.decompress(file.read()))

        return Module(DeflateIO=DeflateIO, ZLIB=1)


def updating(new=NEW, old=OLD, packed=None):
    """A board whose slot b, with a new image, is on trial and has not begun."""
    files = slot("a", old) | slot("b", new, packed) | {
        "/rom.mpy": b"loader of 1",
        "/slots.json": b'{"good": "a", "trial": null, "starts": 0, "minutes": 5, "hash": {}, '
                       b'"rolled_back": null}'}
    board = Board(files, OLD)
    slots = board._slots()
    slots.running = "a"
    slots.begin("b", "1234")
    return board


def rolled_back(board):
    return board._slots().load()["rolled_back"]


def test_a_trial_brings_its_image():
    board = updating()
    raises(Restart, board.boot)         # the old one ends
    raises(Restart, board.boot)         # the new one is written
    assert board.boot() == ("b", 2)
    assert board.chip.content[:len(NEW)] == NEW and ON_TRIAL not in board.disk.files
    assert board.disk.files["/rom.mpy"] == b"loader of 2"
    assert board.boot() == ("b", 2) and rolled_back(board) is None


def test_a_piece_may_be_compressed():
    board = updating(packed=bytes.fromhex(PACKED))
    assert board.settle() == ("b", 2) and board.chip.content[:len(NEW)] == NEW


def test_one_that_is_not_confirmed_goes_and_the_old_image_comes_back():
    board = updating()
    board.confirms = False
    assert board.settle() == ("a", 1)
    assert board.ran == [("b", 2)] * 2 + [("a", 1)]
    assert board.chip.content[:len(OLD)] == OLD and ON_TRIAL not in board.disk.files
    assert board.disk.files["/rom.mpy"] == b"loader of 1"
    assert "2 starts" in rolled_back(board)["why"]


def test_one_that_fails_before_it_can_count_is_counted_and_goes():
    board = updating(image(3, 6, starts=False))
    assert board.settle() == ("a", 1)
    assert "does not start" in rolled_back(board)["why"] and board.ran == [("a", 1)]


def test_an_image_for_another_firmware_is_not_written():
    board = updating(image(3, 6, span=b"another firmware"))
    assert board.settle() == ("a", 1) and "another firmware" in rolled_back(board)["why"]
    assert board.chip.content[:len(OLD)] == OLD


def test_one_that_is_not_there_is_said():
    files = slot("a", OLD)
    del files["/a/.image/00"], files["/a/.image/01"]
    board = Board(files | {"/rom.mpy": b"loader of 1"}, b"")
    assert "image is not there" in str(raises(OSError, board.boot))


def test_one_that_is_larger_than_its_place_is_not_written():
    board = updating(image(3, 9))
    assert board.settle() == ("a", 1) and "another firmware" in rolled_back(board)["why"]


def test_flash_that_keeps_nothing_ends_the_trial_and_says_so():
    board = updating()
    raises(Restart, board.boot)
    board.chip.worn_out = True
    raises(Restart, board.boot)
    assert "does not keep" in rolled_back(board)["why"]
    assert "does not keep" in str(raises(OSError, board.boot))


def test_without_an_image_to_come_back_to_no_trial_begins():
    error = raises(ValueError, lambda: updating(old=None))
    assert "slot a has no image" in str(error)


def test_where_nothing_can_be_done_it_is_said_why():
    board = Board(slot("a", None) | {"/rom.mpy": b"loader of 1"}, b"")
    assert "no image" in str(raises(OSError, board.boot))
    board = Board(slot("a", OLD), OLD)              # it is there: its loader is not
    assert "no loader" in str(raises(OSError, board.boot))
    board = Board({}, b"")
    assert "no image" in str(raises(OSError, board.boot))


def test_a_slot_for_any_image_takes_the_one_that_is_there():
    board = Board(slot("a", None) | {"/rom.mpy": b"loader of 2"}, NEW)
    assert board.boot() == ("a", 2)


def test_two_programs_that_fail_do_not_take_turns_with_their_images():
    def failing(*what):
        raise ImportError("no module")

    for new, expected in ((NEW, "a"), (OLD, "b")):
        board = Board(slot("a", OLD) | slot("b", new), OLD)
        slots = board._slots()
        slots.running, slots.__import__ = "a", failing
        slots._print = slots.reset = lambda *error: None
        time = sys.modules.get("time")
        sys.modules["time"] = Module(sleep=lambda seconds: None)
        try:
            slots.start()
        finally:
            del sys.modules["time"]
            if time is not None:
                sys.modules["time"] = time
        assert slots.load()["good"] == expected


def test_a_damaged_image_is_mended():
    board = Board(slot("a", OLD) | {"/rom.mpy": b"loader of 1"}, OLD)
    board.chip.content[3 * BLOCK] ^= 1
    assert board.settle() == ("a", 1) and board.chip.content[:len(OLD)] == OLD


def test_a_count_that_a_cut_has_left_behind_ends():
    board = Board(slot("a", OLD) | {"/rom.mpy": b"loader of 1", ON_TRIAL: bytes(5)}, OLD)
    raises(Restart, board.boot)
    assert board.boot() == ("a", 1) and ON_TRIAL not in board.disk.files


def test_the_power_goes_at_any_moment_of_an_update_that_does():
    _cut_everywhere(True, ("b", 2), NEW)


def test_the_power_goes_at_any_moment_of_one_that_is_rolled_back():
    _cut_everywhere(False, ("a", 1), OLD)


def _cut_everywhere(confirms, runs, content):
    cut = 0
    while True:
        board = updating()
        board.confirms, board.left = confirms, cut
        assert board.settle() == runs, cut
        done = board.left is not None       # it never came to that
        board.left = None
        assert board.chip.content[:len(content)] == content and board.settle() == runs, cut
        state = board._slots().load()
        assert (state["good"], state["trial"]) == (runs[0], None)
        if done:
            assert cut > 20
            return
        cut += 1
