"""Methods that a board needs rarely, put aside, so that they take no memory until one is called.

Classes keep what runs all the time (steady.py). The rest is put into files: a class's
`__getattr__` (mpcore/on_demand.py) loads the file that has its rest, which adds it; what has not
been used for a while is taken out again with the modules that are loaded on demand. Functions that
are rare become methods first, of one object for each file. That a method is not in its class is
noticed only by who looks into the class, not into an object of it; so a method stays

* if it has a special name, a decorator, or a default value that is made when it is defined;
* if a relative of the class has one of the same name, or is not of the program;
* if it is ever taken from a class or by super(), or needs to know its class itself;
* if it reads a global that is ever set again;
* if it is for apps, which may derive other classes from its own.
"""

import ast
from collections import defaultdict
from itertools import count

from host_tools.boards import names, program

PREFIX = "mpcore.rest"          # and a number: what on_demand.rest loads
NUMBER = "REST"                 # the attribute of a class that has it
LOADER = "mpcore.on_demand", "rest"
_ENOUGH = 6                     # functions, for a class and its object to take less than these
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def loader(parts):
    """(module, name) of on_demand.rest in the Modules that have been made of the core."""
    [found] = [(module.name, node.name) for module in parts for node in module.tree.body
               if isinstance(node, ast.FunctionDef) and node.origin == LOADER[0]
               and node.name.startswith(LOADER[1])]
    return found


def gather(modules, parts, offered, watched, running):
    """Make the rare functions of {name: Module}, of those named in `parts`, methods of an object.

    offered: {module: names of its globals that are for others}. A function stays one if another
    file uses it, or if it may run while its own is loaded. watched, running: see put_aside().
    """
    used_elsewhere = _used_elsewhere(modules)
    for number, part in enumerate(modules[name] for name in parts):
        kept = used_elsewhere[part.name] | offered[part.name] | _run_at_once(part)
        found = [node for node in part.tree.body if isinstance(node, _FUNCTIONS)
                 and node.origin.startswith(watched) and (node.origin, node.name) not in running
                 and node.name not in kept and _is_plain(node)]
        if len(found) >= _ENOUGH:
            _gather(part, found, f"Seldom{number}")


def _used_elsewhere(modules):
    """{module: names of its globals that others use}; names that are texts may be any's."""
    texts = set().union(*(module.strings() for module in modules.values()))
    found = {name: set(texts) for name in modules}
    for module in modules.values():
        for alias, source, _ in module.imported:
            if source in found:
                found[source].add(alias.name)
        imported = {alias.asname or alias.name for alias, _, _ in module.imported}
        for node, _, _ in module.attributes:        # of another module
            if isinstance(node.value, ast.Name) and node.value.id in imported:
                for names_of in found.values():
                    names_of.add(node.attr)
    return found


def _run_at_once(module):
    """Names of functions that may run while a module is loaded, and of what is set twice."""
    uses = defaultdict(set)             # global -> globals that are used within it
    found, stored = set(), defaultdict(int)
    for variable in module.variables:
        if variable.scope is not module.scope:
            continue
        stored[variable.name] += variable.stored
        within = [each for each in variable.where.around() if each is not module.scope]
        if not any(each.kind == "function" for each in within):
            if not variable.stored:
                found.add(variable.name)
        else:
            uses[getattr(within[-1].node, "name", None)].add(variable.name)
    found |= uses[None]
    waiting = list(found)
    while waiting:
        new = uses[waiting.pop()] - found
        found |= new
        waiting += new
    return found | {name for name, times in stored.items() if times != 1}


