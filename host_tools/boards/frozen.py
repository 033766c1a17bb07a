"""What importing a module would make, told without running it.

A module's body mostly defines: functions, classes, constants, names of what others have. A board's
image (in_place.py) has all of that ready, as objects that lie in the flash. `freeze` reads it out
of the sources of a whole program, as Entities by the names of a module's globals:

  Literal    None, a bool, number, bytes or text; Tuple, and Table, a dict that nobody changes
  Function   with what its parameters default to; Wrapped, a staticmethod, classmethod or property
  Class      with its bases and its members
  Builtin    a module that the firmware has, or what is in it; Object, a module of the program

The rest of a body is live: it has to run on the board, such as what makes a buffer or a list, and
what binds a name that functions bind anew (`global`). The dictionary of a module in the flash is
read only, so a live global is an override of the built-in names instead, which MicroPython
looks through for a name that its module does not have, under a name that nothing else in the
program has. The body's live statements become one function, LIVE, for the board to call where
otherwise the body would run.

A class that apps may derive others from is live as a copy of the one in the flash: MicroPython
marks a class of which there are others.
"""

import ast
import builtins
from collections import namedtuple

from host_tools.boards import program

REPLACED = {"network", "socket"}    # modules of a firmware that programs put others in place of
IN_PYTHON = {"machine"}     # of which it may have one in Python, with what the built-in one has
LIVE = "_live"              # what is live in a module, a function that is given in_flash.copied
OFFER = "_offer"            # the __getattr__ of a module that has a dictionary of its own
TEMPLATE = "_in_flash"      # of a live copy's name: that of the class in the flash

Literal = namedtuple("Literal", "value")
Tuple = namedtuple("Tuple", "items")
Table = namedtuple("Table", "items")                    # ((key, value), …)
# path: of its code, see mpy.Code: which of the functions inside the module's, and so on inwards;
# keywords: ((name, value), …)
Function = namedtuple("Function", "module path defaults keywords")
Wrapped = namedtuple("Wrapped", "kind functions")
Class = namedtuple("Class", "module name bases members")    # members: ((name, Entity), …)
Builtin = namedtuple("Builtin", "module name")          # name: None for the module itself
Object = namedtuple("Object", "module")
# What is live, by the name that it has among the built-in ones.
Live = namedtuple("Live", "name")

# text: the source of what is defined, with what is live in LIVE. globals: {name: Entity or Live}.
# kept: whether the dictionary that importing it makes is needed, with OFFER in it: it is a
# package, or has live globals that are read as attributes. live: whether it has LIVE.
Frozen = namedtuple("Frozen", "name text globals kept live")

_READING = {"get", "items", "keys", "values"}           # methods that leave a dict as it is
_COMPUTED = {each.__name__: each for each in (bytes, int, len, max, min, range, sum, tuple)}
_METHODS = {"bytes.fromhex", "int.from_bytes"}          # of these
_REBOUND = {"print"}        # built-in names that a program may give another meaning
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_PLAIN = {"micropython.native", "micropython.viper"}    # decorators for the compiler alone
_WRAPPERS = {"staticmethod", "classmethod", "property"}


class _IsLive(Exception):
    """Something cannot be told without running it."""


def freeze(texts, firmware, public=(), replaced=()):
    """{name: Frozen} of a program {module: text}, whose imports at the top form no circle.

    firmware: {module that it has: names in it}. public: names that apps may use; from classes that
    have one they may derive others. replaced: modules of the program in place of which there may
    be files, so that whoever imports one has to look for it. Raises ValueError where something
    that would lie in the flash is changed.
    """
    return _Program(texts, firmware, public, replaced).frozen()


