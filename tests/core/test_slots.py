"""Slots on a file system that forgets, and a board whose power goes at any byte."""

import json
import random
import sys

from support import ROOT, raises

sys.path.append(ROOT + "/boards")
STATE = "/slots.json"


class Flash:
    """Files, and every change of them in order: a file system whose power may go at any byte.

    What is written to a file counts byte by byte; what was not synced may be shorter after a cut.
    """

    def __init__(self, files, ops=(), cut=None, forgets=False):
        self.files = dict(files)
        self.ops = []
        self.broken = False     # nothing can be written
        unsynced = {}
        for op in ops if cut is None else ops[:cut]:
            self._do(*op)
            if op[0] == "append":
                unsynced.setdefault(op[1], len(self.files[op[1]]) - 1)
            elif op[0] == "sync":
                unsynced = {}
            elif op[0] == "rename" and op[1] in unsynced:
                unsynced[op[2]] = unsynced.pop(op[1])
        for path, least in unsynced.items():
            data = self.files.get(path)
            if forgets and data is not None and len(data) > least:
                self.files[path] = data[:least + random.randrange(len(data) - least + 1)]
        self.ops = []

    def _do(self, name, path=None, more=None):
        if name == "create":
            self.files[path] = b""
        elif name == "append":
            self.files[path] += more
        elif name == "remove":
            del self.files[path]
        elif name == "rename":
            self.files[more] = self.files.pop(path)

    def change(self, *op):
        if self.broken:
            raise OSError(28)
        self._do(*op)
        self.ops.append(op)

    def write(self, path, data):
        """As a program that opens, writes, closes and syncs."""
        with self.open(path, "w") as file:
            file.write(data)
        self.sync()

    # What `os` and `open` are to the module under test.

    def open(self, path, mode="r"):
        if mode == "r" and path not in self.files:
            raise OSError(2)
        if mode == "w":
            self.change("create", path)
        return File(self, path)

    def stat(self, path):
        if path not in self.files:
            raise OSError(2)

    def rename(self, old, new):
        self.change("rename", old, new)

    def remove(self, path):
        self.stat(path)
        self.change("remove", path)

    def sync(self):
        self.change("sync")


class File:
    def __init__(self, flash, path):
        self._flash = flash
        self._path = path

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def read(self):
        return self._flash.files[self._path].decode()

    def write(self, text):
        for byte in text.encode():
            self._flash.change("append", self._path, bytes((byte,)))

    def flush(self):
        pass


class Reset(BaseException):
    pass


class Timer:
    ONE_SHOT = 0
    armed = None

    def __init__(self, number):
        pass

    def init(self, period, mode, callback):
        Timer.armed = self
        self.period_ms = period
        self.fire = lambda: callback(self)

    def deinit(self):
        Timer.armed = None


class Machine:
    """As much of the module as a board has."""
    Timer = Timer

    @staticmethod
    def reset():
        raise Reset


class Main:
    """A slot's program: runs `act`."""

    def __init__(self, act):
        self.start = act


class Board:
    """A power-on: slots.py anew, on what the flash has."""

    def __init__(self, flash):
        self.flash = flash
        sys.modules.pop("slots", None)
        Timer.armed = None
        path = list(sys.path)
        import slots

        self.slots = slots
        slots.os, slots.open, slots.root = flash, flash.open, ""
        sys.modules["machine"] = Machine
        try:
            self.running = slots.boot()
            self.path = sys.path[:len(sys.path) - len(path)]
        finally:
            sys.path[:] = path

    def run(self, act):
        """slots.start() with this as the slot's main (None: it has none); returns whether it ended
        by a reset."""
        if act is not None:
            sys.modules["main"] = Main(act)
        self.slots._print = lambda error: None
        try:
            self.slots.start()
        except Reset:
            return True
        finally:
            sys.modules.pop("main", None)
        return False


def _fail():
    raise ValueError("a bug")


OLD = {"/a/main.py": b"old", "/a/lib/x.py": b"old library"}
NEW = {"/b/lib/x.py": b"new library", "/b/y.py": b"more", "/b/main.py": b"new"}


def _update(flash):
    """What an updater does with slot b: its main goes first and comes last, by its name."""
    for path in sorted(flash.files):
        if path.startswith("/b/main"):
            flash.remove(path)
    for path in NEW:
        if path != "/b/main.py":
            flash.write(path, NEW[path].decode())
    flash.write("/b/main.new", NEW["/b/main.py"].decode())
    flash.rename("/b/main.new", "/b/main.py")


def _updated(minutes=5):
    """A flash with a good slot a and a trial of b that has not begun."""
    board = Board(Flash(OLD))
    assert board.running == "a" and Timer.armed is None
    _update(board.flash)
    board.slots.begin("b", "1234", minutes)
    return board.flash


def test_the_first_slot_with_a_main_is_good_where_nothing_is_said():
    for files, expected in ((OLD, "a"), (NEW, "b"), ({"/b/main.mpy": b"x"}, "b"),
                            (dict(OLD, **NEW), "a"), ({"/a/lib/x.py": b""}, None), ({}, None)):
        board = Board(Flash(files))
        assert board.running == expected
        assert board.path == ([] if expected is None else ["/" + expected, "/%s/lib" % expected])
        assert not board.slots.on_trial() and not board.slots.confirm()
    assert not board.run(_fail)     # says that there is nothing, and leaves the board to its user


def test_a_trial_that_is_confirmed_becomes_the_good_one():
    board = Board(_updated(minutes=7))
    assert board.running == "b" and board.path == ["/b", "/b/lib"]
    assert board.slots.on_trial() and Timer.armed.period_ms == 7 * 60000
    assert board.slots.confirm() and not board.slots.confirm()
    assert Timer.armed is None
    state = board.slots.state()
    assert (state["good"], state["trial"], state["running"]) == ("b", None, "b")
    assert state["hash"] == {"b": "1234"} and state["rolled_back"] is None
    assert board.slots.spare() == "a"
    assert Board(board.flash).running == "b"


