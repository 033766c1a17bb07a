"""Modules of a program joined: each chunk of them (chunks.py) becomes one module.

What they import of each other is one global then, which costs neither an entry in a dictionary nor
an instruction; what several import from elsewhere is imported once. A global keeps its name unless
another of the chunk has it, or a function that uses it has a variable of that name.

A module that apps import, or that is asked for names which only its `__getattr__` knows, and that
does not give its name to a chunk, is there as an alias: a module of imports, loaded when somebody
asks for it. All others are gone.
"""

import ast
from collections import defaultdict

from host_tools.boards import program

_FORGETS = "mpcore.on_demand"               # whose tuples list modules that may be forgotten
_LITERAL = {"micropython", "const"}         # names by which the compiler knows what they are


def bundled(modules, chunks, lasting, offered):
    """{name: Module} of chunks and aliases, of {name: Module}, whose trees are changed.

    chunks: [Chunk] of all the modules. lasting: names of those that are always there. offered:
    names of modules that apps import. Every node
    in a tree tells its `origin`, the module that it is from. Raises ValueError for what cannot be.
    """
    return _Bundler(modules, chunks, lasting, offered).modules()


def globals_for_others(modules, offered):
    """{module: names of its globals that are for apps} of all modules."""
    return {name: {each for each in module.scope.bound
                   if name in offered and (each[0] != "_" or each == "__getattr__")}
            for name, module in modules.items()}


def without_stars(modules):
    """Name what `import *` brings in {name: Module}; each tells its `starred` names."""
    def public(module):
        names = {name for name in module.scope.bound if name[0] != "_"}
        return names.union(*(public(modules[source]) for source in module.stars))

    brought = {module.name: {source: sorted(public(modules[source]))
                             for source in module.stars} for module in modules.values()}
    for module in modules.values():
        module.starred = set().union(*brought[module.name].values())
        for statement in module.tree.body:
            if isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*":
                statement.names = [ast.alias(name) for name in brought[module.name][statement.module]
                                   if name not in module.scope.bound]
        module.analyse()


