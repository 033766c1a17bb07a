"""Joined modules: a program does the same, whatever its modules' names have in common; what is
loaded later stays so; what nobody reaches is gone; what is rare comes when it is called."""

import ast
import re
from functools import partial

import pytest

from host_tools.boards import bundles, chunks, compiling, program, rare, steady, unused

from tests.host.test_names import run, written

# Each way in which modules that are joined can be in each other's way.
TEXTS = {
    "mpcore": '''
VERSION = 3

def __getattr__(name):
    if name == "start":
        from mpcore.main import start
        return start
    try:
        return __import__("mpcore." + name, None, None, (name,))
    except ImportError:
        raise AttributeError(name)
''',
    "mpcore.on_demand": '''
import sys
MODULES = ("mpcore.later", "mpcore.low")
_rests = []

def release():
    for name in _rests[:]:
        _rests.remove(name)
        sys.modules.pop(name).forget()
    for name in MODULES:
        if sys.modules.pop(name, None) is not None and hasattr(sys.modules["mpcore"], "later"):
            delattr(sys.modules["mpcore"], "later")
    return MODULES

def rest(self, name):
    module = "mpcore.rest%d" % self.REST
    if module in _rests:
        raise AttributeError(name)
    __import__(module)
    _rests.append(module)
    return getattr(self, name)
''',
    "mpcore.low": '''
import sys
from micropython import const
from struct import pack as _pack
_SIZE = const(2)
LIMIT = const(40)
_same = "low"
count = 0

def parse(data):
    return _same, data[:_SIZE], _pack("B", 7)

def step():
    global count
    count += 1
    return count

def unused():
    return never()

def never():
    return unused()

class Base:
    kind = "base"

    def __init__(self, name="x"):
        self.name = name

    def often(self):
        return self.name + self._rarely(2)

    def _rarely(self, n):
        return (self.kind + _same) * n

    def relative(self):
        return "base"

    def unreached(self):
        return None
''',
    "mpcore.high": '''
import sys as system
from micropython import const
from mpcore import low, VERSION
from mpcore.low import Base, parse as parse_low
_SIZE = const(3)
_same = "high"

def parse(data, low_=5):
    def inner(parse):
        return parse, _same, low.parse(data), parse_low(data)
    return inner(data[:_SIZE]), low.LIMIT + LIMIT(1), VERSION

def LIMIT(step):
    return [step for step in (step, low.step())][1]

class Derived(Base):
    def relative(self):
        return super().relative() + "derived"

    def seldom(self, data=b"", *more):
        parse = 1
        return parse, parse_low(data), [each for each in more], sorted(low.__name__ for _ in "a")

    def hold(self):
        return self.held

    def held(self):
        return "held"

    def steps(self, count):
        one = parse(b"one")[1]
        for i in range(count):
            yield (lambda: [self.name, one, i])()
''',
    "mpcore.later": '''
from mpcore import high
from mpcore.low import parse, step
made = []

def use():
    made.append(high.parse(b"abcd"))
    return parse(b"xyz"), step(), len(made)
''',
    "mpcore.main": '''
from mpcore import high, on_demand
from mpcore.high import Derived
from mpcore.low import Base

def spelled(n):
    return _joined(_digits(n))

def _joined(digits):
    return "".join(digits + [Base.kind, _times(2)])

def _digits(n):
    return [str(n)] if n < 10 else _tens(n)

def _tens(n):
    return _digits(n // 10) + _digits(n % 10)

def _times(n):
    return "x" * _doubled(n)

def _doubled(n):
    return _added(n, n)

def _added(a, b=1, *, _self=0):
    return a + b + _self

def start(step):
    from mpcore import later
    a, b = Base(), Derived("d")
    print(step, high.parse(b"wxyz"), later.use(), later.use())
    print(a.often(), b.often(), a.relative(), b.relative(), b.hold()(), hasattr(b, "nothing"))
    try:
        a.missing
    except AttributeError:
        print("missing")
    print(b.seldom(b"data", 1, 2)[:3], getattr(b, "seldom")()[0])
    print(list(b.steps(2)), spelled(123))
    first = on_demand.release()
    from mpcore import later
    print(later.use()[2], b.often(), b.seldom()[0], sorted(first))
''',
}
TEXTS["mpcore.high"] = TEXTS["mpcore.high"].replace(
    ', sorted(low.__name__ for _ in "a")', "")
USE = "from mpcore import start, VERSION\nimport mpcore.high\nstart(VERSION)\n" \
      "print(mpcore.high.parse(b'12345')[2], mpcore.high.Derived('q').often())\n"
RUNNING = {("mpcore.low", "Base.often"), ("mpcore.high", "Derived.hold")}


CHUNKS = chunks.chunks


