"""A program as one: the modules that run together, and what each identifier in them stands for."""

import ast
from collections import namedtuple

# Where an identifier is written: setattr(node, field, …), or node.field[index] = … of a list.
Place = namedtuple("Place", "node field index")
Variable = namedtuple("Variable", "place name scope where stored")  # where: read or set; of scope
Attribute = namedtuple("Attribute", "node scope stored")       # scope: where it is written
Imported = namedtuple("Imported", "alias source scope")        # `from source import alias`
Call = namedtuple("Call", "node scope")


class Scope:
    """A module, class or function (also a lambda or a comprehension), and the names it binds."""

    def __init__(self, kind, node, parent, bound):
        self.kind = kind            # "module", "class" or "function"
        self.node = node
        self.parent = parent
        self.bound = bound
        self.declared = {}          # name -> "global" or "nonlocal"
        self.module = parent.module if parent else None
        arguments = getattr(node, "args", None)
        self.parameters = [] if arguments is None else [    # which a call may name
            arg.arg for arg in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]

    def owner(self, name):
        """The scope whose variable `name` is, when read or written here."""
        scope = self
        while scope.parent:
            declared = scope.declared.get(name)
            if declared == "global":
                break
            if name in scope.bound and declared is None and (
                    scope is self or scope.kind == "function"):
                return scope
            scope = scope.parent
        return self.module.scope

    def around(self):
        """This scope and those around it."""
        scope = self
        while scope:
            yield scope
            scope = scope.parent

    @property
    def origin(self):
        """The name of the module that it was written in."""
        return getattr(self.node, "origin", self.module.name)

    def is_method(self):
        """Whether its first parameter is an object of the class around it."""
        return (self.kind == "function" and self.parent.kind == "class"
                and isinstance(self.node, (ast.FunctionDef, ast.AsyncFunctionDef))
                and not any(isinstance(decorator, ast.Name) and decorator.id == "staticmethod"
                            for decorator in self.node.decorator_list))


class Module:
    """One file, of a text or a tree. All that it has of identifiers is found by `analyse`."""

    def __init__(self, name, source):
        self.name = name
        self.tree = ast.parse(source) if isinstance(source, str) else source
        self.analyse()

    def analyse(self):
        """Find the identifiers of the tree as it now is."""
        self.variables, self.attributes, self.imported, self.calls = [], [], [], []
        self.stars = set()          # modules of which everything is imported
        self.outside = set()        # names that `import name` binds
        self.scopes = []
        _Reader(self).visit(self.tree)

    @property
    def scope(self):
        return self.scopes[0]

    def bindings(self, scope):
        """{name: (module, name there)} of what one import binds in a scope, and nothing else
        does."""
        names = [variable.name for variable in self.variables
                 if variable.scope is scope and variable.stored]
        imports = {}
        for alias, source, where in self.imported:
            if where is scope:
                names.append(alias.asname or alias.name)
                imports[names[-1]] = source, alias.name
        return {name: source for name, source in imports.items() if names.count(name) == 1}

    def strings(self):
        """Every text in it that could be the name of something."""
        return {node.value for node in ast.walk(self.tree)
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
                and node.value.isidentifier()}

    def identifiers(self):
        """Every identifier written in it, in whatever sense."""
        return ({variable.name for variable in self.variables}
                | {attribute.node.attr for attribute in self.attributes} | self.outside
                | {part for _, source, _ in self.imported for part in (source or "").split(".")}
                | {imported.alias.name for imported in self.imported}
                | {word.arg for call in self.calls for word in call.node.keywords if word.arg}
                | {name for scope in self.scopes for name in scope.bound})


def words(module):
    """The parts of a module's name."""
    return module.split(".")