class _Bundler:
    """What is meant by a name is told by an entity, a tuple:

    ("global", module, name), ("module", name), ("outside", module, name or None) of an import from
    elsewhere, ("dynamic", module, name) of what a module's __getattr__ knows.
    """

    def __init__(self, modules, chunks, lasting, offered):
        self._modules = modules
        self.lasting = lasting
        self._chunks = chunks
        self._offered = [name for name in offered if name in modules]
        self._chunk = {name: chunk for chunk in chunks for name in chunk.modules}
        self._bindings = {}             # Scope -> {name: (module, name there)}
        self._outside = {}              # module -> {global: entity}
        self._starred = {}              # module -> names that `import *` has brought
        self._aliases = set()           # modules that have to be there besides those of chunks
        self._ids = defaultdict(dict)   # chunk's name -> {entity: its global there}
        self._uses = defaultdict(list)  # (chunk's name, entity) -> (Variable or Attribute, Module)
        for module in modules.values():
            for node in ast.walk(module.tree):
                node.origin = module.name
            for scope in module.scopes:
                self._bindings[scope] = module.bindings(scope)
            self._outside[module.name] = _outside_imports(module)
            self._starred[module.name] = getattr(module, "starred", set())

    def modules(self):
        for chunk in self._chunks:
            for name in chunk.modules:
                self._read(self._modules[name], chunk)
        for chunk in self._chunks:
            self._name(chunk)
        found = {}
        for chunk in self._chunks:
            tree = self._joined(chunk)
            if tree.body or chunk.name in self._offered:
                found[chunk.name] = program.Module(chunk.name, tree)
        for name in self._offered:
            if self._chunk[name].name != name:
                self._aliases.add(name)
        for name in sorted(self._aliases):
            found[name] = program.Module(name, self._alias(name))
        return found

    # --- what is meant -------------------------------------------------------------------------

    def _entity(self, module, name):
        """What a global of a module is; None for what is built in."""
        scope = self._modules[module].scope
        if name in self._bindings[scope]:
            source, inner = self._bindings[scope][name]
            if (source, inner) == (module, name):       # a package imports a module of its own
                return "module", f"{module}.{name}"
            if source in self._modules:
                return self._offered_by(source, inner)
        if name in self._outside[module]:
            return self._outside[module][name]
        return ("global", module, name) if name in scope.bound else None

    def _offered_by(self, module, name):
        """What a module of the program has under a name."""
        entity = self._entity(module, name)
        if entity is not None:
            return entity
        if f"{module}.{name}" in self._modules:
            return "module", f"{module}.{name}"
        if "__getattr__" in self._modules[module].scope.bound:
            return "dynamic", module, name
        raise ValueError(f"{module} has no {name}")

    def _of(self, name, scope):
        """(what a name means in a scope, whether an import in a function has brought it)."""
        owner = scope.owner(name)
        if owner.kind == "module":
            return self._entity(owner.module.name, name), False
        source, inner = self._bindings[owner].get(name, (None, None))
        return (self._offered_by(source, inner) if source in self._modules else None), True

    def _value(self, node, scope):
        """What an expression means, if it is a name or a module's; else None."""
        if isinstance(node, ast.Name):
            return self._of(node.id, scope)[0]
        return None

    def _home(self, entity):
        """The Chunk of a global or module of the program; None for any other."""
        return self._chunk[entity[1]] if entity and entity[0] in ("global", "module") else None

    # --- what is used, and as what ----------------------------------------------------------

    def _read(self, module, chunk):
        """Note what a module's names and attributes mean, for its chunk."""
        objects = set()         # nodes of names that are modules, of which an attribute is taken
        for node, scope, stored in module.attributes:
            value = self._value(node.value, scope)
            if value is None or value[0] != "module":
                continue
            entity = self._offered_by(value[1], node.attr)
            inside = isinstance(node.value, ast.Name) and self._of(node.value.id, scope)[1]
            if entity[0] == "dynamic":
                continue                            # that module itself has to answer
            if self._home(entity) is not chunk and (
                    inside or self._home(entity) is self._home(value) and self._is_object(value)):
                # It stays an attribute, of the chunk's module, whatever is bound there.
                node.attr_of = self._home(value).name, entity
                self._uses.setdefault(node.attr_of, [])
                if inside:
                    objects.add(node.value)
                continue
            if stored:
                raise ValueError(f"{module.name} sets {node.attr} of {value[1]}")
            node.becomes = entity
            objects.add(node.value)
            self._use(chunk, entity, program.Attribute(node, scope, stored), module)
        for variable in module.variables:
            entity, inside = self._of(variable.name, variable.where)
            node = variable.place.node
            if entity is None or isinstance(node, ast.alias) or node in objects:
                continue
            if entity[0] == "module" and not self._is_object(entity):
                self._alias_for(entity, chunk)
            if inside and (entity[0] != "global" or self._home(entity) is not chunk):
                continue                            # it is imported there, as before
            self._use(chunk, entity, variable, module)

    def _is_object(self, entity):
        """Whether a module is there as itself."""
        return self._home(entity).name == entity[1]

    def _alias_for(self, entity, chunk):
        if self._home(entity) is chunk:
            raise ValueError(f"{chunk.name}: {entity[1]}, a part of it, is used as an object")
        self._aliases.add(entity[1])

    def _use(self, chunk, entity, written, module):
        self._uses[chunk.name, entity].append((written, module))

    def _offers(self, module):
        """{name: entity} of what a module has for others who import it."""
        found = {}
        for name in sorted(self._modules[module].scope.bound):
            entity = self._entity(module, name)
            if name[0] != "_" and entity is not None and (
                    entity[:2] == ("global", module) or name in self._starred[module]
                    or entity[0] == "global" and entity[1].startswith(module + ".")):
                found[name] = entity
        if "__getattr__" in self._modules[module].scope.bound:
            found["__getattr__"] = ("global", module, "__getattr__")
        return found

    def _name(self, chunk):
        """Choose the globals of a chunk."""
        ids = self._ids[chunk.name]
        offers = self._offers(chunk.name) if chunk.name in self._offered else {}
        forced = {entity: name for name, entity in offers.items()}
        entities = dict.fromkeys(forced)
        for module in chunk.modules:
            for name in sorted(self._modules[module].scope.bound):
                entity = self._entity(module, name)
                if entity == ("global", module, name) or (chunk.name, entity) in self._uses:
                    entities[entity] = None
        entities.update(dict.fromkeys(entity for name, entity in self._uses if name == chunk.name))
        # What is read and bound nowhere is built in; a package's modules become its attributes.
        taken = {name for module in chunk.modules for name in _unbound(self._modules[module])} | {
            name.rpartition(".")[2] for name in self._modules
            if name.rpartition(".")[0] == chunk.name}
        for entity in sorted(entities, key=lambda entity: (
                entity[-1] not in _LITERAL, entity not in forced, entity[0] != "outside")):
            plain = forced.get(entity) or entity[-1] or entity[1]
            plain, number = plain.rpartition(".")[2], 0
            name = plain
            while name in taken or self._captured(chunk, entity, name):
                number += 1
                name = f"{plain}_{number}"
                if entity in forced or plain in _LITERAL:
                    raise ValueError(f"{chunk.name}: {plain} cannot keep its name")
            taken.add(name)
            ids[entity] = name

    def _captured(self, chunk, entity, name):
        """Whether a function that uses an entity has a variable of a name."""
        for written, module in self._uses[chunk.name, entity]:
            where = written.scope if isinstance(written, program.Attribute) else written.where
            old = None if isinstance(written, program.Attribute) else written.name
            for scope in where.around():
                if scope.kind != "module" and name in scope.bound and not (
                        name == old and scope.owner(old) in (scope.module.scope, scope)):
                    return True
        return False

    # --- writing it ----------------------------------------------------------------------------

    def _joined(self, chunk):
        """The tree of a chunk."""
        ids = self._ids[chunk.name]
        for (name, entity), uses in self._uses.items():
            if name != chunk.name:
                continue
            for written, _ in uses:
                if isinstance(written, program.Variable):
                    node, field, index = written.place
                    if index is None:
                        setattr(node, field, ids[entity])
                    else:
                        getattr(node, field)[index] = ids[entity]
        body = []
        for name in chunk.modules:
            _Writing(self, self._modules[name], chunk, ids).write(body)
        imports = [self._import(entity, bound) for entity, bound in ids.items()
                   if self._home(entity) is not chunk]
        return ast.fix_missing_locations(ast.Module(_grouped(imports) + body, []))

    def _import(self, entity, bound):
        """The statement that binds an entity of elsewhere."""
        if entity[0] == "outside" and entity[2] is None:
            alias = ast.alias(entity[1], None if bound == entity[1] else bound)
            return ast.Import([alias])
        if entity[0] == "module":
            source, _, name = entity[1].rpartition(".")
        elif entity[0] == "global":
            source = self._chunk[entity[1]].name
            name = self.id_at_home(entity)
        else:
            source, name = entity[1:]
        return ast.ImportFrom(source, [ast.alias(name, None if name == bound else bound)], 0)

    def id_at_home(self, entity):
        """The name of a global of the program in the chunk that has it."""
        return self._ids[self._chunk[entity[1]].name][entity]

    def _alias(self, module):
        """The tree of a module that offers what another file has now."""
        return ast.fix_missing_locations(ast.Module(_grouped(
            [self._import(entity, name) for name, entity in self._offers(module).items()]), []))


