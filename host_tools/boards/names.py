"""Names of a program for boards, made few and short.

Every distinct name takes RAM on a board for good: its characters and a place in the table of
names, 20 bytes on average, unless the firmware has it already. So modules, compiled as one
program, lose their names to

* names that the firmware has: they take nothing;
* names that others have as well: two names may become one wherever nothing has both.

The rules, each of which looks at the whole program:

An identifier of a global, an attribute or a keyword is renamed everywhere or nowhere, so whatever
reads it meets what wrote it, whatever object that is. Two identifiers never become one when there
is a module, a class with its relatives, a class's body, a function or a call that has both; what
is set on an object from outside its class is taken to be on every object.

A parameter is renamed in its function alone, unless a call anywhere names a keyword so.

Kept is whatever somebody else may know: names that MicroPython has (platform_names.py), the public
names of the modules in PUBLIC with their parameters, every name in the files of boards and apps,
names of modules, texts that are identifiers (getattr, keys for **), keywords of calls to functions
that are not the program's, attributes that nothing in the program sets, and __names__. A new name
is one that the program has nowhere.
"""

import argparse
import ast
import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from functools import cache
from itertools import count
from pathlib import Path

from host_tools import unix_port
from host_tools.boards import constants, facts, mpy, program

FILE = "names.json"         # of a build: {platform: {module: {new name: [old names]}}}
_CALLED = "()"              # after the new name of functions, whose old ones are paths
_ENTRY = 8                  # bytes of a name beside its characters: address, hash, length, NUL

# Modules whose names are for apps to use. A module stands for what it defines, without what it
# imports: classes with their public attributes and methods, functions, and all parameters. An app
# that goes further in, say to make an Identity, needs --plain, or to be in boards/apps.
PUBLIC = ("mpcore", "mpcore.nic", "mpcore.aio", "mpcore.interposed", "mpcore.socket",
          "mpcore.socket.addresses", "mpcore.socket.constants", "mpcore.socket.options",
          "mpcore.socket.stream", "mpcore.dns", "mpcore.dns.mdns", "mpcore.node",
          "mpcore.runtime", "mpcore.port", "mpcore.port.base", "mpcore.port.storage",
          "mpcore.roles.root", "mpcore.roles.controller", "mpcore.upkeep",
          "mpcore.upkeep.service", "mpcore.upkeep.repl")
_EXTERNAL_KEYWORDS = {"key", "reverse", "default", "sep", "end", "file", "signed"}
_PLACE = re.compile(r'(\s*File "([\w.]+)", line \d+, in )(\w+)')
_QUOTED = re.compile(r"'(\w+)'")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@cache
def platform_names():
    """{"reserved": names that MicroPython has, "free": those that can stand for anything}."""
    done = subprocess.run(unix_port.command("1M", "host_tools/boards/platform_names.py"),
                          capture_output=True, text=True, check=True)
    return {kind: frozenset(names) for kind, names in json.loads(done.stdout).items()}


def shortened(sources, outside, keep=(), keep_constants=()):
    """(sources, names): {module: text} with constants folded and names made short.

    sources: {module: text} of the whole program. outside: texts of files that use it and stay as
    they are. keep: further names to leave alone; keep_constants: modules whose constants others
    read by name. names: {module: {new name: [old names]}}. Raises ValueError for what is not
    understood.
    """
    modules = {name: program.Module(name, text) for name, text in sources.items()}
    constants.fold(modules, keep_constants)
    return renamed(modules, outside, public(modules).union(keep))


def renamed(modules, outside, keep):
    """As `shortened`, of {name: Module}, whose trees are changed; keep: public names as well."""
    names = _Names(modules, outside, keep)
    names.rename()
    return {name: ast.unparse(module.tree) + "\n" for name, module in modules.items()}, names.told


def taken(contents):
    """[how many names, how many bytes] .mpy files take of a board's RAM, of 32 bits, for names."""
    found = set().union(*map(mpy.names, contents))
    new = {name for name in found if name.decode() not in platform_names()["reserved"]}
    return [len(new), sum(len(name) + _ENTRY for name in new)]


