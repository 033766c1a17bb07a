"""What modules take of a MicroPython heap, each as it is imported; prints {module: bytes} as JSON.

    micropython import_heap.py . MODULE...                 from the current directory
    micropython import_heap.py IMAGE.romfs MODULE...       from the mounted image

Machine code is not in it: that lies outside this port's heap. Paths are relative, as every module
keeps its own. The table of all names grows in steps, and the module that takes one pays for it.
"""

import gc
import json
import sys

where = sys.argv[1]
sys.path[:] = ["", ".frozen"]
if where != ".":
    import vfs
    with open(where, "rb") as file:
        vfs.mount(vfs.VfsRom(memoryview(file.read())), "/rom")
    sys.path[0] = "/rom/lib"
import asyncio  # noqa: E402,F401 - frozen, and not ours to count


def used():
    gc.collect()
    return gc.mem_alloc()


taken = {}
for module in sys.argv[2:]:
    before = used()
    __import__(module)
    taken[module] = used() - before
print(json.dumps(taken))
