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

# Of objects that only boards have: network.WLAN, machine.Pin, …
_BOARDS = ("active", "config", "connect", "deinit", "disconnect", "duty", "duty_u16", "feed",
           "freq", "high", "ifconfig", "init", "ioctl", "ipconfig", "irq", "isconnected", "low",
           "mode", "off", "on", "readblocks", "scan", "status", "toggle", "value", "writeblocks")

modules = {}
for name in _SHARED + _OTHERS:
    try:
        __import__(name)
        modules[name] = sys.modules.get(name) or __import__(name)
    except ImportError:
        pass

import array  # noqa: E402 - what only calls make has attributes that its type does not tell
import asyncio  # noqa: E402
import collections  # noqa: E402
import cryptolib  # noqa: E402
import hashlib  # noqa: E402
import re  # noqa: E402
import select  # noqa: E402
import socket  # noqa: E402
import ssl  # noqa: E402


async def _task():
    return [asyncio.current_task(), asyncio.Event(), asyncio.Lock(), asyncio.ThreadSafeFlag(),
            asyncio.StreamReader(socket.socket()), asyncio.core.TaskQueue(),
            asyncio.core.IOQueue(), asyncio.get_event_loop(), asyncio.stream.Server()]


objects = [0, 1.5, 1j, "", b"", bytearray(), [], (), {}, set(), frozenset(), range(1),
           memoryview(b""), _task, lambda: 0, Exception(), OSError(1), StopIteration(), iter([]),
           type, object(), property, {}.keys(), enumerate([]), zip(), reversed([]),
           array.array("b"), collections.deque((), 1), collections.OrderedDict(), io.IOBase(),
           io.StringIO(), io.BytesIO(), open("/dev/null"), open("/dev/null", "rb"),
           cryptolib.aes(bytes(16), 1), hashlib.sha256(), re.compile("a"), re.match("a", "a"),
           select.poll(), socket.socket(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
           sys.implementation] + asyncio.run(_task())

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
attributes.update(_BOARDS)
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
