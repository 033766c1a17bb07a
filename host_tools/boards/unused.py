"""Takes out of a program what nothing in it reaches.

A function, a class, a method, or a variable of a module or class that is set to something without
a side effect, is reached when code that is reached names it: a global by its own name, in its
module or by whoever imports it; what belongs to a class by an attribute of that name, whatever
object that is of, or by a text. The statements of modules are reached, and what others may know.
"""

import ast
from collections import defaultdict

_MAKERS = {"array", "bytearray", "bytes", "const", "dict", "frozenset", "list", "memoryview",
           "namedtuple", "object", "range", "set", "tuple"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def remove(modules, offered, kept):
    """Change the trees of {name: Module}. offered: {module: its globals that are for others}, or
    all of a module that is not in it. kept: names of which nothing in a class goes."""
    reach = _Reach(modules, kept)
    for name, module in modules.items():
        reach.start(module, offered.get(name, module.scope.bound))
    reach.run()
    for module in modules.values():
        _Removing(reach.items, reach.reached).visit(module.tree)
        module.analyse()


class _Reach:
    """items: every node that may go. reached: those of them that stay."""

    def __init__(self, modules, kept):
        self._modules = modules
        self._kept = kept
        self._globals = defaultdict(list)       # (module, name) -> nodes
        self._members = defaultdict(list)       # name -> (node, class) of what belongs to classes
        self._by_name = defaultdict(list)       # name -> nodes of globals, of any module
        self._names = set()                     # attributes, and texts, in what is reached
        self._waiting = []
        self._scopes = {}
        self.items = set()
        self.reached = set()
        for module in modules.values():
            for statement in module.tree.body:
                name = _defined(statement)
                if name is None:
                    continue
                self.items.add(statement)
                self._globals[module.name, name].append(statement)
                self._by_name[name].append(statement)
                if isinstance(statement, ast.ClassDef):
                    self._add_members(statement)
            self._read = {}
        self._owners = {}
        for module in modules.values():
            for variable in module.variables:
                if variable.scope is module.scope:
                    self._owners[variable.place.node] = module.name
            for alias, source, _ in module.imported:
                self._owners[alias] = source

    def _add_members(self, node):
        for statement in node.body:
            name = _defined(statement)
            if name is not None and not name.startswith("__"):
                self.items.add(statement)
                self._members[name].append((statement, node))

    def start(self, module, offered):
        for statement in module.tree.body:
            if statement not in self.items:
                self._waiting.append(statement)
        for name in offered:
            self._reach_global(module.name, name)

    def _reach_global(self, module, name):
        for node in self._globals.get((module, name), ()):
            self._reach(node)

    def _reach(self, node):
        if node in self.items and node not in self.reached:
            self.reached.add(node)
            self._waiting.append(node)
            if isinstance(node, ast.ClassDef):
                for statement in node.body:
                    name = _defined(statement)
                    if statement in self.items and (name in self._names or name in self._kept):
                        self._reach(statement)

    def _reach_name(self, name):
        if name in self._names:
            return
        self._names.add(name)
        for node, owner in self._members[name]:
            if owner in self.reached:
                self._reach(node)
        for node in self._by_name[name]:
            self._reach(node)

    def run(self):
        while self._waiting:
            self._walk(self._waiting.pop())

    def _walk(self, node):
        """Reach all that a node names, without those items in it that may still go."""
        if isinstance(node, ast.Name):
            if node in self._owners and isinstance(node.ctx, ast.Load):
                self._reach_global(self._owners[node], node.id)
        elif isinstance(node, ast.Attribute):
            self._reach_name(node.attr)
        elif isinstance(node, ast.alias):
            self._reach_global(self._owners.get(node), node.name)
        elif isinstance(node, ast.Global):
            pass
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value.isidentifier():
                self._reach_name(node.value)
        for child in ast.iter_child_nodes(node):
            if child not in self.items:
                self._walk(child)


class _Removing(ast.NodeTransformer):
    """Takes out items that were not reached."""

    def __init__(self, items, reached):
        self._gone = items - reached

    def generic_visit(self, node):
        super().generic_visit(node)
        if getattr(node, "body", None) == [] and not isinstance(node, ast.Module):
            node.body.append(ast.Pass())
        return node

    def visit(self, node):
        return None if node in self._gone else super().visit(node)


def _defined(statement):
    """The name that a statement defines and does nothing else; None for any other."""
    if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
        return statement.name
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 \
            and isinstance(statement.targets[0], ast.Name) and _is_plain(statement.value):
        return statement.targets[0].id
    return None


def _is_plain(node):
    """Whether an expression does nothing but make something."""
    return all(not isinstance(inner, (ast.Await, ast.Yield, ast.YieldFrom))
               and (not isinstance(inner, ast.Call)
                    or getattr(inner.func, "id", getattr(inner.func, "attr", None)) in _MAKERS)
               for inner in ast.walk(node))
