"""What importing a module would make, as `freeze` tells it, beside what Python makes of it."""

import builtins
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.boards import frozen
from host_tools.boards.frozen import (
    Builtin, Class, Function, Literal, Live, Object, Table, Tuple, Wrapped)

FIRMWARE = {"builtins": dir(builtins), "time": ["sleep", "ticks_ms"], "errno": ["EIO"],
            "socket": ["AF_INET"], "micropython": ["const", "native", "viper"]}


def freeze(text, public=(), **others):
    """The Frozen of a module `m`."""
    return frozen.freeze({**others, "m": text}, FIRMWARE, public)["m"]


class Board:
    """Runs what `freeze` has made of a program as a board does: what is told is there at once, and
    what is live when a module is imported."""

    def __init__(self, **texts):
        self.names = dict(vars(builtins))       # the built-in ones
        self.names["__import__"] = self._import
        self._parts = frozen.freeze(texts, FIRMWARE, ())
        self._modules = {name: {"__builtins__": self.names, "__name__": name} for name in texts}
        self._run = set()
        for name, part in self._parts.items():
            exec(part.text, self._modules[name])
        for name, part in self._parts.items():
            for bound, entity in part.globals.items():
                if not isinstance(entity, Live):
                    self._modules[name][bound] = self._python(entity)

    def __getitem__(self, name):
        """The globals of a module, imported."""
        self._load(name)
        found = dict(self._modules[name])
        for bound, entity in self._parts[name].globals.items():
            if isinstance(entity, Live):
                found[bound] = self.names[entity.name]
        return types.SimpleNamespace(**found)

    def _import(self, name, *_):
        if name not in self._parts:
            return __import__(name)
        self._load(name)
        return types.SimpleNamespace(**self._modules[name])

    def _load(self, name):
        if name not in self._run:
            self._run.add(name)
            if self._parts[name].live:
                self._modules[name][frozen.LIVE](lambda template, *bases: template)

    def _python(self, entity):
        if isinstance(entity, Literal):
            return entity.value
        if isinstance(entity, Tuple):
            return tuple(map(self._python, entity.items))
        if isinstance(entity, Table):
            return {self._python(key): self._python(value) for key, value in entity.items}
        if isinstance(entity, Object):
            return types.SimpleNamespace(**self._modules[entity.module])
        if isinstance(entity, (Class, Function)):
            [name] = [name for name, each in self._parts[entity.module].globals.items()
                      if each is entity]
            return self._modules[entity.module][name]
        if entity == Builtin("builtins", None):
            return _Overrides(self.names)
        if isinstance(entity, Builtin) and entity.module == "builtins":
            return getattr(builtins, entity.name)
        raise AssertionError(entity)


class _Overrides:
    """The module `builtins`, of which every module sees what is set."""

    def __init__(self, names):
        super().__setattr__("_names", names)

    def __setattr__(self, name, value):
        self._names[name] = value

    def __delattr__(self, name):
        del self._names[name]


def test_constants_names_and_modules_are_told():
    found = freeze("import time\nfrom errno import EIO as failed\nimport other\n"
                   "from other import X, Y as Z\nA = 5\nB = (A, b'x', 'y', None, -A)\n"
                   "C = bytes(3) + B[1]\nD, E = 1, (2,)\nF = G = True\n",
                   other="X = 7\nY = (X,)\n")
    assert found.globals == {
        "time": Builtin("time", None), "failed": Builtin("errno", "EIO"),
        "other": Object("other"), "X": Literal(7), "Z": Tuple((Literal(7),)), "A": Literal(5),
        "B": Tuple((Literal(5), Literal(b"x"), Literal("y"), Literal(None), Literal(-5))),
        "C": Literal(b"\0\0\0x"), "D": Literal(1), "E": Tuple((Literal(2),)),
        "F": Literal(True), "G": Literal(True), "bytes": Builtin("builtins", "bytes")}
    assert not found.live and not found.kept


