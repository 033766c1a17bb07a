"""Filament: a ZeroTier-compatible node for MicroPython and CPython.

Importing the package costs next to nothing: `mpcore.NIC`, `mpcore.socket` and `mpcore.aio` are
loaded when they are first named.
"""

from mpcore import port  # first of all: supplies the `micropython` module where the platform has none

VERSION = (0, 1, 0)


def __getattr__(name):
    if name == "NIC":
        from mpcore.nic import NIC
        return NIC
    try:    # MicroPython asks here for every `from mpcore import name`
        return __import__("mpcore." + name, None, None, (name,))
    except ImportError:
        raise AttributeError(name)
