"""Filament: a ZeroTier-compatible node for MicroPython and CPython.

Importing the package costs next to nothing: `mpcore.NIC`, `mpcore.socket` and `mpcore.aio` are
loaded when they are first named, and so is what `mpcore.interpose()` needs.
"""

from mpcore import port  # first of all: supplies the `micropython` module where the platform has none

VERSION = (0, 1, 0)


def interpose(any_address="both"):
    """Put sockets of both networks, the virtual and the platform's, in place of `socket`.

    What is imported from now on uses the virtual network for addresses on it; one line in boot.py
    is enough: `import mpcore; mpcore.interpose()`. mpcore/interposed.py has the rules.
    any_address: where a socket bound to any address listens, "both", "virtual" or "platform".
    """
    import sys
    from mpcore import interposed
    interposed.any_address = any_address
    sys.modules["socket"] = sys.modules["usocket"] = interposed


def __getattr__(name):
    if name == "NIC":
        from mpcore.nic import NIC
        return NIC
    try:    # MicroPython asks here for every `from mpcore import name`
        return __import__("mpcore." + name, None, None, (name,))
    except ImportError:
        raise AttributeError(name)