class _Program:

    def __init__(self, texts, firmware, public, replaced):
        self.modules = {name: program.Module(name, text) for name, text in texts.items()}
        self.firmware = {name: firmware[name] for name in firmware if name not in REPLACED}
        self.globals = {}               # module -> {name: Entity or Live}
        self.public = set(public)
        self.replaced = replaced
        self.copies = {}                # name of a Live -> the Class of which it is a copy
        self.classes = set()            # nodes of classes that are told
        self.wanted = self._wanted()    # module -> names that it is asked for while it runs
        self._taken = set().union(*(module.identifiers() | module.strings()
                                    for module in self.modules.values()))
        self._frozen = {}

    def frozen(self):
        for name in self.modules:
            self.freeze(name)
        for module in self.modules.values():
            self._check(module)
        return self._frozen

    def _wanted(self):
        wanted = {name: set() for name in self.modules}
        for module in self.modules.values():
            known = {}                  # variable, in whatever scope -> modules that it may be
            for alias, source, scope in module.imported:
                if f"{source}.{alias.name}" in wanted:
                    known.setdefault(alias.asname or alias.name, set()).add(
                        f"{source}.{alias.name}")
                elif source in wanted and scope is not module.scope:
                    wanted[source].add(alias.name)
            for attribute in module.attributes:
                value = attribute.node.value
                for name in known.get(getattr(value, "id", None), ()):
                    wanted[name].add(attribute.node.attr)
        return wanted

    def _check(self, module):
        """What is in the flash cannot be given another attribute, nor a class that is made on the
        board be derived from it, which would mark it."""
        told = {entity.name for known in self.globals.values() for entity in known.values()
                if isinstance(entity, Class)} - {entity.name for entity in self.copies.values()}
        for scope in module.scopes:
            for base in scope.node.bases if scope.kind == "class" else ():
                name = getattr(base, "attr", None) or getattr(base, "id", None)
                if scope.node not in self.classes and (
                        name in told if isinstance(base, ast.Attribute)
                        else isinstance(self.globals[module.name].get(name), Class)):
                    raise ValueError(f"{module.name}: {scope.node.name} is made on the board, and "
                                     f"derived from {name}, which lies in the flash")
        for node, scope, stored in module.attributes:
            if stored and isinstance(node.value, ast.Name) and \
                    scope.owner(node.value.id) is module.scope and isinstance(
                    self.globals[module.name].get(node.value.id), (Class, Function, Object)):
                raise ValueError(f"{module.name} sets {node.attr} of {node.value.id}")

    def freeze(self, name):
        """Freeze a module, after those that it imports."""
        if name not in self.globals:
            self.globals[name] = {}
            self._frozen[name] = _Body(self, self.modules[name]).frozen()

    def is_package(self, name):
        return any(other.startswith(name + ".") for other in self.modules)

    def needs_running(self, name):
        """Whether a module has to be imported on the board for what it does then."""
        return name in self._frozen and self._frozen[name].live

    def is_object(self, name):
        """Whether a module is there as one object, that can lie in the flash."""
        return name in self._frozen and not self._frozen[name].kept

    def new_name(self, module, name):
        new = plain = f"{module.rpartition('.')[2]}_{name}"
        number = 0
        while new in self._taken:
            number += 1
            new = f"{plain}_{number}"
        self._taken.add(new)
        return new


