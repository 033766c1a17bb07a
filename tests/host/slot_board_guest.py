"""MicroPython's unix port as a board with slots: a file system of its own in a file, from which it
boots as a board does.

    micropython slot_board_guest.py FILE BLOCKS             power on
    micropython slot_board_guest.py FILE BLOCKS DIRECTORY   only copy a directory of the host there
"""

import os
import sys

import vfs

sys.path.insert(0, __file__.rpartition("/")[0])
from repl_board_guest import Flash    # noqa: E402


def mount(path, blocks, fresh):
    flash = Flash(open(path, "r+b"), blocks)
    if fresh:
        vfs.VfsLfs2.mkfs(flash)
    vfs.umount("/")
    vfs.mount(flash, "/")
    vfs.mount(vfs.VfsPosix("/dev"), "/dev")
    os.chdir("/")
    sys.path[:] = ["", ".frozen", "/lib"]


def copy(source, target):
    for name, kind, *_ in os.ilistdir(source):
        if kind & 0x4000:
            os.mkdir(target + name)
            copy(source + name + "/", target + name + "/")
        else:
            with open(source + name, "rb") as file, open(target + name, "wb") as other:
                other.write(file.read())


def run(name):
    with open(name) as file:
        exec(file.read(), {"__name__": "__main__"})


path, blocks = sys.argv[1], int(sys.argv[2])
if len(sys.argv) > 3:
    source = vfs.VfsPosix(sys.argv[3])
    mount(path, blocks, True)
    vfs.mount(source, "/host")
    copy("/host/", "/")
else:
    mount(path, blocks, False)
    run("/boot.py")
    run("/main.py")
