"""The names that a module uses most, named first.

In bytecode a name is its place in the file's table of names, in the order in which they come up:
one byte for the first 128 places, two for others. So a large module begins with a statement that
names those which are used most, and never evaluates them.
"""

import ast
import builtins
import keyword
from collections import Counter

_FIRST = 128
_INTERNED = 10          # characters of a text that is in the table of names
_LARGE = 100            # globals of a module
_OFTEN = 3              # uses of a built-in function
_KINDS = (type, type(len))
_ALWAYS = "len"         # a name that is true; what follows it after `or` is not evaluated


def first(module):
    """Put such a statement in front of a Module that has more than _FIRST names."""
    uses = Counter(_uses(module))
    if len(uses) > _FIRST:
        names = sorted(uses.keys() - {_ALWAYS}, key=lambda name: (-uses[name], name))
        chain = ast.Name(_ALWAYS, ast.Load())
        for name in names[:_FIRST - 2]:         # without those that every module has
            chain = ast.Attribute(chain, name, ast.Load())
        statement = ast.Expr(ast.BoolOp(ast.Or(), [ast.Name(_ALWAYS, ast.Load()), chain]))
        module.tree.body.insert(0, ast.fix_missing_locations(statement))


def _uses(module):
    """Each name as often as bytecode has it."""
    for variable in module.variables:
        if variable.scope.kind != "function" or variable.place.field == "arg":
            yield variable.name
    for attribute in module.attributes:
        yield attribute.node.attr
    for alias, _, _ in module.imported:
        yield from (alias.name, alias.name)
    for call in module.calls:
        for word in call.node.keywords:
            if word.arg:
                yield word.arg
    for scope in module.scopes:
        if isinstance(scope.node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield scope.node.name               # tracebacks say it
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) \
                and len(node.value) <= _INTERNED and node.value.isidentifier() \
                and not keyword.iskeyword(node.value):
            yield node.value


def own(module):
    """Make the built-in functions that a large Module uses often globals of it.

    What is not in a module's dictionary is looked for there first, all along the entries that are
    next to where it would be; MicroPython fills a dictionary to the last place before it grows.
    """
    read = Counter(variable.name for variable in module.variables
                   if variable.scope is module.scope and variable.where is not module.scope
                   and variable.name not in module.scope.bound)
    names = sorted(name for name, count in read.items()
                   if count >= _OFTEN and _is_function(getattr(builtins, name, None)))
    if len(module.scope.bound) > _LARGE:
        module.tree.body[:0] = [ast.fix_missing_locations(ast.Assign(
            [ast.Name(name, ast.Store())], ast.Name(name, ast.Load()))) for name in names]


def _is_function(value):
    """Whether it is Python's own, and no exception, which are looked for when all is late."""
    return isinstance(value, _KINDS) and value.__module__ == "builtins" and not (
        isinstance(value, type) and issubclass(value, BaseException))
