"""A board that starts in a moment: MicroPython's unix port at a pseudo-terminal, with a small file
system of its own that outlives it. Its prompt is the one that boards have."""

import os
import subprocess
import tty
from pathlib import Path

from host_tools import unix_port
from host_tools.demo.processes import die_with_parent

_BLOCK = 4096
_HEAP = "1M"


class ReplBoard:
    """directory: where its flash is a file, of so many blocks of 4 KB."""

    def __init__(self, directory, blocks=256):
        self._flash = Path(directory, "flash.bin")
        if not self._flash.exists():
            self._flash.write_bytes(bytes(_BLOCK * blocks))
        self._blocks = blocks
        self._child = None
        self.port = None
        self.start()

    def start(self):
        """Plug it in, at a new port."""
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._child = subprocess.Popen(
            [unix_port.executable(), "-X", f"heapsize={_HEAP}", "-i",
             str(Path(__file__).with_name("repl_board_guest.py")), str(self._flash),
             str(self._blocks)],
            stdin=self._master, stdout=self._master, stderr=self._master,
            preexec_fn=die_with_parent)

    def stop(self):
        """Unplug it: it dies at once."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None
            os.close(self._master)
            os.close(self._slave)

    def unplug_after(self, link, size):
        """Unplug it when `size` more bytes have been sent to it by this link."""
        port = link._line._port
        write, left = port.write, size

        def until_cut(data):
            nonlocal left
            if left < len(data):
                write(data[:left])
                self.stop()
                left = 0
                raise OSError("cut")
            left -= len(data)
            return write(data)

        port.write = until_cut

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()