def test_functions_and_classes_are_told_with_what_they_hold():
    found = freeze("import micropython\nA = 1\n"
                   "@micropython.native\ndef f(x, y=A, *, z=(A,)): pass\n"
                   "class Base(ValueError):\n B = A\n C = B\n"
                   " @property\n def p(self): pass\n @p.setter\n def p(self, v): pass\n"
                   " @staticmethod\n def s(): pass\n g = f\n"
                   "class Derived(Base): pass\n")
    f = Function("m", (0,), (Literal(1),), (("z", Tuple((Literal(1),))),))
    base = Class("m", "Base", (Builtin("builtins", "ValueError"),), (
        ("B", Literal(1)), ("C", Literal(1)),
        ("p", Wrapped("property", (Function("m", (1, 0), (), ()), Function("m", (1, 1), (), ())))),
        ("s", Wrapped("staticmethod", (Function("m", (1, 2), (), ()),))), ("g", f)))
    assert (found.globals["f"], found.globals["Base"]) == (f, base)
    assert found.globals["Derived"] == Class("m", "Derived", (base,), ())


@pytest.mark.parametrize("statement", [
    "X = []", "X = {}", "X = bytearray(2)", "X = f()", "X = unknown", "import asyncio as X",
    "from socket import AF_INET as X", "import socket as X", "X = [1][0]", "X = lambda: 1",
    "def X(a=[]): pass", "def X(a=lambda: 1): pass", "@decorated\ndef X(): pass",
    "class X:\n a = []", "class X(f()): pass", "class X:\n def m(self): super().m()",
    "class X(metaclass=f): pass", "class X:\n def __new__(cls): pass",
    "for X in (1, 2): pass", "if f: X = 1", "try:\n X = 1\nfinally: pass",
    "X = {1: 2}\nX[1] = 3", "X = {1: 2}\ndef g(): X.update({})", "X = {1: 2}\nY = X",
    "X = 1\nX = 2", "X = 1\ndef g():\n global X\n X = 2", "X = 1\nX += 1",
])
def test_what_has_to_run_on_the_board_is_live(statement):
    found = freeze("def f(): pass\ndef decorated(f): return f\n" + statement + "\n")
    assert isinstance(found.globals["X"], Live) and found.live


def test_a_dict_that_is_only_read_is_a_table():
    found = freeze("X = {1: 'a', 'k': (2,)}\n"
                   "def f(k): return X[k], X.get(k), k in X, [k for k in X.keys()]\n")
    assert freeze("class A:\n held = {}\n").globals["A"].members == (("held", Table(())),)
    assert found.globals["X"] == Table(((Literal(1), Literal("a")),
                                        (Literal("k"), Tuple((Literal(2),)))))
    assert not found.live


def test_live_globals_are_seen_wherever_they_are_used():
    board = Board(
        a="count = 0\nITEMS = []\n"
          "def add(x):\n global count\n count += 1\n ITEMS.append(x)\n return count\n"
          "def reset():\n global count\n count, ITEMS[:] = 0, []\n",
        b="from a import add, ITEMS as THINGS\nimport a\nadd(1)\n"
          "def things(): return list(THINGS)\n"
          "def own(THINGS): return THINGS\n")
    b = board["b"]
    assert b.things() == [1] and b.own(5) == 5
    assert b.add(2) == 2 and b.things() == [1, 2]
    board["a"].reset()
    assert b.add(3) == 1 and b.things() == [3]


def test_live_statements_run_in_their_order_after_what_they_import():
    board = Board(log="LOG = []\n", a="from log import LOG\nLOG.append('a')\nX = 1\n",
                  b="from log import LOG\nLOG.append('b')\nimport a\nLOG.append(a.X)\n"
                    "try:\n import nothing_like_it as found\nexcept ImportError:\n found = 2\n"
                    "if found:\n def chosen(): return found\n"
                    "class Made:\n items = []\n"
                    "del LOG[1:2]\n"
                    "def log(): return LOG, chosen(), Made.items\n")
    assert board["b"].log() == (["b", 1], 2, [])


def test_a_module_with_something_live_for_others_offers_it():
    texts = {"a": "from b import NIC\n", "b": "class NIC: pass\nregistered = []\n_own = []\n",
             "p": "X = 1\ndef __getattr__(name): return name\n", "p.q": ""}
    found = frozen.freeze(texts, FIRMWARE, {"NIC", "registered"})
    assert [found[name].kept for name in ("a", "b", "p", "p.q")] == [True, True, True, False]
    assert isinstance(found["a"].globals["NIC"], Live)
    names = {"b_registered": 5, "__builtins__": vars(builtins)}
    exec(found["b"].text, names)
    assert names[frozen.OFFER]("registered") == 5 and "_own" not in found["b"].text.split(
        frozen.OFFER)[1]
    with pytest.raises(AttributeError):
        names[frozen.OFFER]("_own")
    exec(found["p"].text, names)
    names["X"] = 1
    assert (names[frozen.OFFER]("X"), names[frozen.OFFER]("other")) == (1, "other")


