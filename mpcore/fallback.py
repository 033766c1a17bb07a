"""Kernels whose machine code has found no room: their twins in bytecode do the work.

An ESP32 has its machine code in memory for instructions, of which there is little; who finds none
gets a MemoryError from the import, whatever has been loaded before. So who imports a kernel has
another module with the same functions to import instead. Where machine code lies in the heap, or
runs where it is, none of this is built in (host_tools/boards/specialised.py).
"""

import sys

kernels = []        # the modules, in the order in which they were missed


def instead_of(kernel):
    """A twin takes the place of a module, for as long as the program runs; told once."""
    sys.modules.pop(kernel, None)       # a part of it may be there
    if kernel not in kernels:
        kernels.append(kernel)
        print("no room for the machine code of %s: bytecode does its work, slower" % kernel)
