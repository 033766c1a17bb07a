"""What a node's code takes of a MicroPython heap; prints the bytes.

    micropython import_heap.py                  imports mpcore from the current directory
    micropython import_heap.py IMAGE.romfs      imports it from the mounted image

Machine code is not in it: that lies outside this port's heap. Paths are kept short and relative,
as every module keeps its own.
"""

import gc
import sys

sys.path[:] = ["", ".frozen"]
if len(sys.argv) > 1:
    import vfs
    with open(sys.argv[1], "rb") as file:
        vfs.mount(vfs.VfsRom(memoryview(file.read())), "/rom")
    sys.path[0] = "/rom/lib"
import asyncio  # noqa: E402,F401 - frozen, and not ours to count

gc.collect()
before = gc.mem_alloc()
import mpcore.aio  # noqa: E402
import mpcore.nic  # noqa: E402,F401

gc.collect()
print(gc.mem_alloc() - before)
