"""A module for one platform of MicroPython: what depends on the platform is decided.

A test of nothing but `sys` and of constants is worth True or False; the branch that never runs
goes. So does an import that fails on MicroPython by intent, with what was to be tried first; and
the twin of a module whose machine code may find no room, where it has no memory of its own.
"""

import ast
from collections import namedtuple

_Sys = namedtuple("_Sys", "implementation platform")
_Implementation = namedtuple("_Implementation", "name")


def decide(test, platform):
    """Whether a test of nothing but `sys` holds on a `sys.platform`; None for any other."""
    if {node.id for node in ast.walk(test) if isinstance(node, ast.Name)} != {"sys"}:
        return None
    try:
        return bool(eval(compile(ast.Expression(test), "<test>", "eval"),
                         {"sys": _Sys(_Implementation("micropython"), platform)}))
    except AttributeError:
        return None


def twin_of(node, platform):
    """Whether a `try` imports a kernel, and its twin in bytecode for a MemoryError: None for any
    other, False for one whose kernel has the same memory as the twin would have, or none."""
    if not any(isinstance(handler.type, ast.Name) and handler.type.id == "MemoryError"
               and any(isinstance(statement, ast.ImportFrom) for statement in handler.body)
               for handler in node.handlers):
        return None
    return platform == MACHINE_CODE_APART


MACHINE_CODE_APART = "esp32"        # where it lies in memory for instructions

# What mpcore.port says of code that takes no memory, as it runs where it lies.
IN_PLACE = {"IS_BOARD": False, "CODE_IN_HEAP": False}


class Platform(ast.NodeTransformer):
    """Puts True and False in place of comparisons that `decide` knows, and for `try` around the
    import of a module in `missing` what is done without it. facts: {global: value} of globals
    that are worth something else than it says there."""

    def __init__(self, platform, missing, facts=()):
        self._platform = platform
        self._missing = missing
        self._facts = dict(facts)

    def visit_Assign(self, node):
        if isinstance(node.targets[0], ast.Name) and node.targets[0].id in self._facts:
            node.value = ast.Constant(self._facts[node.targets[0].id])
        return self.generic_visit(node)

    def visit_Compare(self, node):
        holds = decide(node, self._platform)
        return self.generic_visit(node) if holds is None else ast.Constant(holds)

    def visit_Try(self, node):
        if any(isinstance(statement, ast.ImportFrom) and statement.module in self._missing
               for statement in node.body):
            [handler] = node.handlers
            return [self.visit(statement) for statement in handler.body]
        if twin_of(node, None if self._facts else self._platform) is False:
            return [self.visit(statement) for statement in node.body]
        return self.generic_visit(node)


class Branches(ast.NodeTransformer):
    """Takes out branches that never run, as their test is a constant."""

    def visit_If(self, node):
        self.generic_visit(node)
        holds = _constant(node.test)
        return node if holds is None else node.body if holds else node.orelse

    def visit_IfExp(self, node):
        self.generic_visit(node)
        holds = _constant(node.test)
        return node if holds is None else node.body if holds else node.orelse

    def generic_visit(self, node):
        super().generic_visit(node)
        if isinstance(getattr(node, "body", None), list) and not node.body \
                and not isinstance(node, ast.Module):
            node.body.append(ast.Pass())
        return node


def _constant(test):
    """What a test of constants is worth; None for any other."""
    if isinstance(test, ast.Constant):
        return bool(test.value)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        holds = _constant(test.operand)
        return None if holds is None else not holds
    return None
