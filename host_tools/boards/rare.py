"""Methods that a board needs rarely, put aside: into files that the first use of one loads.

Classes keep what runs all the time (steady.py). The others' `__getattr__` (mpcore/on_demand.py)
loads the file that has the rest of a class, which adds it; what has not been used for a while is
taken out again with the modules that are loaded on demand. That a method is not in its class is
noticed only by who looks into the class, not into an object of it; so a method stays

* if it has a special name, a decorator, or a default value that is made when it is defined;
* if a relative of the class has one of the same name, or is not of the program;
* if it is ever taken from a class or by super(), or needs to know its class itself;
* if it reads a global that is ever set again;
* if its class is for apps, which may derive others from it.
"""

import ast
from collections import defaultdict

from host_tools.boards import names, program

PREFIX = "mpcore.rest"          # and a number: what on_demand.rest loads
NUMBER = "REST"                 # the attribute of a class that has it
LOADER = "mpcore.on_demand", "rest"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def loader(parts):
    """(module, name) of on_demand.rest in the Modules that have been made of the core."""
    [found] = [(module.name, node.name) for module in parts for node in module.tree.body
               if isinstance(node, ast.FunctionDef) and node.origin == LOADER[0]
               and node.name.startswith(LOADER[1])]
    return found


def put_aside(modules, parts, home, rest, watched, running):
    """Take what is rare out of {name: Module}, from those named in `parts`.

    rest: the global in the module `home` that is to be the `__getattr__` of classes. watched:
    beginnings of names of the modules whose methods may go, unless (module, path) of one is in
    `running`. Returns {name: Module} of the files made of them, with their `origins`.
    """
    return _Aside(modules, parts, home, rest, watched, running).files()


class _Aside:
    def __init__(self, modules, parts, home, rest, watched, running):
        self._modules = modules
        self._parts = [modules[name] for name in parts]
        self._home = home
        self._rest = rest
        self._watched = watched
        self._running = running
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
            if bases - known or "__getattr__" in scope.bound \
                    or scope.origin in names.PUBLIC or scope.parent.kind != "module" \
                    or parts_of.setdefault(family, scope.module) is not scope.module:
                self._odd.add(family)

    def _taken_from_classes(self):
        """Names of attributes that are taken from classes, by super(), or within a class; and of
        those that are taken to be called later, which holds their code."""
        held = set()
        classes = {scope.node.name for scope in self._classes}
        for module in self._modules.values():
            called = {call.node.func for call in module.calls}
            for node, _, _ in module.attributes:
                value = node.value
                if node not in called or isinstance(value, ast.Name) and value.id in classes or (
                        isinstance(value, ast.Call) and getattr(value.func, "id", "") in (
                            "super", "type")):
                    held.add(node.attr)
            held.update(variable.name for variable in module.variables
                        if variable.scope.kind == "class" and not variable.stored)
        return held

    def files(self):
        chosen = defaultdict(list)              # origin -> [(class, [methods])]
        for scope in self._classes:
            family = self._family(scope.node.name)
            if scope.module not in self._parts or family in self._odd:
                continue
            methods = [node for node in scope.node.body if self._may_go(node, scope, family)]
            if methods:
                chosen[scope.module, family].append((scope.node, methods))
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
                or not scope.origin.startswith(self._watched) \
                or (scope.origin, f"{scope.node.name}.{node.name}") in self._running \
                or node.name in self._held or self._counts[family, node.name] > 1:
            return False
        plain = all(isinstance(decorator, ast.Attribute) and decorator.attr == "native"
                    for decorator in node.decorator_list)
        arguments = node.args
        defaults = [*arguments.defaults, *filter(None, arguments.kw_defaults)]
        return (plain and all(isinstance(default, ast.Constant) for default in defaults)
                and not any(isinstance(inner, ast.Global)
                            or isinstance(inner, ast.Name) and inner.id in (
                                "super", "__class__", *self._set_again)
                            for inner in ast.walk(node)))

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
                method.path = node.name, method.name
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


def _member(node, name, context):
    """A method as an attribute of its class, from outside."""
    attribute = ast.Attribute(ast.Name(node.name, ast.Load()), name, context)
    attribute.of_class = node.name
    return attribute