def _gather(part, functions, name):
    """Make methods of functions of a part: of the one object of a class with this name."""
    value = name.lower()
    if {name, value} & part.identifiers():
        raise ValueError(f"{part.name}: there is another {name}")
    ours = {function.name for function in functions}
    uses = {variable.place.node for variable in part.variables
            if variable.scope is part.scope and variable.name in ours and not variable.stored}

    class Uses(ast.NodeTransformer):
        def visit_Name(self, node):
            if node not in uses:
                return node
            return ast.Attribute(ast.Name(value, ast.Load()), node.id, ast.Load())

    body = [node for node in part.tree.body if node not in functions]
    for function in functions:
        function.path = (function.name,)
        used = {inner.arg if isinstance(inner, ast.arg) else inner.id
                for inner in ast.walk(function) if isinstance(inner, (ast.arg, ast.Name))}
        first = next(each for number in count() if (each := f"self{number}") not in used)
        function.args.args.insert(0, ast.arg(first))
    body.append(ast.ClassDef(name, [], [], functions, []))
    body.append(ast.Assign([ast.Name(value, ast.Store())],
                           ast.Call(ast.Name(name, ast.Load()), [], [])))
    part.tree.body = body
    Uses().visit(part.tree)
    for node in body[-2:]:
        for inner in ast.walk(node):
            if not hasattr(inner, "origin"):
                inner.origin = functions[0].origin
    ast.fix_missing_locations(part.tree)
    part.analyse()


def put_aside(modules, home, rest, parts, watched, running, seldom=()):
    """Take what is rare out of {name: Module}, from those named in `parts`.

    rest: the global in the module `home` that is to be the `__getattr__` of classes. watched:
    beginnings of names of the modules whose methods may go, unless (module, path) of one is in
    `running`. seldom: further methods, likewise. Returns {name: Module} of the files made of
    them, with their `origins`.
    """
    return _Aside(modules, parts, home, rest, watched, running, seldom).files()