def join(monkeypatch, running=RUNNING, parts=4):
    monkeypatch.setattr(chunks, "chunks", partial(CHUNKS, parts=parts))
    monkeypatch.setattr(steady, "WATCHED", ("mpcore.low", "mpcore.high", "mpcore.main"))
    return compiling.joined(
        TEXTS, "rp2", ("mpcore", "mpcore.main"), ("mpcore", "mpcore.high", "mpcore.main"),
        dict.fromkeys(TEXTS, "core"), [USE], running=running)


@pytest.fixture
def joined(monkeypatch):
    return join(monkeypatch, parts=2)       # relatives share one


@pytest.mark.parametrize("running", (RUNNING, None))
def test_joined_modules_do_the_same(monkeypatch, running, micropython, tmp_path):
    joined = join(monkeypatch, running)
    (tmp_path / "use.py").write_text(USE)
    plain = written(tmp_path / "plain", {
        name + ("/__init__" if name == "mpcore" else ""): text for name, text in TEXTS.items()})
    together = written(tmp_path / "joined", {
        name + ("/__init__" if name == "mpcore" else ""): text
        for name, text in joined.texts.items()})
    before, after = (run(micropython, tmp_path / "use.py", cwd=directory,
                         env={"MICROPYPATH": f"{directory}:.frozen"})
                     for directory in (plain, together))
    # What may be forgotten is what is not joined with what stays.
    assert after == before.replace("['mpcore.later', 'mpcore.low']", "['mpcore.later']")
    assert before.count("\n") == 7


def test_what_is_joined_where(joined):
    [later] = [name for name, parts in joined.chunks.items() if "mpcore.later" in parts]
    assert joined.chunks[later] == ("mpcore.later",)
    assert "mpcore.low" not in joined.texts or joined.chunks["mpcore.low"]
    every = "".join(joined.texts.values())
    assert not re.search(r"\b(unreached|never|unused)\b", every)


def test_rare_methods_are_in_files_of_their_own(joined):
    rest = "".join(text for name, text in joined.texts.items() if name.startswith(rare.PREFIX))
    told = {path for name, names in joined.names.items() if name.startswith(rare.PREFIX)
            for paths in names.values() for path in paths}
    assert {"low.Base._rarely", "high.Derived.seldom", "high.Derived.held"} <= told
    assert rest and not told & {"low.Base.relative", "high.Derived.relative",   # of relatives
                                "low.Base.often", "high.Derived.hold"}          # that run
    assert {"low.parse", "main._tens"} & told == {"main._tens"}                 # another uses it


def modules(**texts):
    return {name: program.Module(name, text) for name, text in texts.items()}


def test_chunks_follow_from_imports():
    made = modules(
        p="", core="import p\nfrom shared_core import x", shared_core="",
        one="from both import y", two="import both", both="import core",
        user="def f():\n    import one\n    from two import z\n    try:\n        import none\n"
             "    except ImportError:\n        import three",
        three="")
    found = chunks.chunks(made, ("p", "core"), ("user",), dict.fromkeys(made, "set"), parts=1)
    assert [set(chunk.modules) for chunk in found[:2]] == [{"shared_core", "core"}, {"p"}]
    assert sorted(sorted(chunk.modules) for chunk in found[2:]) == [
        ["both"], ["one"], ["three"], ["two"], ["user"]]


@pytest.mark.parametrize("texts, complaint", [
    ({"a": "x = 1", "b": "from a import c\nprint(c)"}, "a has no c"),
    ({"a": "from a import b", "a.b": "x = 1", "c": "from a import b\nb.x = 2"}, "c sets x of a.b"),
    ({"a": "", "a.b": "x = 1", "c": "from a import b\nprint(b)"}, "is used as an object"),
])
def test_what_cannot_be_joined_is_refused(texts, complaint):
    made = {name: program.Module(name, text) for name, text in texts.items()}
    order = tuple(made)
    with pytest.raises(ValueError, match=complaint):
        bundles.bundled(made, [chunks.Chunk(order[-1], order)], [], [])


def test_what_is_reached_only_by_a_text_or_by_a_kept_name_stays():
    made = modules(m='''
def used(): return getattr(A(), "by_text")
def other(): pass
class A:
    def by_text(self): pass
    def kept(self): return self.inner()
    def inner(self): pass
    def gone(self): return other()
class B(A): pass
TABLE = {1: used}
EFFECT = print()
used()
''')
    unused.remove(made, {"m": set()}, {"kept"})
    assert set(made["m"].scope.bound) == {"used", "A", "EFFECT"}
    assert set(next(scope for scope in made["m"].scopes if scope.kind == "class").bound) == {
        "by_text", "kept", "inner"}


def test_what_a_member_runs_does_not_change():
    found = steady.functions.__wrapped__()
    assert found == steady.functions.__wrapped__()
    assert {("mpcore.vl1.switch", "VL1.receive"), ("mpcore.ip.connection", "Connection.poll")} \
        <= found
    assert all(module.startswith("mpcore") for module, _ in found)
