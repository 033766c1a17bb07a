"""Which modules go onto a board, and which of them can be left out: sets of modules that follow
from what imports what.

A set has roots; what they import, at once or later, belongs to it, up to the roots of other sets:
those are imported inside functions, when they are first needed, and can be missing until then.
A set named earlier keeps what it shares with a later one; what two need that can each be left
out belongs to the core, so that neither needs the other.
"""

import ast
from collections import Counter, namedtuple
from functools import cache

from host_tools.boards import chunks, specialised
from host_tools.unix_port import ROOT

# Roots are prefixes: a package stands for all modules in it.
ROOTS = {
    "core": ("mpcore", "mpcore.nic", "mpcore.aio"),
    "socket": ("mpcore.socket", "mpcore.interposed", "mpcore.port.micropython_native"),
    "dns": ("mpcore.dns",),
    "ipv6": ("mpcore.ip.ipv6", "mpcore.ip.ndp"),
    "roles": ("mpcore.roles",),
    "upkeep": ("mpcore.upkeep",),
    "aes": ("mpcore.crypto.soft_aes",),
}
PURPOSES = {
    "core": "a node: NIC and asyncio streams (mpcore.NIC, mpcore.aio)",
    "socket": "the `socket` module's shape, and interpose()",
    "dns": "names: a network's DNS, and .local",
    "ipv6": "IPv6 addresses; without it a network's are ignored",
    "roles": "being a root or a controller",
    "upkeep": "a REPL for chosen members, and the trial of an update (boards/slots.py)",
    "aes": "for firmware that was built without cryptolib; no stock firmware is",
}
# Twins that ask for what MicroPython lacks: whoever imports them does without.
HOST_TWINS = {"mpcore.crypto.native", "mpcore.vl1.hashcash_integers"}

Imports = namedtuple("Imports", "at_once later")
Set = namedtuple("Set", "modules needs")
_OFFERED = {"core"}         # whose roots are themselves, not all that begins so


def name_of(path):
    """The module in a file below the project's directory."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def file_of(module):
    """The path of a module's source, relative to the project's directory."""
    return MODULES[module].relative_to(ROOT).as_posix()


MODULES = {name_of(path): path for path in sorted((ROOT / "mpcore").rglob("*.py"))}


class _Reader(ast.NodeVisitor):
    """Collects a file's imports as MicroPython on `platform` comes across them."""

    def __init__(self, platform):
        self._platform = platform
        self._later = 0
        self.found = Imports(set(), set())

    def visit_Import(self, node):
        self._add({alias.name for alias in node.names})

    def visit_ImportFrom(self, node):
        self._add(_targets(node))

    def visit_FunctionDef(self, node):
        self._visit_later(node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_If(self, node):
        holds = specialised.decide(node.test, self._platform)
        self._visit_all(() if holds is False else node.body)
        self._visit_all(() if holds is True else node.orelse)

    def visit_Try(self, node):
        """What is imported in place of another counts at once only where that is missing."""
        wanted = set().union(*(_targets(child) for statement in node.body
                               for child in ast.walk(statement)
                               if isinstance(child, ast.ImportFrom)))
        self._visit_all(node.body + node.orelse + node.finalbody)
        if specialised.twin_of(node, self._platform) is False:
            return
        there = wanted and not wanted & HOST_TWINS
        for handler in node.handlers:
            (self._visit_later if there else self._visit_all)(handler.body)

    def _visit_all(self, body):
        for statement in body:
            self.visit(statement)

    def _visit_later(self, body):
        self._later += 1
        self._visit_all(body)
        self._later -= 1

    def _add(self, names):
        for name in names & MODULES.keys() - HOST_TWINS:
            while name:         # a module's packages are loaded before it
                self.found[1 if self._later else 0].add(name)
                name = name.rpartition(".")[0]


def _targets(node):
    inner = {f"{node.module}.{alias.name}" for alias in node.names}
    return {name if name in MODULES else node.module for name in inner}


@cache
def imports(name, platform):
    """The modules of the core that one of them imports on a platform of MicroPython."""
    reader = _Reader(platform)
    reader.visit(ast.parse(MODULES[name].read_text()))
    return reader.found


def _roots(name):
    return {module for root in ROOTS[name] for module in MODULES
            if module == root or (name not in _OFFERED and module.startswith(root + "."))}


def _reached(name, platform, owner):
    """What the roots of a set import, up to the roots of others and what the core imports."""
    found = set() if name == "core" else set(_reached("core", platform, owner))
    before = set(found)
    waiting = sorted(_roots(name))
    while waiting:
        module = waiting.pop()
        if module not in found and owner.get(module, name) == name:
            found.add(module)
            waiting += sorted(imports(module, platform).at_once | imports(module, platform).later)
    return found - before


@cache
def sets(platform):
    """{name: Set} in the order of ROOTS, for a `sys.platform` of MicroPython.

    needs: the sets without which this one cannot be imported. Raises ValueError when a set that
    others may leave out is imported at once by an earlier one.
    """
    owner = {module: name for name in ROOTS for module in _roots(name)}
    reached = Counter(module for name in ROOTS if name not in _OFFERED
                      for module in _reached(name, platform, owner))
    owner |= {module: "core" for module, sets_of in reached.items() if sets_of > 1}
    found = {}
    for name in ROOTS:
        modules, needs = set(), set()
        waiting = sorted(module for module, holder in owner.items() if holder == name)
        while waiting:
            module = waiting.pop()
            if module in modules:
                continue
            modules.add(module)
            at_once, later = imports(module, platform)
            for target in at_once | later:
                holder = owner.setdefault(target, name)
                if holder == name:
                    waiting.append(target)
                elif target in at_once:
                    if holder not in found:
                        raise ValueError(f"{module} imports {target} at once, so {name} cannot "
                                         f"do without {holder}")
                    needs.add(holder)
        found[name] = Set(tuple(sorted(modules)),
                          tuple(other for other in ROOTS if other in needs))
    return found


def loaded(platform, roots):
    """The modules that importing `roots` runs at once, each after those that it imports."""
    return chunks.load_order(roots, lambda module: imports(module, platform).at_once)


def modules(platforms, names=tuple(ROOTS)):
    """Every module that MicroPython may load on any of the platforms, of some of the sets."""
    return sorted({module for platform in platforms for name in names
                   for module in sets(platform)[name].modules})
