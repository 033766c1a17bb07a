"""Makes MicroPython's unix port a board: a file system of its own in a file, and then the prompt.

    micropython -i repl_board_guest.py FILE BLOCKS
"""

import os
import sys

import vfs

SIZE = 4096


class Flash:
    """A block device; what was written before the process is killed stays, as in a board."""

    def __init__(self, file, blocks):
        self._file = file
        self._blocks = blocks

    def readblocks(self, block, buf, offset=0):
        self._file.seek(block * SIZE + offset)
        self._file.readinto(buf)

    def writeblocks(self, block, buf, offset=0):
        self._file.seek(block * SIZE + offset)
        self._file.write(buf)
        self._file.flush()

    def ioctl(self, op, argument):
        return {4: self._blocks, 5: SIZE}.get(op, 0)


def start(path, blocks):
    with open(path, "r+b") as file:
        fresh = not file.read(64).strip(b"\0")
    flash = Flash(open(path, "r+b"), blocks)
    if fresh:
        vfs.VfsLfs2.mkfs(flash)
    vfs.umount("/")
    vfs.mount(flash, "/")
    os.chdir("/")
    sys.path[:] = ["", ".frozen", "/lib"]


if __name__ == "__main__":
    start(sys.argv[1], int(sys.argv[2]))
