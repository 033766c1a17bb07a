"""Which modules are always loaded together: from what imports what, each such chunk is one file.

What the core's roots load at once is a few chunks of equal size, which the package of all loads
one after the other: what MicroPython needs only while it loads a file lies between what stays, in
pieces too small for anything but parts of the next file. (Left empty, they cost a look at each
whenever the heap is asked for more.) Any other module that is loaded by itself, as somebody
imports it inside a function or as it is for apps, is a root; modules that the same roots load at
once are one chunk. So nothing is loaded that was not loaded before, and what is imported later can
be missing, or forgotten, as before.
"""

import ast
from collections import namedtuple

from host_tools.boards import specialised

Chunk = namedtuple("Chunk", "name modules")     # of the module it goes by; in the order of loading
Imports = namedtuple("Imports", "at_once later")


def imports(module, names):
    """The Imports of a Module among `names`, those of the program."""
    reader = _Reader(names)
    reader.visit(module.tree)
    return reader.found


def _parts(modules, order, count):
    """Chunks of about equal size of modules in an order."""
    sizes = [sum(1 for _ in ast.walk(modules[name].tree)) for name in order]
    found, filled = [[] for _ in range(count)], 0
    for name, size in zip(order, sizes):
        found[min(count * filled // sum(sizes), count - 1)].append(name)
        filled += size
    return [Chunk(part[-1], tuple(part)) for part in found if part]


def chunks(modules, core, roots, part_of, parts=4):
    """[Chunk] of {name: Module}; the core's come first, in some `parts` and its package.

    core: roots that are loaded together, their package first. roots: further modules that are
    loaded by themselves. part_of: {name: its set}, as sets are not joined with each other.
    """
    found = {name: imports(module, modules.keys()) for name, module in modules.items()}
    roots = {name for name in roots if name in modules}.union(*(each.later
                                                                for each in found.values()))

    def loaded(roots):
        order = load_order(roots, lambda name: found[name].at_once if name in found else ())
        return [name for name in order if name in found]

    at_core = loaded(core)
    signatures = {name: set() for name in modules}
    order = list(at_core)
    for root in sorted(roots - set(at_core)):
        reached = loaded([root])
        for name in reached:
            signatures[name].add(root)
        order += [name for name in reached if name not in order]
    for name in sorted(set(modules) - set(order)):
        signatures[name].add(name)
        order.append(name)
    groups = {}
    for name in order[len(at_core):]:
        groups.setdefault((part_of[name], *sorted(signatures[name])), []).append(name)
    package = core[0]
    return [*_parts(modules, [name for name in at_core if name != package], parts),
            Chunk(package, (package,)),
            *(Chunk(group[-1], tuple(group)) for group in groups.values())]


def load_order(roots, at_once):
    """The modules that importing `roots` runs at once, each after those that it imports; at_once:
    called with a module, those that it imports at once."""
    order = []
    begun = set()

    def load(module):
        if module not in begun:
            begun.add(module)
            package = module.rpartition(".")[0]
            for needed in [package] * bool(package) + sorted(at_once(module)):
                load(needed)
            order.append(module)

    for module in roots:
        load(module)
    return order


class _Reader(ast.NodeVisitor):
    """Collects imports; those in a function, or in place of one that is missing, come later. So
    does a kernel that has a twin: alone, as nothing else is to be missing when it has no room."""

    def __init__(self, names):
        self._names = names
        self._later = False
        self.found = Imports(set(), set())

    def visit_Import(self, node):
        for alias in node.names:
            self._add(alias.name)

    def visit_ImportFrom(self, node):
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            self._add(inner if inner in self._names else node.module)

    def visit_FunctionDef(self, node):
        self._visit_later(node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Try(self, node):
        if specialised.twin_of(node, None) is None:
            for statement in node.body + node.orelse + node.finalbody:
                self.visit(statement)
        else:
            self._visit_later(node.body)
        self._visit_later(node.handlers)

    def _visit_later(self, nodes):
        before, self._later = self._later, True
        for node in nodes:
            self.visit(node)
        self._later = before

    def _add(self, name):
        while name in self._names:      # a module's packages are loaded before it
            self.found[self._later].add(name)
            name = name.rpartition(".")[0]