class _Body:
    """The body of one module."""

    def __init__(self, whole, module):
        self._whole = whole
        self._module = module
        self._globals = whole.globals[module.name]
        self._defined = []              # statements that define what is in the flash
        self._live = []                 # statements that are live
        self._imports = set()           # modules of the program that it has run
        self._rebound = {name for scope in module.scopes
                         for name, kind in scope.declared.items() if kind == "global"}
        self._stored = [variable.name for variable in module.variables
                        if variable.scope is module.scope and variable.stored]
        self._changed = _changed(module)
        self._renamed = []              # (name of a base, nodes by which it is called for super())
        self._children = 0

    def frozen(self):
        module, whole = self._module, self._whole
        for statement in module.tree.body:
            self._statement(statement)
        own = set(self._stored)         # an alias has nothing of its own, see bundles.py
        public = whole.public & own if own else whole.public
        offered = {name: entity.name for name, entity in self._globals.items()
                   if isinstance(entity, Live) and name in whole.wanted[module.name] | public}
        kept = bool(offered) or whole.is_package(module.name)
        text = self._text(self._live, offered if kept else None)
        return Frozen(module.name, text, dict(self._globals), kept, bool(self._live))

    # --- statements ----------------------------------------------------------------------------

    def _statement(self, statement):
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            return                      # a docstring
        if isinstance(statement, ast.Expr) and _is_idle(statement.value):
            return self._defined.append(statement)
        try:
            found = self._bindings(statement)
            if any(name in self._rebound or self._stored.count(name) > 1 for name in found):
                raise _IsLive
        except _IsLive:
            return self._keep(statement)
        self._globals.update(found)

    def _bindings(self, statement):
        """{name: Entity or Live} of what a statement binds, which is no more than that."""
        if isinstance(statement, ast.Import):
            return dict(self._import(alias) for alias in statement.names)
        if isinstance(statement, ast.ImportFrom):
            return {alias.asname or alias.name: self._imported(statement.module, alias.name)
                    for alias in statement.names}
        if isinstance(statement, _FUNCTIONS):
            found = {statement.name: self._function(
                statement, statement.decorator_list, self._globals, (self._children,))}
            self._define(statement)
            return found
        if isinstance(statement, ast.ClassDef):
            entity = self._class(statement)
            self._define(statement)
            if entity.name in self._whole.public or any(
                    base.name in self._whole.copies for base in entity.bases):
                return self._copied(entity)
            return {statement.name: entity}
        if isinstance(statement, ast.Assign):
            entity = self._value(statement.value, self._globals, statement.targets[0])
            names = {}
            for target in statement.targets:
                names |= _unpacked(target, entity)
            return names
        raise _IsLive

    def _define(self, statement):
        if statement.name in self._rebound or self._stored.count(statement.name) > 1:
            raise _IsLive
        self._defined.append(statement)
        self._children += 1

    def _import(self, alias):
        name, bound = alias.name, alias.asname
        if bound is None and "." in name:
            raise _IsLive
        return bound or name, self._module_object(name)

    def _module_object(self, name):
        whole = self._whole
        if name in whole.replaced:
            raise _IsLive
        if name in whole.modules:
            self._need(name)
            if whole.is_object(name):
                return Object(name)
        elif name in whole.firmware and name not in IN_PYTHON:
            return Builtin(name, None)
        raise _IsLive

    def _need(self, name):
        """Have a module of the program frozen before this, and run here if it has to."""
        self._whole.freeze(name)
        if self._whole.needs_running(name) and name not in self._imports:
            self._imports.add(name)
            self._live += ast.parse(f"__import__({name!r})").body

    def _imported(self, source, name):
        whole = self._whole
        if source in whole.replaced:
            raise _IsLive
        if source in whole.modules:
            self._need(source)
            if name in whole.globals[source]:
                return whole.globals[source][name]
        if f"{source}.{name}" in whole.modules:
            return self._module_object(f"{source}.{name}")
        if name in whole.firmware.get(source, ()):
            return Builtin(source, name)
        raise _IsLive

    # --- what is defined -----------------------------------------------------------------------

    def _function(self, node, decorators, known, path):
        """path: of its code, which of the functions inside the module's, and so on inwards."""
        for decorator in decorators:
            if ast.unparse(decorator) not in _PLAIN:
                raise _IsLive
        arguments = node.args
        defaults = tuple(self._default(value, known) for value in arguments.defaults)
        keywords = tuple((argument.arg, self._default(value, known)) for argument, value in zip(
            arguments.kwonlyargs, arguments.kw_defaults) if value is not None)
        return Function(self._module.name, path, defaults, keywords)

    def _default(self, node, known):
        if any(isinstance(inner, ast.Lambda) for inner in ast.walk(node)):
            raise _IsLive
        return self._settled(self._value(node, known))

    def _class(self, node):
        if node.decorator_list or node.keywords:
            raise _IsLive
        bases = tuple(self._base(base) for base in node.bases)
        supers = list(_supers(node))
        if any(isinstance(inner, ast.Name) and inner.id in ("super", "__class__")
               and inner not in [call.func.value.func for call, _ in supers]
               for inner in ast.walk(node)) or supers and not (
                len(bases) == 1 and isinstance(node.bases[0], ast.Name)
                and not isinstance(bases[0], Builtin)):
            raise _IsLive
        members = {}
        known = _Around(self._globals, members)
        child = 0
        for statement in node.body:
            if isinstance(statement, ast.Pass) or isinstance(statement, ast.Expr) and isinstance(
                    statement.value, ast.Constant):
                continue
            if isinstance(statement, _FUNCTIONS) and statement.name != "__new__":
                members[statement.name] = self._method(statement, known, child)
                child += 1
            elif isinstance(statement, ast.Assign) and all(
                    isinstance(target, ast.Name) for target in statement.targets):
                entity = self._settled(self._value(statement.value, known, in_class=True))
                members.update((target.id, entity) for target in statement.targets)
            else:
                raise _IsLive
        for call, own in supers:        # by the name of the base, as super() needs the class
            call.func.value = ast.Name(node.bases[0].id, ast.Load())
            call.args.insert(0, ast.Name(own, ast.Load()))
        if supers:
            self._renamed.append((node.bases[0].id, [call.func.value for call, _ in supers]))
        self._whole.classes.add(node)
        return Class(self._module.name, node.name, bases, tuple(members.items()))

    def _base(self, node):
        entity = self._value(node, self._globals)
        if isinstance(entity, Live) and entity.name in self._whole.copies:
            return entity
        if not isinstance(entity, Class) and not (
                isinstance(entity, Builtin) and entity.module == "builtins"
                and issubclass(getattr(builtins, entity.name, object), BaseException)):
            raise _IsLive
        return entity

    def _method(self, node, known, child):
        wrappers = [each for each in node.decorator_list if ast.unparse(each) not in _PLAIN]
        plain = [each for each in node.decorator_list if each not in wrappers]
        function = self._function(node, plain, known, (self._children, child))
        if not wrappers:
            return function
        [wrapper] = wrappers
        if isinstance(wrapper, ast.Name) and wrapper.id in _WRAPPERS:
            return Wrapped(wrapper.id, (function,))
        if isinstance(wrapper, ast.Attribute) and wrapper.attr == "setter":
            before = self._value(wrapper.value, known)
            if isinstance(before, Wrapped) and before.kind == "property":
                return Wrapped("property", (before.functions[0], function))
        raise _IsLive

    # --- values --------------------------------------------------------------------------------

    def _settled(self, entity):
        if isinstance(entity, Live):
            raise _IsLive
        return entity

    def _value(self, node, known, target=None, in_class=False):
        """The Entity that an expression is worth. target: what it is assigned to, if that is a
        global; in_class: to a name of a class, where an empty dict is what its objects have that
        have none of their own yet."""
        if isinstance(node, ast.Name):
            return self._named(node.id, known)
        if isinstance(node, ast.Tuple):
            return self._tuple(node.elts, known)
        if isinstance(node, ast.Dict) and isinstance(target, ast.Name) and node.keys \
                and target.id not in self._changed:
            return Table(tuple((self._settled(self._value(key, known)),
                                self._settled(self._value(value, known)))
                               for key, value in zip(node.keys, node.values)))
        if isinstance(node, ast.Dict) and in_class and not node.keys:
            return Table(())
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            value = self._named(node.value.id, known)
            if isinstance(value, Builtin) and value.name is None and \
                    node.attr in self._whole.firmware[value.module]:
                return Builtin(value.module, node.attr)
            raise _IsLive
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("staticmethod", "classmethod") and len(node.args) == 1:
                return Wrapped(node.func.id, (self._settled(self._value(node.args[0], known)),))
            if node.func.id == "const" and len(node.args) == 1:
                return self._value(node.args[0], known)
            if node.func.id == "getattr" and len(node.args) == 3:
                return self._attribute(node, known)
        return self._computed(node, known)

    def _attribute(self, node, known):
        """getattr(a module of the firmware, a text, what else)."""
        owner, name, other = node.args
        value = self._value(owner, known)
        if not isinstance(value, Builtin) or value.name or not isinstance(name, ast.Constant):
            raise _IsLive
        if name.value in self._whole.firmware[value.module]:
            return Builtin(value.module, name.value)
        return self._value(other, known)

    def _tuple(self, nodes, known):
        if any(isinstance(node, ast.Starred) for node in nodes):
            raise _IsLive
        return Tuple(tuple(self._settled(self._value(node, known)) for node in nodes))

    def _named(self, name, known):
        if name in known:
            return known[name]
        if name in self._stored:
            raise _IsLive               # not yet
        if name in self._whole.firmware["builtins"]:
            return Builtin("builtins", name)
        raise _IsLive

    def _computed(self, node, known):
        """A constant that Python works out here as it would there."""
        names = {}
        for inner in ast.walk(node):
            if isinstance(inner, (ast.Attribute, ast.List, ast.Dict, ast.Set, ast.Lambda,
                                  ast.Await, ast.JoinedStr)) and not (
                    isinstance(inner, ast.Attribute) and ast.unparse(inner) in _METHODS):
                raise _IsLive
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
                if inner.id in known:
                    names[inner.id] = _python(known[inner.id])
                elif inner.id in _COMPUTED and inner.id not in self._stored:
                    names[inner.id] = _COMPUTED[inner.id]
        expression = ast.fix_missing_locations(ast.Expression(node))
        try:
            value = eval(compile(expression, "<constant>", "eval"), {"__builtins__": {}, **names})
        except Exception as error:      # whatever it lacks, the board will have
            raise _IsLive from error
        return _entity(value)

    # --- what is live --------------------------------------------------------------------------

    def _keep(self, statement):
        self._live.append(statement)
        for name in _bound(statement):
            if not isinstance(self._globals.get(name), Live):
                self._globals[name] = Live(self._whole.new_name(self._module.name, name))
        for node in ast.walk(statement):        # functions inside are for later
            if isinstance(node, ast.ImportFrom) and node.module in self._whole.modules:
                self._need(node.module)

    def _copied(self, entity):
        """A class that is there as a copy of the one in the flash, for others to be derived from
        it, or as its bases are."""
        live = Live(self._whole.new_name(self._module.name, entity.name))
        self._whole.copies[live.name] = entity
        template = entity.name + TEMPLATE
        bases = [ast.Name(base.name, ast.Load()) for base in entity.bases]
        copy = ast.Call(ast.Name("copied", ast.Load()),
                        [ast.Name(template, ast.Load()), *bases], [])
        self._live.append(ast.Assign(
            [ast.Attribute(ast.Name("builtins", ast.Load()), live.name, ast.Store())], copy))
        # The template's bases are templates as well, as it cannot tell where copies will be.
        return {template: entity._replace(bases=tuple(
            self._whole.copies.get(base.name, base) for base in entity.bases)), entity.name: live}

    def _text(self, body, offered):
        """The source of what is defined, with the statements that are live, and with OFFER if
        `offered` is not None."""
        names = {name: entity.name for name, entity in self._globals.items()
                 if isinstance(entity, Live)}
        writer = _Writer(names)
        for variable in self._module.variables if names else ():
            if variable.scope is self._module.scope and variable.name in names and isinstance(
                    variable.place.node, ast.Name):
                variable.place.node.id = names[variable.name]
        for name, nodes in self._renamed:
            for node in nodes:
                node.id = names.get(name, name)
        functions = []
        if body:
            functions.append(ast.parse(f"def {LIVE}(copied): pass").body[0])
            functions[0].body = body
        tree = writer.visit(ast.Module([*self._defined, *functions], []))
        if body:
            functions[0].body = writer.bound_in(functions[0].body)
            self._add(LIVE)
        if offered is not None:
            inner = [name for name in self._whole.modules
                     if name.rpartition(".")[0] == self._module.name]
            tree.body += ast.parse(_offer(offered, inner, "__getattr__" in self._globals)).body
            self._add(OFFER)
        if names:
            self._globals["builtins"] = Builtin("builtins", None)
        for name in {variable.name for variable in self._module.variables
                     if variable.scope is self._module.scope} - self._globals.keys() - _REBOUND:
            if name in self._whole.firmware["builtins"]:    # found at once, and not after all else
                self._globals[name] = Builtin("builtins", name)
        return ast.unparse(ast.fix_missing_locations(tree)) + "\n"

    def _add(self, name):
        self._globals[name] = Function(self._module.name, (self._children,), (), ())
        self._children += 1


