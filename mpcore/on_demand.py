"""Modules that a node needs now and then: their next use loads them, release() drops them.

Who needs one imports it inside the function that does, and keeps neither it nor an object of its
classes, which would keep all its code: what has to last is kept in objects of modules that stay,
or as bytes. A module in use when it is dropped serves its users to the end. None of them has
state of its own. What is used every few seconds is not here: loading takes a Pico some 15 ms a
module and 2 ms a KB.
"""

import gc
import sys

from micropython import const

from mpcore.port import CODE_IN_HEAP, IS_BOARD

# Of what is made of these, everything is gone when a config has been taken over, a peer greeted, or
# a session of the REPL ended.
MODULES = (
    "mpcore.crypto.curve25519", "mpcore.crypto.edwards25519",
    "mpcore.ip.half_open", "mpcore.ip.options", "mpcore.port.storage",
    "mpcore.upkeep.repl", "mpcore.upkeep.status",
    "mpcore.vl1.fragment", "mpcore.vl1.greeting", "mpcore.vl1.hello", "mpcore.vl1.traversal",
    "mpcore.vl1.world",
    "mpcore.vl2.config_text", "mpcore.vl2.correspondence", "mpcore.vl2.credentials",
    "mpcore.vl2.dictionary", "mpcore.vl2.exchange",
)
# These have machine code, which on most boards does not lie in the heap and stays for good.
KERNELS = ("mpcore.crypto.field25519", "mpcore.crypto.field_kernel", "mpcore.crypto.lz4",
           "mpcore.crypto.lz4_kernel", "mpcore.crypto.sha2", "mpcore.crypto.sha2_kernel")

dropped = MODULES + KERNELS if CODE_IN_HEAP else MODULES if IS_BOARD else ()
_ROOM = const(49152) # bytes free below which what is loaded takes the place of what was
_LITTLE = const(16384)      # the same for methods that were put aside
_STAYS = const(24)  # calls of release() for which what is used all the time stays
_before = ()        # what was there at the last release()
_gone = ()          # what that has dropped
_staying = {}       # name -> for how many more calls
_rests = []         # modules that rest() has loaded


def load(*names):
    """Load modules that will be needed soon, in slices (crypto/slices.py): one takes a Pico as
    long as a slice of arithmetic. Each must be one that somebody imports in a function: others
    may have been joined to those that import them (host_tools/boards/chunks.py). On a board whose
    heap is short of room these take the place of others."""
    if IS_BOARD and not all([name in sys.modules for name in names]):
        gc.collect()        # or what stays would come to lie above what is thrown away
        if gc.mem_free() < _ROOM:
            make_room(names)
            gc.collect()
        yield
    for name in names:
        if name not in sys.modules:
            __import__(name)
            yield


def release():
    """Drop what was there at the last call, too: so all stay at least as long as the owner waits
    between two calls. What is there again so soon after it was dropped stays for longer: somebody
    uses it all the time, and would wait for it each time."""
    global _before, _gone
    there = [name for name in dropped if name in sys.modules] + _rests
    gone = []
    for name in there:
        if name in _gone:
            _staying[name] = _STAYS
        if _staying.get(name):
            _staying[name] -= 1
        elif name in _before:
            drop(name)
            gone.append(name)
    _before = [name for name in there if name not in gone]
    _gone = gone


def make_room(but=()):
    """Drop all that is not named, for something large to be loaded."""
    for name in [name for name in dropped if name in sys.modules and name not in but] + _rests:
        drop(name)


def drop(name):
    """Forget a module, so that its next use loads it anew. None may be of a package's name."""
    module = sys.modules.pop(name, None)
    if name in _rests:
        _rests.remove(name)
        module.forget()
    package, _, inner = name.rpartition(".")
    package = sys.modules.get(package)
    if hasattr(package, inner):
        delattr(package, inner)


def rest(self, name):
    """`__getattr__` of a class, some of whose methods a build has put aside into a module with
    the number REST of the class (host_tools/boards/rare.py): loading that adds them, and its
    forget() takes them out again. In the sources no class has it."""
    module = "mpcore.rest%d" % self.REST
    if module in _rests:
        raise AttributeError(name)
    if gc.mem_free() < _LITTLE:
        gc.collect()
        if gc.mem_free() < _LITTLE:
            make_room()
            gc.collect()
    try:
        __import__(module)
    except MemoryError:
        sys.modules.pop(module, None)   # or it would be taken for whole
        raise
    _rests.append(module)
    return getattr(self, name)
