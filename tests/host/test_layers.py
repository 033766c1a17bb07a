"""The walls of the house: who may import whom."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
CPYTHON_ONLY = {"mpcore.port.cpython", "mpcore.port.micropython_shim", "mpcore.crypto.native"}

# The longest prefix that fits tells a module's floor. `limits` lies below everything.
FLOORS = {
    "mpcore": 6, "mpcore.limits": -1, "mpcore.fallback": -1, "mpcore.octets": -1,
    "mpcore.octets_kernel": -1, "mpcore.octets_slices": -1,
    "mpcore.port": 0, "mpcore.on_demand": 0, "mpcore.crypto": 1, "mpcore.vl1": 2,
    "mpcore.vl2": 3, "mpcore.ip": 4, "mpcore.node": 5, "mpcore.roles": 6, "mpcore.upkeep": 6,
}
PLATFORM = {"socket", "select", "time", "os", "random", "machine", "network"}
LOOPS = {"asyncio", "_thread", "threading"}
BOARD = {"os", "machine"}       # what keeps a board up handles the board itself


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted((ROOT / "mpcore").rglob("*.py"))}


def floor_of(module):
    while module not in FLOORS:
        module = module.rpartition(".")[0]
    return FLOORS[module]


def imports(name):
    """Every module that a file imports, also inside its functions."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}: relative import"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update(module if module in MODULES else node.module for module in inner)
    return found


@pytest.mark.parametrize("name", [name for name in MODULES if name != "mpcore"])
def test_imports_run_downwards(name):
    for module in imports(name) & set(MODULES) - {"mpcore"}:
        assert floor_of(module) <= floor_of(name), f"{name} imports {module} of a higher floor"


def test_no_two_files_import_each_other():
    graph = {name: imports(name) & set(MODULES) - {name} for name in MODULES}
    # `mpcore` and `mpcore.port` choose what to load when they are asked; nobody waits for them.
    done = {"mpcore", "mpcore.port"}
    while ready := {name for name in graph if name not in done and graph[name] <= done}:
        done |= ready
    assert not set(graph) - done, "an import cycle among these"


def test_ip_knows_nothing_of_zerotier_and_crypto_of_nothing():
    for name in MODULES:
        allowed = {"mpcore.ip": ("mpcore.ip", "mpcore.limits", "mpcore.octets",
                                 "mpcore.fallback"),
                   "mpcore.crypto": ("mpcore.crypto", "mpcore.limits", "mpcore.port",
                                     "mpcore.on_demand", "mpcore.fallback")}
        for package, prefixes in allowed.items():
            if name == package or name.startswith(package + "."):
                for module in imports(name) & set(MODULES):
                    assert module.startswith(prefixes), f"{name} imports {module}"


@pytest.mark.parametrize("name", MODULES)
def test_the_core_opens_no_socket_and_reads_no_clock(name):
    if floor_of(name) == 0 or name in CPYTHON_ONLY:
        return
    forbidden = PLATFORM if floor_of(name) > 5 else PLATFORM | LOOPS
    if name.startswith("mpcore.upkeep."):
        forbidden = forbidden - BOARD
    roots = {module.partition(".")[0] for module in imports(name)}
    assert not roots & forbidden