class _Writing(ast.NodeTransformer):
    """Appends a module's body to its chunk's, without imports that are not needed there."""

    def __init__(self, bundler, module, chunk, ids):
        self._bundler = bundler
        self._module = module
        self._chunk = chunk
        self._ids = ids
        self._scopes = {scope.node: scope for scope in module.scopes}
        self._scope = module.scope

    def write(self, body):
        for statement in self._module.tree.body:
            if isinstance(statement, ast.Import):
                continue                    # at the top of the chunk, if it is used
            written = self.visit(statement)
            body += written if isinstance(written, list) else [written] * (written is not None)

    def visit(self, node):
        scope = self._scopes.get(node)
        if scope is None or scope is self._module.scope:
            return super().visit(node)
        before, self._scope = self._scope, scope
        node = super().visit(node)
        self._scope = before
        return node

    def generic_visit(self, node):
        super().generic_visit(node)
        if getattr(node, "body", None) == []:
            node.body.append(ast.Pass())
        return node

    def visit_Expr(self, node):
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Constant(self, node):
        """A text that names a module stands for the file that has it, as whoever reads it loads
        or forgets what it names."""
        if isinstance(node.value, str) and node.value in self._bundler._chunk:
            node.value = self._bundler._chunk[node.value].name
        return node

    def visit_Tuple(self, node):
        """Of a list of what may be forgotten: without what is joined with who has the list."""
        if self._module.name == _FORGETS and self._scope.kind == "module":
            node.elts = list({self._bundler._chunk[each.value].name: each for each in node.elts
                              if isinstance(each, ast.Constant)
                              and self._bundler._chunk[each.value].name not in
                              self._bundler.lasting}.values())
        return self.generic_visit(node)

    def visit_Attribute(self, node):
        if hasattr(node, "becomes"):
            return ast.Name(self._ids[node.becomes], node.ctx)
        if hasattr(node, "attr_of"):
            chunk, entity = node.attr_of
            node.attr = self._bundler._ids[chunk][entity]
        return self.generic_visit(node)

    def visit_ImportFrom(self, node):
        statements = [statement for alias in node.names
                      for statement in self._import(alias, node.module)]
        return _grouped(statements)

    def _import(self, alias, source):
        bundler = self._bundler
        bound = alias.asname or alias.name
        single = bundler._bindings[self._scope].get(bound) == (source, alias.name)
        if source not in bundler._modules:
            if self._scope.kind == "module" and bound in bundler._outside[self._module.name]:
                return []                   # at the top of the chunk
            if self._scope.kind == "module":
                bound = self._ids["global", self._module.name, bound]
            return [ast.ImportFrom(source, [ast.alias(
                alias.name, None if bound == alias.name else bound)], 0)]
        if single and self._scope.kind == "module":
            return []
        entity = bundler._offered_by(source, alias.name)
        home = bundler._home(entity)
        if self._scope.kind == "module":
            bound = self._ids["global", self._module.name, bound]
        if entity[0] == "global":
            if home is self._chunk:
                if not single:
                    raise ValueError(f"{self._module.name}: {bound} is bound twice")
                return []
            name, source = bundler.id_at_home(entity), home.name
        elif entity[0] == "module" and entity[1] not in bundler._aliases:
            if home is self._chunk:
                return []
            source, _, name = home.name.rpartition(".")
        else:
            name = alias.name
        return [ast.ImportFrom(source, [ast.alias(name, None if name == bound else bound)], 0)]

    def visit_Import(self, node):
        """In a function, or where others are bound by the same name."""
        for alias in node.names:
            if alias.name in self._bundler._modules and not alias.asname:
                raise ValueError(f"{self._module.name}: import {alias.name} in a function")
            if alias.asname and self._scope.kind == "module":
                alias.asname = self._ids["global", self._module.name, alias.asname]
        return node


def _outside_imports(module):
    """{global: entity} of what imports from elsewhere bind, each once, at the top of a module."""
    found = {}
    once = module.bindings(module.scope)
    for statement in module.tree.body:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                name = alias.name if alias.asname else alias.name.partition(".")[0]
                found[alias.asname or name] = ("outside", name, None)
        elif isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                name = alias.asname or alias.name
                if once.get(name) == (statement.module, alias.name):
                    found[name] = ("outside", statement.module, alias.name)
    return found


def _unbound(module):
    """Names that a module reads and nothing in it binds."""
    return {variable.name for variable in module.variables
            if variable.scope is module.scope and variable.name not in module.scope.bound}


def _grouped(imports):
    """The same imports, one statement for each module."""
    by_source = defaultdict(dict)
    plain = {}
    for statement in imports:
        [alias] = statement.names
        key = alias.name, alias.asname
        (plain if isinstance(statement, ast.Import) else by_source[statement.module])[key] = alias
    return ([ast.Import([alias]) for alias in plain.values()]
            + [ast.ImportFrom(source, list(aliases.values()), 0)
               for source, aliases in by_source.items()])