def test_classes_that_apps_may_derive_from_are_copies_and_so_are_those_derived_from_them():
    found = frozen.freeze({"m": "class Stream: pass\nclass Own(Stream): pass\n"
                                "def f(): return Own, Stream\n"}, FIRMWARE, {"Stream"})["m"]
    assert isinstance(found.globals["Stream"], Live) and isinstance(found.globals["Own"], Live)
    template = found.globals["Stream" + frozen.TEMPLATE]
    assert found.globals["Own" + frozen.TEMPLATE] == Class("m", "Own", (template,), ())
    made = []

    def copied(*classes):
        made.append(classes)
        return classes

    names = {"__builtins__": vars(builtins), "builtins": types.SimpleNamespace(),
             "m_Stream": type("Copy", (), {})}
    exec(found.text, names)
    names |= {name + frozen.TEMPLATE: names[name] for name in ("Stream", "Own")}
    names[frozen.LIVE](copied)
    assert made == [(names["Stream"],), (names["Own"], names["m_Stream"])]


def test_what_lies_in_flash_cannot_be_given_an_attribute():
    for text in ("class A: pass\ndef f(): A.x = 1\n", "def f(): f.x = 1\n"):
        with pytest.raises(ValueError, match="m sets x of"):
            freeze(text)
    freeze("class A: pass\ndef f(A): A.x = 1\n")


_NAMES = st.sampled_from("abc")
_VALUES = st.recursive(st.one_of(st.integers(), st.binary(max_size=3), st.booleans(), st.none(),
                                 st.text("xyz", max_size=3)),
                       lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)
_STATEMENTS = st.one_of(
    st.tuples(_NAMES, _VALUES).map(lambda pair: f"{pair[0]} = {pair[1]!r}"),
    st.tuples(_NAMES, _NAMES).map(lambda pair: f"{pair[0]} = ({pair[1]}, 1)"),
    st.tuples(_NAMES, _NAMES).map(lambda pair: f"{pair[0]} = [{pair[1]}]"),
    st.tuples(_NAMES, _VALUES).map(lambda pair: f"{pair[0]} = {{1: {pair[1]!r}}}"),
    _NAMES.map(lambda name: f"def f_{name}():\n global {name}\n {name} = {name}, 0\nf_{name}()"))


@given(st.lists(_STATEMENTS, max_size=8))
def test_whatever_is_assigned_it_is_there_as_python_has_it(statements):
    text = "\n".join(["a = b = c = 0", *statements, ""])
    expected = {}
    exec(text, expected)
    found = Board(m=text)["m"]
    for name in "abc":
        assert getattr(found, name) == expected[name]
        assert type(getattr(found, name)) is type(expected[name])


def test_super_is_the_base_by_its_name():
    board = Board(m="class Base:\n def __init__(self, x): self.x = x\n"
                    " def get(self): return self.x\n"
                    "class Derived(Base):\n def __init__(self, x, y):\n  super().__init__(x)\n"
                    "  self.y = y\n def get(self): return super().get(), self.y\n"
                    "def make(): return Derived(1, 2).get()\n")
    assert board["m"].make() == (1, 2)
    assert isinstance(board._parts["m"].globals["Derived"], Class)
    found = freeze("class A: pass\nclass X(A):\n def m(self): return super\n", {"A"})
    assert isinstance(found.globals["X"], Live) and "class X(m_A)" in found.text


def test_a_class_made_on_the_board_is_not_derived_from_one_in_the_flash():
    for text in ("class A: pass\nclass B(A):\n x = []\n",
                 "class A: pass\ndef f():\n class B(A): pass\n return B\n",
                 "import other\nclass B(other.A): pass\n"):
        with pytest.raises(ValueError, match="B is made on the board, and derived from A"):
            freeze(text, other="class A: pass\n")
    freeze("class A: pass\nclass B(A):\n x = []\n", public={"A"})
    freeze("class A:\n x = []\nclass B(A): pass\n")