class _Aside:
    def __init__(self, modules, parts, home, rest, watched, running, seldom):
        self._modules = modules
        self._parts = [modules[name] for name in parts]
        self._home = home
        self._rest = rest
        self._watched = watched
        self._running = running
        self._seldom = seldom
        every = list(modules.values())
        self._classes = [scope for module in every for scope in module.scopes
                         if scope.kind == "class"]
        self._family = names.families(self._classes)
        self._set_again = {variable.name for part in self._parts for variable in part.variables
                           if variable.scope is part.scope and variable.stored
                           and variable.where is not part.scope}
        self._held = self._taken_from_classes()
        self._counts = defaultdict(int)         # (family, name) -> how many of it define it
        self._odd = set()                       # families with a relative from elsewhere
        known = {scope.node.name for scope in self._classes}
        parts_of = {}
        for scope in self._classes:
            family = self._family(scope.node.name)
            for name in scope.bound:
                self._counts[family, name] += 1
            bases = {getattr(base, "id", getattr(base, "attr", None)) for base in scope.node.bases}
            if bases - known or "__getattr__" in scope.bound or scope.parent.kind != "module" \
                    or scope.module in self._parts \
                    and parts_of.setdefault(family, scope.module) is not scope.module:
                self._odd.add(family)

    def _taken_from_classes(self):
        """Names of attributes that are taken from classes, by super(), or within a class."""
        held = set()
        classes = {scope.node.name for scope in self._classes}
        for module in self._modules.values():
            for node, _, _ in module.attributes:
                value = node.value
                if isinstance(value, ast.Name) and value.id in classes or (
                        isinstance(value, ast.Call) and getattr(value.func, "id", "") in (
                            "super", "type")):
                    held.add(node.attr)
            held.update(variable.name for variable in module.variables
                        if variable.scope.kind == "class" and not variable.stored)
        return held

    def chosen(self):
        """(scope of a class, [methods that may go]) of those that have any."""
        for scope in self._classes:
            family = self._family(scope.node.name)
            if scope.module not in self._parts or family in self._odd:
                continue
            methods = [node for node in scope.node.body if self._may_go(node, scope, family)]
            if methods:
                yield scope, methods

    def files(self):
        chosen = defaultdict(list)              # (part, family) -> [(class, [methods])]
        for scope, methods in self.chosen():
            chosen[scope.module, self._family(scope.node.name)].append((scope.node, methods))
        groups = defaultdict(list)              # families of one module share a file
        homes = {}
        for (part, _), found in chosen.items():
            origins = sorted({node.origin for node, _ in found})
            home = next((homes[origin] for origin in origins if origin in homes), origins[0])
            homes.update(dict.fromkeys(origins, home))
            groups[home].append((part, found))
        made = {}
        for number, (home, of_families) in enumerate(sorted(
                groups.items(), key=lambda item: item[0])):
            [part] = {part for part, _ in of_families}
            made[f"{PREFIX}{number}"] = self._file(
                number, part, [each for _, found in of_families for each in found])
        for part in self._parts:
            self._provide(part)
        for module in (*self._parts, *made.values()):
            module.analyse()
        return made

    def _provide(self, part):
        """Let a part have what its classes need when they are made."""
        body = part.tree.body
        if part.name == self._home:
            [loading] = [node for node in body if getattr(node, "name", None) == self._rest]
            body.remove(loading)
        else:
            if self._rest in part.scope.bound:
                raise ValueError(f"{part.name}: there is another {self._rest}")
            loading = ast.fix_missing_locations(
                ast.ImportFrom(self._home, [ast.alias(self._rest)], 0))
        body.insert(0, loading)

    def _may_go(self, node, scope, family):
        if not isinstance(node, _FUNCTIONS) or node.name.startswith("__") \
                or not self._is_rare(scope.origin, f"{scope.node.name}.{node.name}") \
                or scope.origin in names.PUBLIC and not node.name.startswith("_") \
                or node.name in self._held or self._counts[family, node.name] > 1:
            return False
        return _is_plain(node) and not any(
            isinstance(inner, ast.Name) and inner.id in self._set_again
            for inner in ast.walk(node))

    def _is_rare(self, origin, path):
        if (origin, path) in self._seldom:
            return True
        return origin.startswith(self._watched) and (origin, path) not in self._running

    def _file(self, number, part, found):
        """The Module with methods of some classes of a part, which are taken out of those."""
        functions = {method for _, methods in found for method in methods}
        used = {}
        for variable in part.variables:
            if variable.scope is part.scope and any(
                    around.node in functions for around in variable.where.around()):
                if variable.name in part.scope.bound:
                    used[variable.name] = None
        for node, _ in found:
            used[node.name] = None
        body = [ast.ImportFrom(part.name, [ast.alias(name) for name in sorted(used)], 0)]
        taking = []
        for node, methods in found:
            for method in methods:
                node.body.remove(method)
                method.path = getattr(method, "path", (node.name, method.name))
                name = method.name
                if name in used:            # a global of the same name is another thing
                    method.name = f"{name}_of_{node.name}"
                body += [method, ast.Assign([_member(node, name, ast.Store())],
                                            ast.Name(method.name, ast.Load()))]
                # MicroPython keeps the value of what is deleted from a class until something else
                # comes to its place.
                taking += [ast.Assign([_member(node, name, ast.Store())], ast.Constant(None)),
                           ast.Delete([_member(node, name, ast.Del())])]
            self._lead(node, number)
        forget = ast.parse("def forget(): pass").body[0]
        forget.body = taking
        forget.origin = PREFIX
        tree = ast.fix_missing_locations(ast.Module([*body, forget], []))
        made = program.Module(f"{PREFIX}{number}", tree)
        made.origins = tuple(sorted({node.origin for node, _ in found}))
        return made

    def _lead(self, node, number):
        """Let objects of a class find the rest of it."""
        leading = ast.parse(f"{NUMBER} = {number}\n__getattr__ = {self._rest}\n").body
        for statement in leading:
            for inner in ast.walk(statement):
                inner.origin = node.origin
        node.body[:0] = leading


def _is_plain(node):
    """Whether it makes no difference for a function where it is defined."""
    arguments = node.args
    defaults = [*arguments.defaults, *filter(None, arguments.kw_defaults)]
    return (all(isinstance(decorator, ast.Attribute) and decorator.attr == "native"
                for decorator in node.decorator_list)
            and all(isinstance(default, ast.Constant) for default in defaults)
            and not any(isinstance(inner, ast.Global)
                        or isinstance(inner, ast.Name) and inner.id in ("super", "__class__")
                        for inner in ast.walk(node)))


def _member(node, name, context):
    """A method as an attribute of its class, from outside."""
    attribute = ast.Attribute(ast.Name(node.name, ast.Load()), name, context)
    attribute.of_class = node.name
    return attribute
