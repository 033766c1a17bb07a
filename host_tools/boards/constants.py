"""Constants of a program folded into the places that use them.

MicroPython folds `X = const(5)` inside the module that has it; here whoever imports it, or reads
`module.X`, gets the number as well, and the definition goes, and with it a name, an entry of the
module's dictionary, and a look-up for each use.
"""

import ast
import operator

_OPERATORS = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.LShift: operator.lshift,
    ast.RShift: operator.rshift, ast.BitOr: operator.or_, ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor, ast.USub: operator.neg, ast.Invert: operator.invert}


def fold(modules, kept=()):
    """Fold the constants of {name: Module}, whose trees are changed, and return them:
    {module: {name: number}}.

    kept: names of modules whose definitions stay, as code outside the program reads them.
    """
    before = {name: _read(module) for name, module in modules.items()}
    values = _values(modules)
    folder = _Folder(modules, values)
    for module in modules.values():
        _Replacing(folder, module).visit(module.tree)
        module.analyse()
    removed = True
    while removed:                  # one may be there for another only
        removed = False
        outside = _read_from_outside(modules)
        for name, module in modules.items():
            needed = _read(module) | outside[name]
            removing = _Removing(() if name in kept else values[name].keys() - needed,
                                 before[name] - needed)
            removing.visit(module.tree)
            if removing.removed:
                removed = True
                module.analyse()
    return values


def without_const(module):
    """Write what is left of `NAME = const(value)` without const: the compiler would put the value
    in place of every variable of that name, and a module may have more of them by now."""
    for statement in module.tree.body:
        value = _constant(statement)
        if value is not None:
            statement.value = value
    module.analyse()


def _read_from_outside(modules):
    """{module: names of its globals that others may read}."""
    attributes = {attribute.node.attr for module in modules.values()
                  for attribute in module.attributes}
    found = {name: set(attributes) for name in modules}
    for module in modules.values():
        for alias, source, _ in module.imported:
            if source in modules:
                found[source].add(alias.name)
        for source in module.stars:     # of a star's star as well: no matter whose, it stays
            for each in found.values() if source in modules else ():
                each |= _read(module)
    return found


def _read(module):
    return {variable.name for variable in module.variables if not variable.stored}


def _values(modules):
    """{module: {constant: number}}; a constant may be made of others."""
    values = {name: {} for name in modules}
    folder = _Folder(modules, values)
    set_as_attributes = {attribute.node.attr for module in modules.values()
                         for attribute in module.attributes if attribute.stored}
    waiting = [(name, target, expression) for name, module in modules.items()
               for target, expression in _definitions(module) if target not in set_as_attributes]
    while True:
        left = []
        for name, target, expression in waiting:
            value = folder.value(expression, modules[name].scope)
            if value is None:
                left.append((name, target, expression))
            else:
                values[name][target] = value
        if len(left) == len(waiting):
            return values           # what is left is no number, and stays as it is
        waiting = left


def _definitions(module):
    """(name, expression) of each `NAME = const(expression)` of a module that nothing else sets;
    True and False need no const."""
    stored = {}
    for variable in module.variables:
        if variable.scope is module.scope and variable.stored:
            stored[variable.name] = stored.get(variable.name, 0) + 1
    for statement in module.tree.body:
        expression = _constant(statement)
        if expression is not None and stored[statement.targets[0].id] == 1:
            yield statement.targets[0].id, expression


def _constant(node):
    """What is on the right of `NAME = const(expression)`, `NAME = True`; None if it is neither."""
    if not (isinstance(node, ast.Assign) and len(node.targets) == 1
            and isinstance(node.targets[0], ast.Name)):
        return None
    value = node.value
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) \
            and value.func.id == "const":
        return value.args[0]
    return value if isinstance(value, ast.Constant) and type(value.value) is bool else None


class _Folder:
    """Knows what an expression is worth, or which module it is."""

    def __init__(self, modules, values):
        self._modules = modules
        self._values = values
        self._bindings = {          # module -> {global: (source, name)} that imports bind
            name: module.bindings(module.scope) for name, module in modules.items()}

    def source(self, node, scope):
        """(module, name) of what an expression reads from a module of the program, or None."""
        if isinstance(node, ast.Name):
            owner = scope.owner(node.id)
            if owner.kind == "module":
                module = owner.module.name
                return self._bindings[module].get(node.id, (module, node.id))
            return owner.module.bindings(owner).get(node.id)
        if isinstance(node, ast.Attribute):
            module = self.module(node.value, scope)
            if module is not None:
                return self._bindings[module].get(node.attr, (module, node.attr))
        return None

    def module(self, node, scope):
        """The module of the program that an expression is, or None."""
        source = self.source(node, scope)
        name = source and f"{source[0]}.{source[1]}"
        return name if name in self._modules else None

    def constant(self, node, scope):
        """The number that a name or `module.name` stands for, or None."""
        source = self.source(node, scope)
        return self._values.get(source[0], {}).get(source[1]) if source else None

    def value(self, node, scope):
        """The number that an expression of constants is, or None."""
        if isinstance(node, ast.Constant):
            return node.value if type(node.value) in (int, bool) else None
        if isinstance(node, (ast.Name, ast.Attribute)):
            return self.constant(node, scope)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            sides = self.value(node.left, scope), self.value(node.right, scope)
        elif isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
            sides = (self.value(node.operand, scope),)
        else:
            return None
        return None if None in sides else _OPERATORS[type(node.op)](*sides)


class _Replacing(ast.NodeTransformer):
    """Puts numbers in place of names, in the scopes that `module.analyse` found."""

    def __init__(self, folder, module):
        self._folder = folder
        self._numbers = {}
        for variable in module.variables:
            if not variable.stored and isinstance(variable.place.node, ast.Name):
                self._note(variable.place.node, variable.scope)
        for attribute in module.attributes:
            if not attribute.stored:
                self._note(attribute.node, attribute.scope)

    def _note(self, node, scope):
        value = self._folder.constant(node, scope)
        if value is not None:
            self._numbers[node] = value

    def visit_Name(self, node):
        return _number(self._numbers[node]) if node in self._numbers else node

    def visit_Attribute(self, node):
        return _number(self._numbers[node]) if node in self._numbers else self.generic_visit(node)


def _number(value):
    number = ast.Constant(value if value >= 0 else -value)
    return number if value >= 0 else ast.UnaryOp(ast.USub(), number)


class _Removing(ast.NodeTransformer):
    """Takes out some definitions of constants, and imports of some names."""

    def __init__(self, constants, imports):
        self._constants = constants
        self._imports = imports
        self.removed = False

    def visit_Assign(self, node):
        if _constant(node) is None or node.targets[0].id not in self._constants:
            return node
        self.removed = True
        return None

    def visit_ImportFrom(self, node):
        left = [alias for alias in node.names
                if (alias.asname or alias.name) not in self._imports]
        self.removed = self.removed or len(left) < len(node.names)
        node.names = left
        return node if left else None