def lengthen(text, told):
    """A traceback of MicroPython with the names as they were in place of the short ones.

    told: as `shortened` gives it. A function is said with where it is written; of several that
    have the name now all are said, such as "vl1.gate.Gate.open | ip.ring.Ring.take".
    """
    lines = []
    names = {}
    for line in text.splitlines(keepends=True):
        if place := _PLACE.match(line):
            names = told.get(place[2], {})
            functions = names.get(place[3] + _CALLED, names.get(place[3], [place[3]]))
            line = place[1] + " | ".join(functions) + line[place.end():]
        else:       # what was wrong, in the module of the last line
            line = _QUOTED.sub(
                lambda found: "'" + "|".join(names.get(found[1], [found[1]])) + "'", line)
        lines.append(line)
    return "".join(lines)


class _Names:
    """Decides over the identifiers of {name: Module}, then writes the new ones."""

    def __init__(self, modules, outside, keep):
        self._modules = modules
        self._every = list(modules.values())
        self._packages = {program.words(name)[0] for name in modules}
        self._classes = [scope for module in self._every for scope in module.scopes
                         if scope.kind == "class"]
        self._family = families(self._classes)
        self._places = defaultdict(set)     # identifier -> where it is; see the rules above
        self._anywhere = set()              # attributes that any object may have
        self._keywords = set()
        self._known = set()                 # parameters of functions that may be called with **
        self.told = {}
        texts = set().union(*(module.strings() for module in self._every))
        self._taken = texts.union(*(module.identifiers() for module in self._every))
        self._kept = texts | set(keep) | _EXTERNAL_KEYWORDS
        for text in outside:
            module = program.Module("outside", text)
            self._kept |= module.identifiers() | module.strings()
        for name, module in modules.items():
            self._kept.update(program.words(name), module.outside)
            self._kept.update(*(program.words(source) for _, source, _ in module.imported))
        self._read_calls()
        self._read_variables()
        self._read_attributes()
        self._kept |= self._known
        self._free = platform_names()["free"] - self._taken - self._kept
        self._kept |= platform_names()["reserved"]
        self._new = self._choose()
        self._short = self._choose_in_functions()

    def _read_calls(self):
        """Keywords that calls use; kept are those of functions that nobody here defines."""
        functions = defaultdict(list)       # name -> parameters of each function that has it
        inits = defaultdict(list)           # family -> parameters of each __init__
        for module in self._every:
            for scope in module.scopes:
                if isinstance(scope.node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    functions[scope.node.name].append(scope.parameters)
                    if scope.node.name == "__init__" and scope.parent.kind == "class":
                        inits[self._family(scope.parent.node.name)].append(scope.parameters)
        for scope in self._classes:
            functions[scope.node.name] += inits[self._family(scope.node.name)] or [[]]
        for module in self._every:
            for node, _ in module.calls:
                callee = getattr(node.func, "id", getattr(node.func, "attr", None))
                candidates = functions.get(callee, [])
                for word in node.keywords:
                    if word.arg is None:    # **: anything that they may be given so
                        self._known.update(*candidates)
                        continue
                    self._keywords.add(word.arg)
                    self._places[word.arg].add("keyword")
                    if not candidates or not all(word.arg in each for each in candidates):
                        self._kept.add(word.arg)

    def _read_variables(self):
        """Where globals and keyword parameters are; kept is what a module does not bind itself."""
        for module in self._every:
            bound = self._globals(module) | {
                variable.name for variable in module.variables
                if variable.scope is module.scope and variable.stored}
            for variable in module.variables:
                name, scope = variable.name, variable.scope
                if scope is module.scope:
                    self._places[name].add(("module", module.name))
                    if name not in bound:
                        self._kept.add(name)
                elif scope.kind == "class" or name not in self._keywords | self._known \
                        or name not in scope.parameters:
                    continue
                self._places[name].update(
                    ("inside", id(around.node)) for around in variable.where.around()
                    if around is not module.scope)
            for alias, source, scope in module.imported:
                if program.words(source)[0] not in self._packages:
                    self._kept.add(alias.name)
                else:                       # if it is not there, its names do not matter either
                    self._places[alias.name].add(("module", source))
                if scope is module.scope:
                    self._places[alias.asname or alias.name].add(("module", module.name))
        for module in self._every:          # what `import *` brings is a global of the importer
            for source in module.stars:
                for name in self._globals(self._modules[source]):
                    self._places[name].add(("module", module.name))

    def _globals(self, module):
        """Names that a module binds, those that `import *` brings among them."""
        return set(module.scope.bound).union(
            *(self._globals(self._modules[source]) for source in module.stars))

    def _read_attributes(self):
        """Where attributes are; kept are those that nobody here sets, and the platform's."""
        for scope in self._classes:
            for name in scope.bound:
                self._places[name] |= {("family", self._family(scope.node.name)),
                                       ("inside", id(scope.node))}
        for module in self._every:
            for node, scope, stored in module.attributes:
                if isinstance(node.value, ast.Name) and node.value.id in module.outside:
                    self._kept.add(node.attr)
                elif stored and hasattr(node, "of_class"):      # rare.py puts a method there
                    self._places[node.attr].add(("family", self._family(node.of_class)))
                elif stored and (family := self._own(node.value, scope)):
                    self._places[node.attr].add(("family", family))
                elif stored:
                    self._anywhere.add(node.attr)
        self._kept |= {node.attr for module in self._every for node, _, _ in module.attributes
                       if node.attr not in self._anywhere and not self._places.get(node.attr)}

    def _own(self, node, scope):
        """The family of the class in whose method an object is `self`; None for any other."""
        if not isinstance(node, ast.Name):
            return None
        owner = scope.owner(node.id)
        if not owner.is_method() or owner.parameters[:1] != [node.id]:
            return None
        if sum(variable.stored for variable in owner.module.variables
               if variable.scope is owner and variable.name == node.id) > 1:
            return None
        return self._family(owner.parent.node.name)

    # --- new names ---

    def _choose(self):
        """{identifier: new name}; the most used choose first, and take the first that is free."""
        uses = Counter(name for module in self._every for name in module.identifiers())
        identifiers = [name for name in self._places.keys() | self._anywhere
                       if name not in self._kept and not name.startswith("__")]
        palette = sorted(self._free, key=lambda name: (len(name), name))
        letters = [letter for letter in _LETTERS if letter not in self._kept
                   and letter not in self._places and letter not in self._anywhere]
        public = {("family", self._family(scope.node.name)) for scope in self._classes
                  if scope.origin in PUBLIC}            # apps may derive classes of their own
        made = (name for name in _made_names() if name not in self._taken | self._kept)
        chosen = {}
        places_of = defaultdict(set)        # new name -> places of those that have become it
        for name in sorted(identifiers, key=lambda name: (-uses[name], name)):
            places = self._places.get(name, set())
            kinds = {place[0] for place in places}
            if name in self._anywhere:      # "any": of every object; "some": of one at least
                places = places | {"any", "some"}
            elif "family" in kinds:
                places = places | {"some"}
            wordy = "keyword" in places or "module" in kinds or not places.isdisjoint(public)
            for new in ([] if wordy else letters) + palette:
                common = places & places_of[new]
                if not common or common == {"some"} and "any" not in places | places_of[new]:
                    break
            else:
                new = next(made)
                palette.append(new)
            places_of[new] |= places
            chosen[name] = new
        return chosen

    def _choose_in_functions(self):
        """{function's Scope: {parameter or inner function: letter}}."""
        written = defaultdict(set)          # Scope -> names of variables in it and further in
        inner = defaultdict(set)            # Scope -> functions that are variables of it
        for module in self._every:
            for variable in module.variables:
                for scope in variable.where.around():
                    written[scope].add(variable.name)
                if variable.place.field == "name" and variable.scope.kind == "function" \
                        and not isinstance(variable.place.node, ast.ExceptHandler):
                    inner[variable.scope].add(variable.name)
            for alias, _, where in module.imported:
                for scope in where.around():
                    written[scope].add(alias.asname or alias.name)
        chosen = {}
        for module in self._every:
            for scope in module.scopes:     # outer ones come first
                if scope.kind != "function":
                    continue
                used = written[scope].union(*(chosen.get(around, {}).values()
                                              for around in scope.around()))
                letters = (letter for letter in _LETTERS if letter not in used)
                parameters = [] if scope.origin in PUBLIC else [
                    name for name in scope.parameters if name not in self._keywords | self._known]
                chosen[scope] = {
                    name: next(letters, name)
                    for name in (*parameters, *sorted(inner[scope] - set(scope.parameters)))}
        return chosen

    # --- writing them ---

    def rename(self):
        for module in self._every:
            told = self.told[module.name] = defaultdict(set)
            functions = {scope.node: _path(scope) for scope in module.scopes
                         if isinstance(scope.node, (ast.FunctionDef, ast.AsyncFunctionDef))}

            def renamed(name, scope, told=told):
                if scope is None or scope.kind != "function":
                    new = self._new.get(name, name)
                elif name in scope.parameters and name in self._keywords | self._known:
                    new = self._new.get(name, name)
                else:
                    new = self._short[scope].get(name, name)
                if new != name:
                    told[new].add(name)
                return new

            for (node, field, index), name, scope, _, _ in module.variables:
                new = renamed(name, scope)
                if index is None:
                    setattr(node, field, new)
                else:
                    getattr(node, field)[index] = new
            for alias, source, scope in module.imported:
                bound = renamed(alias.asname or alias.name, scope)
                if program.words(source)[0] in self._packages:
                    alias.name = renamed(alias.name, None)
                alias.asname = None if bound == alias.name else bound
            for node, _, _ in module.attributes:
                node.attr = renamed(node.attr, None)
            for node, _ in module.calls:
                for word in node.keywords:
                    if word.arg:
                        word.arg = renamed(word.arg, None)
            for node, path in functions.items():
                told[node.name + _CALLED].add(path)
            self.told[module.name] = {new: sorted(old) for new, old in sorted(told.items())}


def _path(scope):
    """Where a function is written, such as "nic.NIC.connect" in mpcore/nic.py."""
    names = getattr(scope.node, "path", None) or [
        getattr(around.node, "name", "") for around in scope.around()][-2::-1]
    return ".".join([scope.origin.partition(".")[2] or scope.origin, *filter(None, names)])


def families(classes):
    """A function that gives the family of a class by its name: all that may be relatives."""
    family = {}

    def find(name):
        while family.setdefault(name, name) != name:
            name = family[name]
        return name

    for scope in classes:
        for base in scope.node.bases:
            if not isinstance(base, (ast.Name, ast.Attribute)):
                raise ValueError(f"{scope.module.name}: a base of {scope.node.name} is no name")
            name = base.id if isinstance(base, ast.Name) else base.attr
            family[find(name)] = find(scope.node.name)
    return find


def public(modules):
    """Names in {name: Module} that are for apps."""
    return set().union(*(_public(modules[name]) for name in PUBLIC if name in modules))


def _public(module):
    found = set()
    for scope in module.scopes:
        outer = [around.node.name for around in scope.around()
                 if around.kind == "class" or isinstance(around.node, (ast.FunctionDef,
                                                                       ast.AsyncFunctionDef))]
        if any(name.startswith("_") and not name.startswith("__") for name in outer):
            continue
        if scope.kind == "function":
            if scope.parent.kind != "function":
                found.update(scope.parameters)
        else:
            found.update(name for name in scope.bound if not name.startswith("_"))
    imported = {alias.asname or alias.name for alias, _, scope in module.imported
                if scope is module.scope}
    found -= imported
    found.update(node.attr for node, scope, stored in module.attributes
                 if stored and not node.attr.startswith("_"))
    return found


def _made_names():
    """Two letters or more that no firmware needs to have."""
    for number in count():
        yield "z" + format(number, "x")


def main():
    parser = argparse.ArgumentParser(
        prog="python -m host_tools.boards.names",
        description="Tell the names that a traceback from a board stands for; it is read from "
                    "standard input.")
    parser.add_argument("--names", type=Path, metavar="FILE",
                        default=unix_port.ROOT / "build" / "boards" / FILE,
                        help="names.json of the build that the board runs (default: %(default)s)")
    known = facts.load()
    parser.add_argument("--board", choices=known, metavar="BOARD",
                        help=f"which it comes from: {', '.join(known)}; needed where the build is "
                             "for boards of several platforms")
    arguments = parser.parse_args()
    try:
        told = json.loads(arguments.names.read_text())
    except (OSError, ValueError) as error:
        sys.exit(f"names: {error}; `make boards` writes it")
    platforms = [known[arguments.board].platform] if arguments.board else list(told)
    if len(platforms) > 1 or platforms[0] not in told:
        sys.exit(f"names: --board is needed, one of {', '.join(told)}")
    sys.stdout.write(lengthen(sys.stdin.read(), told[platforms[0]]))


if __name__ == "__main__":
    main()
