"""What modules make of constants when they are loaded, made when they are built.

The programs that curves are computed by are written as tables of instructions, the constants of
SHA-512 as text; a board needs only their bytes. So it has neither these nor what reads them.
"""

import ast
import importlib

# Modules whose globals are of the same bytes on every platform.
_SAME = ("mpcore.crypto.curve25519", "mpcore.crypto.edwards25519", "mpcore.crypto.field25519",
         "mpcore.crypto.sha2")


def evaluate(module):
    """Put bytes in place of the calls that make them, at the top of a Module."""
    own = vars(importlib.import_module(module.name)) if module.name in _SAME else {}
    for statement in module.tree.body:
        if isinstance(statement, ast.Assign) and not isinstance(statement.value, ast.Constant):
            [target] = statement.targets
            value = own.get(target.id) if isinstance(target, ast.Name) else None
            if type(value) is bytes:
                statement.value = ast.copy_location(ast.Constant(value), statement.value)
    module.analyse()