def test_a_trial_that_nobody_confirms_is_started_twice():
    flash = _updated()
    for expected in "b", "b", "a", "a":
        board = Board(flash)
        assert board.running == expected
        if expected == "b":
            raises(Reset, Timer.armed.fire)
    rolled_back = board.slots.state()["rolled_back"]
    assert (rolled_back["slot"], rolled_back["hash"]) == ("b", "1234")
    assert board.slots.spare() == "b"


def test_a_main_that_ends_is_rolled_back_at_once():
    for act, why in (_fail, "a bug"), (lambda: None, "has ended"):
        board = Board(_updated())
        assert board.run(act)
        after = Board(board.flash)
        assert after.running == "a" and why in after.slots.state()["rolled_back"]["why"]


def test_a_reset_from_within_or_a_break_at_the_serial_port_is_no_failure():
    for error in SystemExit, KeyboardInterrupt:
        def act():
            raise error

        board = Board(_updated())
        raises(error, board.run, act)
        assert board.slots.on_trial()


def test_a_trial_without_main_is_not_begun():
    flash = _updated()
    del flash.files["/b/main.py"]
    assert Board(flash).running == "a"


def test_a_good_program_that_fails_is_started_anew_and_a_damaged_one_replaced():
    board = Board(Flash(dict(OLD, **NEW)))
    board.slots.RESTART_S = 0
    assert board.run(_fail)
    assert Board(board.flash).running == "a"
    assert Board(board.flash).run(None)
    assert Board(board.flash).running == "b"
    del board.flash.files["/b/main.py"]
    assert Board(board.flash).running == "a"


def test_a_good_program_that_the_heap_is_too_small_for_stays_the_good_one():
    def too_large(name):
        raise MemoryError

    board = Board(Flash(dict(OLD, **NEW)))
    board.slots.RESTART_S, board.slots.__import__ = 0, too_large
    files = dict(board.flash.files)
    assert board.run(None)
    assert Board(board.flash).running == "a" and board.flash.files == files


def test_what_must_not_be_put_on_trial():
    slots = Board(Flash(OLD)).slots
    for slot in "a", "c", "b", None:
        raises(ValueError, slots.begin, slot, "1")


def test_a_trial_that_cannot_be_noted_is_not_begun():
    flash = _updated()
    flash.broken = True
    board = Board(flash)
    assert board.running == "a" and Timer.armed is None
    raises(OSError, board.slots.begin, "b", "1")
    flash.broken = False
    board = Board(flash)
    assert board.running == "b"
    flash.broken = True
    raises(OSError, board.slots.confirm)
    assert board.slots.on_trial() and Timer.armed is not None


def test_any_damage_of_the_state_leaves_a_program_to_run():
    whole = json.loads(_updated().files[STATE].decode())
    random.seed(11)
    texts = [b"", b"{}", b"[]", b"null", b"\xff\xfe"]
    for name in whole:
        for value in (None, "c", -1, [], {}, 1e9, True, "a" * 50):
            texts.append(json.dumps(dict(whole, **{name: value})).encode())
    good = json.dumps(whole).encode()
    for _ in range(200):
        damaged = bytearray(good)
        damaged[random.randrange(len(good))] = random.randrange(256)
        texts.append(bytes(damaged)[:random.randrange(len(good)) + 1])
    for text in texts:
        flash = Flash(dict(OLD, **NEW))
        flash.files[STATE] = text
        for _ in range(4):
            board = Board(flash)
            assert flash.files["/%s/main.py" % board.running] in (b"old", b"new")
        assert not board.slots.on_trial(), text


def _whole(flash, slot):
    """Is the tree in a slot one that somebody has made as a whole?"""
    tree = {path: data for path, data in flash.files.items() if path.startswith("/%s/" % slot)}
    return tree in (OLD, NEW)


def _cut_everywhere(flash, act):
    """Do something on a board; then again with the power cut after each byte, and with what was
    not synced lost. Each time the board must run a whole program, at once and ever after."""
    before, flash.ops = dict(flash.files), []
    act(flash)
    ops = flash.ops
    assert len(ops) > 50
    random.seed(3)
    seen = set()
    for cut in range(len(ops) + 1):
        for forgets in (False, True):
            left = Flash(before, ops, cut, forgets)
            running = []
            for _ in range(4):
                board = Board(left)
                assert _whole(left, board.running), (cut, board.running)
                running.append(board.running)
            seen.add("".join(running))
            assert not board.slots.on_trial()
            # And the next update goes as ever.
            spare = board.slots.spare()
            if not _whole(left, spare):
                assert not board.slots.has_main(spare)
    return seen


def test_power_may_go_at_any_byte_of_an_update():
    def act(flash):
        board = Board(flash)
        _update(flash)
        board.slots.begin("b", "1234")

    # Before begin() was through the old one runs; after it the new one, twice, then the old one.
    assert _cut_everywhere(Flash(OLD), act) == {"aaaa", "bbaa"}


def test_power_may_go_at_any_byte_of_a_trial_that_is_confirmed():
    seen = _cut_everywhere(_updated(), lambda flash: Board(flash).slots.confirm())
    assert seen == {"bbaa", "baaa", "bbbb"}


def test_power_may_go_at_any_byte_of_a_roll_back():
    def act(flash):
        board = Board(flash)
        board.run(_fail)

    assert _cut_everywhere(_updated(), act) == {"bbaa", "baaa", "aaaa"}