def _offer(offered, inner, has_more):
    """The text of OFFER. inner: modules of a package, to be imported when somebody asks for them:
    where there is a __getattr__, MicroPython leaves that to it."""
    lines = [f"def {OFFER}(name):", " found = globals()", " if name in found:",
             "  return found[name]"]
    for name, live in sorted(offered.items()):
        lines += [f" if name == {name!r}:", f"  return {live}"]
    for module in inner:
        name = module.rpartition(".")[2]
        lines += [f" if name == {name!r}:",
                  f"  return __import__({module!r}, None, None, ({name!r},))"]
    lines.append(" return __getattr__(name)" if has_more else " raise AttributeError(name)")
    return "\n".join(lines)


class _Around(dict):
    """What a class's body knows: its own names before those around it."""

    def __init__(self, around, own):
        super().__init__()
        self._around, self._own = around, own

    def __contains__(self, name):
        return name in self._own or name in self._around

    def __getitem__(self, name):
        return self._own[name] if name in self._own else self._around[name]


class _Writer(ast.NodeTransformer):
    """Has live globals bound as built-in names. names: {global: its new name}; what reads or
    binds one as a variable has that name already."""

    def __init__(self, names):
        self._new = set(names.values())
        self._names = names

    def visit_Name(self, node):
        if node.id in self._new and not isinstance(node.ctx, ast.Load):
            return self._member(node.id, node.ctx)
        return node

    def _member(self, name, context):
        return ast.Attribute(ast.Name("builtins", ast.Load()), name, context)

    def visit_AugAssign(self, node):
        self.generic_visit(node)
        if isinstance(node.target, ast.Attribute) and node.target.attr in self._new:
            read = ast.Name(node.target.attr, ast.Load())
            return ast.Assign([node.target], ast.BinOp(read, node.op, node.value))
        return node

    def visit_Global(self, node):
        node.names = [name for name in node.names if name not in self._names]
        return node if node.names else ast.Pass()

    def bound_in(self, body):
        """Statements of the module's own body, after each of which what it has bound as a variable
        is made a built-in name."""
        found = []
        for statement in body:
            for field in ("body", "orelse", "finalbody"):
                if isinstance(getattr(statement, field, None), list) and not isinstance(
                        statement, (*_FUNCTIONS, ast.ClassDef)):
                    setattr(statement, field, self.bound_in(getattr(statement, field)))
            for handler in getattr(statement, "handlers", ()):
                handler.body = self.bound_in(handler.body)
            found.append(statement)
            bound = []
            if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
                bound = [statement.name]
            elif isinstance(statement, (ast.Import, ast.ImportFrom)):
                bound = [alias.asname or alias.name.partition(".")[0]
                         for alias in statement.names]
            found += [ast.Assign([self._member(self._names[name], ast.Store())],
                                 ast.Name(name, ast.Load()))
                      for name in bound if name in self._names]
        return found