def targets(node):
    """Names that a statement or expression binds where it stands, without inner scopes."""
    bound, declared = set(), {}

    def walk(node):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(node.name)
            return
        if isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp,
                             ast.GeneratorExp)):
            if any(isinstance(inner, ast.NamedExpr) for inner in ast.walk(node)):
                raise ValueError(f"line {node.lineno}: := in a comprehension or lambda")
            return
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            bound.add(node.id)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
        elif isinstance(node, ast.alias):
            if node.name != "*":
                bound.add(node.asname or words(node.name)[0])
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            declared.update(dict.fromkeys(node.names, type(node).__name__.lower()))
        elif isinstance(node, ast.Match):
            raise ValueError(f"line {node.lineno}: match")
        for child in ast.iter_child_nodes(node):
            walk(child)

    for part in node if isinstance(node, list) else [node]:
        walk(part)
    return bound, declared


class _Reader(ast.NodeVisitor):
    """Fills a Module."""

    def __init__(self, module):
        self._module = module
        self._scope = None

    def _enter(self, kind, node, body, names=()):
        bound, declared = targets(body)
        scope = Scope(kind, node, self._scope, bound | set(names))
        scope.declared = declared
        scope.module = self._module
        self._module.scopes.append(scope)
        self._scope = scope

    def _leave(self):
        self._scope = self._scope.parent

    def _variable(self, name, node, field, index=None, stored=True):
        place = Place(node, field, index)
        self._module.variables.append(
            Variable(place, name, self._scope.owner(name), self._scope, stored))

    def visit_Module(self, node):
        self._enter("module", node, node.body)
        self.generic_visit(node)
        self._leave()

    def visit_ClassDef(self, node):
        self._variable(node.name, node, "name")
        for outer in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(outer)
        self._enter("class", node, node.body)
        for inner in node.body:
            self.visit(inner)
        self._leave()

    def visit_FunctionDef(self, node):
        self._variable(node.name, node, "name")
        for outer in (*node.decorator_list, *filter(None, [node.returns])):
            self.visit(outer)
        self._function(node, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node):
        self._function(node, node.body)

    def _function(self, node, body):
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs,
                 *filter(None, (arguments.vararg, arguments.kwarg))]
        for outer in (*arguments.defaults, *arguments.kw_defaults,
                      *(arg.annotation for arg in every)):
            if outer is not None:
                self.visit(outer)
        self._enter("function", node, body, [arg.arg for arg in every])
        for arg in every:
            self._variable(arg.arg, arg, "arg")
        for inner in body if isinstance(body, list) else [body]:
            self.visit(inner)
        self._leave()

    def _comprehension(self, node):
        first = node.generators[0]
        self.visit(first.iter)
        self._enter("function", node, [generator.target for generator in node.generators])
        for field, value in ast.iter_fields(node):
            if field != "generators":
                self.visit(value)
        for generator in node.generators:
            self.visit(generator.target)
            for inner in (*([] if generator is first else [generator.iter]), *generator.ifs):
                self.visit(inner)
        self._leave()

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def visit_Name(self, node):
        self._variable(node.id, node, "id", stored=not isinstance(node.ctx, ast.Load))

    def visit_ExceptHandler(self, node):
        if node.name:
            self._variable(node.name, node, "name")
        self.generic_visit(node)

    def visit_Global(self, node):
        for index, name in enumerate(node.names):
            self._variable(name, node, "names", index)

    visit_Nonlocal = visit_Global

    def visit_Attribute(self, node):
        self._module.attributes.append(
            Attribute(node, self._scope, not isinstance(node.ctx, ast.Load)))
        self.generic_visit(node)

    def visit_Call(self, node):
        self._module.calls.append(Call(node, self._scope))
        self.generic_visit(node)

    def visit_Import(self, node):
        for alias in node.names:
            self._module.outside.add(alias.asname or words(alias.name)[0])
            if alias.asname:
                self._variable(alias.asname, alias, "asname")

    def visit_ImportFrom(self, node):
        if node.level:
            raise ValueError(f"{self._module.name}: a relative import")
        for alias in node.names:
            if alias.name == "*":
                self._module.stars.add(node.module)
            else:
                self._module.imported.append(Imported(alias, node.module, self._scope))
