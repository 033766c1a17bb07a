"""Prints, as JSON, the names that MicroPython itself has; run on the unix port.

reserved: all attributes of what is built in or frozen, modules, types and objects, which a program
may use. free: functions and constants of modules that every board's firmware has as well, and that
no object has as an attribute: as names for anything else they cost nothing, being in the firmware.
"""

import builtins
import io
import json
import sys

_SHARED = ("binascii", "cmath", "collections", "deflate", "errno", "framebuf", "gc", "hashlib",
           "heapq", "math", "micropython", "os", "random", "re", "struct", "time", "uctypes")
_OTHERS = ("array", "asyncio", "asyncio.core", "asyncio.event", "asyncio.funcs", "asyncio.lock",
           "asyncio.stream", "builtins", "cryptolib", "io", "json", "machine", "platform",
           "select", "socket", "ssl", "sys", "tls", "vfs", "_asyncio", "_thread", "argparse",
           "mip", "requests", "ffi", "btree", "websocket", "termios", "marshal")

modules = {}
for name in _SHARED + _OTHERS:
    try:
        __import__(name)
        modules[name] = sys.modules.get(name) or __import__(name)
    except ImportError:
        pass

import hashlib  # noqa: E402 - the objects that only calls make
import select  # noqa: E402
import socket  # noqa: E402


async def _task():
    pass

objects = [0, 1.5, 1j, "", b"", bytearray(), [], (), {}, set(), frozenset(), range(1),
           memoryview(b""), _task, _task(), lambda: 0, Exception(), OSError(1), StopIteration(),
           io.StringIO(), io.BytesIO(), iter([]), select.poll(), socket.socket(),
           hashlib.sha256(), open("/dev/null"), open("/dev/null", "rb"), type, object(), property,
           {}.keys(), {}.items(), enumerate([]), zip(), reversed([]), sys.implementation]

attributes = set()
for thing in objects:
    attributes.update(dir(thing))
for module in modules.values():
    for name in dir(module):
        value = getattr(module, name)
        if isinstance(value, type):
            attributes.update(dir(value))
        elif module is not builtins and not isinstance(value, (int, str, tuple)):
            attributes.update(dir(value))
reserved = set(attributes)
for name, module in modules.items():
    reserved.update(dir(module))
    reserved.update(name.split("."))
free = set()
for name in _SHARED:
    if name in modules:
        free.update(dir(modules[name]))
for name in _OTHERS:
    if name in modules:
        free.difference_update(dir(modules[name]))
print(json.dumps({"reserved": sorted(reserved),
                  "free": sorted(name for name in free - attributes if name[:1] != "_")}))
