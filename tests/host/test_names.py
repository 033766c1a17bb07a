"""Short names: a program does the same with them, has fewer, and what others may know stays."""

import ast
import json
import re
import subprocess
import sys

import pytest

from host_tools.boards import __main__ as boards
from host_tools.boards import compiling, constants, names, program, rare, sets, steady
from host_tools.unix_port import ROOT

HEAP = "32M"
TIMEOUT_S = 300

# Each way in which a name can be more than it seems, in a program of two modules and their user.
HAZARDS = {
    "box": '''
from micropython import const

WIDE = const(1 << 4)
TALL = const(WIDE // 2 - 10)
_HIDDEN = const(TALL + 100)
UNKNOWN = const("text")
table = {"length": 1}
counted = 0


def helper(first, second=WIDE, *rest, flag=False):
    return first, second, rest, flag


def count_up(by):
    global counted
    counted += by
    return counted


class Base:
    shared = 5

    def __init__(self, size):
        self.size = size
        self._inner = size + _HIDDEN

    def inner(self):
        return self._inner

    twin = inner


class Other:
    def __init__(self, inner):
        self.other_inner = inner
        self._mine = inner + 1

    def both(self, box):
        box.marked = self._mine
        return self.other_inner, box.inner()

    @staticmethod
    def still(self):
        self.foreign = 7
        return self.foreign

    @property
    def mine(self):
        return self._mine
''',
    "user": '''
import box as boxes
from box import Base, Other, TALL, helper as assist
from box import *


class Derived(Base):
    def __init__(self, size, extra):
        super().__init__(size=size)
        self._own = extra
        self.marked = None

    def inner(self):
        def deeper(extra):
            size = [extra for extra in (self._own, extra) if extra]
            return size, self._inner
        return deeper(TALL)

    def all(self):
        return sorted(value for name, value in self.__dict__.items() if value is not None)


def closures(first, second):
    third = first
    add = lambda first, third=third: (first, second, third, boxes.WIDE)
    def change():
        nonlocal third
        third = second
        return third
    return add(9), change(), third


def shadow(boxes):
    return boxes.WIDE


def failing(value):
    try:
        value.nothing
    except AttributeError as first:
        return type(first) is AttributeError
    finally:
        a = b = c = value
    return a, b, c


class Fake:
    WIDE = "another"


async def waits(first):
    return [first for first in (first,)]


def keywords(*, first, second=2, **others):
    return first, second, sorted(others.items())


def main():
    derived = Derived(3, 4)
    other = Other(inner=2)
    print(derived.inner(), derived.twin(), derived.shared, derived.all())
    print(other.both(derived), derived.marked, derived.all(), other.mine)
    print(Other.still(derived), derived.foreign)
    print(boxes.count_up(2), boxes.count_up(by=3), boxes.counted, box_counted())
    print(assist(1), assist(1, 2, 3, flag=True), helper(second=5, first=4))
    print(closures(1, 2), shadow(Fake), failing(1), boxes.UNKNOWN)
    print(getattr(derived, "size"), hasattr(derived, "length"), boxes.table["length"])
    print(keywords(first=1, third=3), keywords(**{"first": 1, "second": 7}))
    print([WIDE for WIDE in range(2)], WIDE, -TALL ** 2, {WIDE: TALL}, f"{WIDE + TALL}")
    try:
        waits(5).send(None)
    except StopIteration as end:
        print(end.value)


def box_counted():
    from box import counted as first
    return first
'''}
USE = "import user\nuser.main()\n"