def _bound(statement):
    """Names that a statement of a module's body binds."""
    bound, _ = program.targets([statement])
    return bound


def _unpacked(target, entity):
    if isinstance(target, ast.Name):
        return {target.id: entity}
    if isinstance(target, ast.Tuple) and isinstance(entity, Tuple) and \
            len(target.elts) == len(entity.items):
        found = {}
        for each, item in zip(target.elts, entity.items):
            found |= _unpacked(each, item)
        return found
    raise _IsLive


def _changed(module):
    """Globals of which something else is done than to look something up."""
    looked_up = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            looked_up.add(id(node.value))
        elif isinstance(node, ast.Attribute) and node.attr in _READING:
            looked_up.add(id(node.value))
        elif isinstance(node, ast.Compare):
            looked_up.update(id(each) for operator, each in zip(node.ops, node.comparators)
                             if isinstance(operator, (ast.In, ast.NotIn)))
    return {variable.name for variable in module.variables
            if variable.scope is module.scope and not variable.stored
            and id(variable.place.node) not in looked_up}


def _is_idle(node):
    """`len or …`, see common_names.py."""
    return isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and \
        isinstance(node.values[0], ast.Name) and node.values[0].id == "len"


def _supers(node):
    """(call, the method's name for its object) of each `super().NAME(…)` in a class."""
    for method in node.body:
        if isinstance(method, _FUNCTIONS) and method.args.args:
            for call in ast.walk(method):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and \
                        isinstance(call.func.value, ast.Call) and not call.func.value.args and \
                        getattr(call.func.value.func, "id", None) == "super":
                    yield call, method.args.args[0].arg


def _python(entity):
    """A constant as Python has it."""
    if isinstance(entity, Literal):
        return entity.value
    if isinstance(entity, Tuple):
        return tuple(_python(item) for item in entity.items)
    raise _IsLive


def _entity(value):
    if value is None or isinstance(value, (bool, int, float, bytes, str)):
        return Literal(value)
    if isinstance(value, tuple):
        return Tuple(tuple(_entity(item) for item in value))
    raise _IsLive
