"""What a node's code takes of a MicroPython heap; prints the bytes.

    micropython import_heap.py DIRECTORY        imports mpcore from there
    micropython import_heap.py IMAGE.romfs      imports it from the mounted image

Machine code is not in it: that lies outside this port's heap.
"""

import gc
import sys

where = sys.argv[1]
sys.path[:] = [where, ".frozen"]
if where.endswith(".romfs"):
    import vfs
    with open(where, "rb") as file:
        vfs.mount(vfs.VfsRom(memoryview(file.read())), "/rom")
    sys.path[0] = "/rom/lib"
import asyncio  # noqa: E402,F401 - frozen, and not ours to count

gc.collect()
before = gc.mem_alloc()
import mpcore.aio  # noqa: E402
import mpcore.nic  # noqa: E402,F401

gc.collect()
print(gc.mem_alloc() - before)