def run(micropython, *arguments, **options):
    """Output of a script on MicroPython, which must succeed."""
    done = subprocess.run([micropython, "-X", "heapsize=" + HEAP, *map(str, arguments)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=TIMEOUT_S, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


def written(directory, sources):
    for name, text in sources.items():
        path = directory / (name.replace(".", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


# The rules

def test_hazards_do_the_same_with_short_names(micropython, tmp_path):
    texts, told = names.shortened(HAZARDS, [USE])
    (tmp_path / "use.py").write_text(USE)
    outputs = [run(micropython, tmp_path / "use.py", cwd=written(tmp_path / kind, sources),
                   env={"MICROPYPATH": f"{tmp_path / kind}:.frozen"})
               for kind, sources in (("plain", HAZARDS), ("short", texts))]
    assert outputs[0] == outputs[1] and outputs[0].count("\n") == 10
    gone = {old for names_of in told.values() for olds in names_of.values() for old in olds}
    assert {"Base", "Derived", "_inner", "other_inner", "helper", "keywords", "twin",
            "marked"} <= gone
    assert not gone & {"main", "user", "length", "size", "nothing", "third", "UNKNOWN"}
    assert not re.search(r"\b(TALL|_HIDDEN)\b", texts["box"])


def test_what_shares_a_name_is_never_in_one_place():
    _, told = names.shortened(HAZARDS, [USE])
    both = {}
    for names_of in told.values():
        for new, olds in names_of.items():
            both.setdefault(new, set()).update(olds)
    assert any(len(olds) > 1 for olds in both.values())
    for together in (("_inner", "_own", "marked", "shared", "twin", "foreign"),
                     ("other_inner", "_mine", "both", "still", "mine", "marked", "foreign"),
                     ("Base", "Derived", "Other", "helper", "counted", "closures", "keywords"),
                     ("first", "second")):
        for olds in both.values():
            assert len(olds & set(together)) <= 1 or olds <= {"first", "second"}, olds


def fold(**sources):
    modules = {name: program.Module(name, text) for name, text in sources.items()}
    constants.fold(modules)
    return {name: ast.unparse(module.tree) for name, module in modules.items()}


@pytest.mark.parametrize("use, folded", [
    ("from m import A\nx = A", "x = 5"),
    ("from m import A as B\nx = B", "x = 5"),
    ("import m\nfrom p import m as n\nx = n.A", "import m\nfrom p import m as n\nx = n.A"),
    ("def f(A):\n    return A", "def f(A):\n    return A"),
    ("def f():\n    from m import A\n    return -A", "def f():\n    return -5"),
    ("from m import A\nif B:\n    A = 6\nx = A", "from m import A\nif B:\n    A = 6\nx = A"),
    ("from m import B\nx = B", "x = -7"),
    ("from m import B\nx = B ** 2", "x = (-7) ** 2"),
    ("from m import C\nx = C", "from m import C\nx = C"),
    ("from m import D\nx = D", "from m import D\nx = D"),
])
def test_constants_become_numbers(use, folded):
    assert fold(m="A = const(5)\nB = const(-A - 2)\nC = const(f())\nD = const(1)\nD = 2",
                user=use)["user"] == folded


@pytest.mark.parametrize("use, left", [
    ("from m import A\nx = A", "B = const(2)"),
    ("import m\nx = m.A", "A = const(1)\nB = const(2)"),
    ("from m import *\nx = A", "A = const(1)\nB = const(2)"),
    ("from m import A\nif x:\n    A = 6\nx = A", "A = const(1)\nB = const(2)"),
    ("from n import A as C\nx = C", "A = const(1)\nB = const(2)"),
])
def test_a_constant_that_is_read_otherwise_stays(use, left):
    folded = fold(m="from micropython import const\nA = const(1)\nB = const(2)",
                  n="from m import A\nx = A" if "from n" in use else "",
                  user=use + "\nfrom m import B\nB = 3\nx = B")
    assert folded["m"] == "from micropython import const\n" + left


@pytest.mark.parametrize("text, complaint", [
    ("from . import x", "relative import"),
    ("[y := x for x in ()]", "line 1: :="),
    ("class A(f()):\n    pass", "m: a base of A is no name"),
])
def test_what_is_not_understood_is_refused(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        names.shortened({"m": text}, [])


# Filament with short names

CORE = ROOT / "tests" / "core"
LOCAL = {path.stem for path in CORE.glob("*.py")}
CHECKS = ROOT / "host_tools" / "vector_checks"
SIMULATION = ROOT / "host_tools" / "simulation"


def of_the_tests():
    """{module: text} of the portable tests and what they use; each module has one name."""
    texts = {}
    for path in (*CORE.glob("*.py"), SIMULATION / "lan.py", SIMULATION / "wire.py",
                 *CHECKS.glob("*.py")):
        text = re.sub(r"^(\s*)from (\w+) import", lambda found: (
            f"{found[1]}from tests.core.{found[2]} import" if found[2] in LOCAL else found[0]),
            path.read_text(), flags=re.M)
        texts[path.relative_to(ROOT).as_posix()[:-3].replace("/", ".")] = re.sub(
            r"^import (\w+)$", lambda found: (
                f"from tests.core import {found[1]}" if found[1] in LOCAL else found[0]),
            text, flags=re.M)
    return texts


# What sets the inside of a module to something else does not reach what is joined with it, and
# kernels are compared with their twins elsewhere: those are not there.
REACH_IN = {"test_checks.py", "test_crypto_curves.py", "test_crypto_packets.py",
            "test_crypto_primitives.py", "test_header.py", "test_identity.py",
            "test_ip_headers.py", "test_nic.py", "test_octets.py", "test_on_demand.py",
            "test_work.py"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The portable tests and all that they test, joined, as one program with short names."""
    directory = tmp_path_factory.mktemp("names")
    texts = {module: sets.MODULES[module].read_text() for module in sets.modules(["linux"])}
    tests = {name: text for name, text in of_the_tests().items()
             if name.rpartition(".")[2] + ".py" not in REACH_IN}
    used = {inner for module in (program.Module(name, text) for name, text in tests.items())
            for alias, source, _ in module.imported for inner in (source, f"{source}.{alias.name}")
            if inner in texts}
    packet = "mpcore.vl1.packet"            # whose constants a replayed session reads by name
    part_of = {module: name for name, part in sets.sets("linux").items()
               for module in part.modules}
    made = compiling.joined(
        texts | tests, "linux", sets.ROOTS["core"], sorted({*names.PUBLIC, *used, *tests}),
        part_of | dict.fromkeys(tests, "tests"), compiling.outside(),
        {*re.findall(r"def (test_\w+)", "".join(tests.values())),
         *program.Module(packet, texts[packet]).scope.bound}, [packet], steady.functions())
    assert len([name for name in made.texts if not name.startswith(rare.PREFIX)]) \
        < 0.9 * len(texts | tests)
    for module, text in made.texts.items():
        path = directory / compiling.file_of(module)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for place in ("boards", "tests/vectors", "tests/micropython_runner.py"):
        (directory / place).symlink_to(ROOT / place)
    return directory


@pytest.mark.parametrize("name", [
    "test_aio.py", "test_controller.py", "test_dns_mdns.py", "test_exchange.py",
    "test_interpose.py", "test_ipv6.py", "test_node.py", "test_port.py",
    "test_rules.py", "test_session_replay.py", "test_socket.py", "test_tcp_options.py",
    "test_vl1.py", "test_vl2_frames.py"])
def test_the_portable_tests_pass_joined_with_short_names(tree, micropython, name):
    run(micropython, "tests/micropython_runner.py", f"tests/core/{name}", cwd=tree)


def test_what_apps_may_know_is_there():
    """Every public name of NIC and its like, and every parameter, is as it was."""
    made = compiling.program("rp2")
    homes = {module: name for name, modules in made.chunks.items() for module in modules
             if not name.startswith(rare.PREFIX)}
    for name in names.PUBLIC:
        home = program.Module(homes[name], made.texts[homes[name]])
        has = {(alias.asname or alias.name): alias.name
               for alias, _, _ in program.Module(name, made.texts[name]).imported
               } if name not in made.chunks else {each: each for each in home.scope.bound}
        after = dict(described(home))
        before = dict(described(program.Module(name, sets.MODULES[name].read_text())))
        for what, (parameters, bound) in before.items():
            if len(what) > 1 and what[-2] != "__getattr__":
                what = (*what[:-2], has[what[-2]], "")      # the outermost is the last but one
                assert after[what][0] == parameters and bound <= after[what][1], (name, what)


def described(module):
    """(path, (parameters, public names)) of each public class and function, and the module."""
    for scope in module.scopes:
        outer = tuple(getattr(around.node, "name", "") for around in scope.around())
        if (not any(name.startswith("_") and name != "__init__" for name in outer)
                and (scope.kind != "function" or isinstance(
                    scope.node, (ast.FunctionDef, ast.AsyncFunctionDef))
                    and scope.parent.kind != "function")):
            yield outer, (scope.parameters, {
                name for name in scope.bound if scope.kind == "class" and name[0] != "_"})


def test_names_do_not_depend_on_the_order_of_sets():
    script = ("import json, sys; from host_tools.boards.compiling import program; "
              "json.dump(program('rp2'), sys.stdout)")
    first, second = (subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True,
        env={"PYTHONHASHSEED": seed, "PATH": ""}).stdout for seed in "12")
    assert first == second and len(first) > 100000


def test_a_traceback_says_the_names_again(micropython, tmp_path):
    told = compiling.program("linux").names
    (tmp_path / "use.py").write_text(
        "import sys\nsys.path[:] = ['.', '.frozen']\nimport mpcore\n"
        "nic = mpcore.NIC(bind='nowhere')\ntry:\n    nic.active(True)\n"
        "except Exception as error:\n    sys.print_exception(error)\n")
    for module, content in compiling.compiled("x64", "linux").items():
        path = (tmp_path / compiling.file_of(module)).with_suffix(".mpy")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    text = run(micropython, "use.py", cwd=tmp_path)
    assert ", line 1, in active\n" in text and "_open" not in text, text
    long = names.lengthen(text, told)
    assert "nic.NIC.active" in long and "nic.NIC._open" in long
    (tmp_path / "names.json").write_text(json.dumps({"linux": told, "rp2": {}}))
    translate = [sys.executable, "-m", "host_tools.boards.names",
                 "--names", tmp_path / "names.json"]
    done = subprocess.run([*translate, "--board", "unix"], cwd=ROOT, input=text,
                          capture_output=True, text=True, check=True)
    assert done.stdout == long
    done = subprocess.run(translate, cwd=ROOT, input=text, capture_output=True, text=True)
    assert done.returncode == 1 and "--board is needed" in done.stderr


def test_lengthen_says_what_was_wrong():
    told = {"m.x": {"pi()": ["x.A.receive", "x.B.send"], "pi": ["receive", "send", "sent"],
                    "a": ["Network"]}}
    assert names.lengthen('Traceback:\n  File "m.x", line 1, in pi\n'
                          "AttributeError: 'a' object has no attribute 'b'\n", told) == (
        'Traceback:\n  File "m.x", line 1, in x.A.receive | x.B.send\n'
        "AttributeError: 'Network' object has no attribute 'b'\n")


def test_without_a_build_the_tool_says_what_to_do(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "host_tools.boards.names", "--names", tmp_path / "none"],
        cwd=ROOT, input="", capture_output=True, text=True)
    assert done.returncode == 1 and "`make boards` writes it" in done.stderr


def test_few_names_are_left():
    taken = boards._names("armv6m", "rp2")
    for name, kinds in taken.items():
        assert kinds["short"][0] < kinds["plain"][0] and kinds["short"][1] < kinds["plain"][1]
    assert taken["core"]["short"][0] <= 495 and taken["core"]["short"][1] <= 7350
