"""Wherever memory for machine code ends, the rest runs as bytecode.

That is on ESP32s, where the machine code of .mpy files lies in memory for instructions. What the
twins compute is compared in tests/core: test_crypto_fallback, test_header, test_identity,
test_ip_headers and test_octets.
"""

import ast
import json
import subprocess
from collections import namedtuple

import pytest

from host_tools.boards import compiling, facts, mpy, sets, specialised
from host_tools.unix_port import ROOT

# Of a `try` that imports a kernel: its module, what is told of it, the twin's, and their names.
Choice = namedtuple("Choice", "kernel told twin names others")
PLATFORM = specialised.MACHINE_CODE_APART
ARCHITECTURES = sorted({board.mpy_arch for board in facts.load().values()
                        if board.platform == PLATFORM})


def choices():
    for path in sets.MODULES.values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Try) and specialised.twin_of(node, PLATFORM):
                [kernel], [handler] = node.body, node.handlers
                told, twin, *_ = handler.body
                own = [each.name for each in handler.body if isinstance(each, ast.FunctionDef)]
                yield Choice(kernel.module, ast.literal_eval(told.value.args[0]), twin.module,
                             {alias.name for alias in kernel.names},
                             {*own, *(alias.name for alias in twin.names)})


CHOICES = list(choices())
KERNELS = [choice.kernel for choice in CHOICES]


def sizes(architecture):
    """{module: bytes of machine code} of what has some."""
    return {module: size for module, content in
            compiling.compiled(architecture, PLATFORM).items()
            if (size := mpy.native_size(content))}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_all_machine_code_is_in_kernels_that_nothing_else_is_joined_with(architecture):
    program = compiling.program(PLATFORM)
    assert sizes(architecture).keys() == set(KERNELS)
    for kernel in KERNELS:
        assert all(module.endswith("_kernel") for module in program.chunks[kernel])
    plain = compiling.compiled(architecture, PLATFORM, plain=True)
    native = {module for module, content in plain.items() if mpy.native_size(content)}
    assert native == {module for kernel in KERNELS for module in program.chunks[kernel]}


def test_a_twin_has_the_same_names_no_machine_code_and_a_file_of_its_own():
    chunks = compiling.program(PLATFORM).chunks
    assert len(set(KERNELS)) == len(CHOICES) == 9
    for choice in CHOICES:
        assert choice.told == choice.kernel and choice.names == choice.others
        assert choice.twin in chunks
        assert "micropython." not in sets.MODULES[choice.twin].read_text()
        assert choice.twin not in sets.loaded(PLATFORM, sets.ROOTS["core"])


def test_the_joined_program_loads_without_any(micropython, tmp_path):
    program = compiling.program(PLATFORM)
    for module, content in mpy.compiled("x64", program.texts, ("-O3",)).items():
        file = tmp_path / compiling.file_of(module).replace(".py", ".mpy")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    script = tmp_path / "load.py"
    script.write_text(f"""
import builtins, sys
sys.path[:] = [{str(tmp_path)!r}, ".frozen"]
usual = builtins.__import__
def without(name, *how):
    if name in {KERNELS!r}:
        raise MemoryError
    return usual(name, *how)
builtins.__import__ = without
from mpcore import NIC, aio
print([name for name in sys.modules if name.endswith(("_kernel", "_bytecode", "_slices"))])
""")
    done = subprocess.run([micropython, script], capture_output=True, text=True, timeout=120)
    *said, loaded = done.stdout.splitlines() or [""]
    missed = [line.removeprefix("no room for the machine code of ").partition(":")[0]
              for line in said]
    assert done.returncode == 0 and len(missed) == 5 and set(missed) < set(KERNELS), done.stderr
    assert "_kernel" not in loaded and "mpcore.octets_slices" in loaded


def talk(micropython, room, taken):
    """What the two of no_room_guest.py tell, where so many bytes of machine code have room."""
    done = subprocess.run(
        [micropython, "-X", "heapsize=32M", ROOT / "tests/host/no_room_guest.py"],
        input=json.dumps([room, taken]), capture_output=True, text=True, timeout=120)
    *said, facts_ = done.stdout.splitlines() or [""]
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(facts_)
    assert len(said) == len(found["kernels"]) == len(set(found["kernels"]))
    for kernel, line in zip(found["kernels"], said):
        assert line == f"no room for the machine code of {kernel}: bytecode does its work, slower"
    return found


@pytest.fixture(scope="module")
def expected():
    return {"joined": True, "answered": True, "heard": True, "sent": 2048, "lz4": 1, "chain": 3,
            "gmac": "3539b7a55b36b75ecc6d5c46ba787c01"}


@pytest.mark.parametrize("kernel", KERNELS)
def test_any_one_may_find_no_room(micropython, expected, kernel):
    assert talk(micropython, 0, {kernel: 1}) == expected | {"room": 0, "kernels": [kernel]}


@pytest.mark.parametrize("room", range(0, 40_000, 4_000))
def test_memory_may_end_anywhere(micropython, expected, room):
    taken = sizes("xtensawin")
    found = talk(micropython, room, taken)
    missed = found["kernels"]
    loaded = sum(size for kernel, size in taken.items() if kernel not in missed)
    assert found == expected | {"room": room - loaded, "kernels": missed}
    assert set(missed) <= taken.keys() and bool(missed) == (room < sum(taken.values()))
    assert len(missed) == len(taken) or room
