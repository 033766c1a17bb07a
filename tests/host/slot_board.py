"""A board with slots that is a node: MicroPython's unix port with a flash of its own, as a process
that starts anew where a board would be reset."""

import json
import shutil
import subprocess
import threading
from pathlib import Path

from host_tools import home, unix_port
from host_tools.boards import facts
from host_tools.demo.processes import die_with_parent
from host_tools.device import tree as trees
from mpcore.vl1.identity import Identity
from tests.core.support import vectors

IDENTITIES = [Identity.from_text(case["secret_text"])
              for case in vectors("identity.json")["identities"]]
_GUEST = str(Path(__file__).with_name("slot_board_guest.py"))
_BLOCK = 4096
_HEAP = "4M"
_RESET = 10             # slots.RESTART_S: how a program without machine.reset() ends
BOARD = facts.load()["unix"]

APP = '''
import asyncio, json
from mpcore import NIC, upkeep
VERSION = %r
async def main():
    with open("/node.secret.json") as file:
        config = json.load(file)
    nic = NIC("/", bind=config["bind"], loopback=True, validate=False)
    nic.active(True)
    nic.connect(config["network"])
    upkeep.start(nic, config["allow"])
    while True:
        print("version", VERSION)
        await asyncio.sleep(0.2)
def start():
    asyncio.run(main())
'''


def app(directory, version, text=APP, size=0):
    """An app's directory; size: bytes of further data."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "main.py").write_text(text % version if "%r" in text else text)
    (directory / "data.bin").write_bytes(bytes(i * 7 & 255 for i in range(size)))
    return directory


class SlotBoard:
    """directory: where its flash is a file. blocks: of 4 KB."""

    def __init__(self, directory, blocks=512):
        self._directory = Path(directory)
        self._directory.mkdir(parents=True, exist_ok=True)
        self._flash = self._directory / "flash.bin"
        self._blocks = blocks
        self._child = None
        self._stopping = False
        self.starts = 0
        self.log = []

    def furnish(self, app_directory, node_home, config):
        """Make its file system anew: an app in slot a, and a node's home at the top."""
        self._flash.write_bytes(bytes(_BLOCK * self._blocks))
        files = self._directory / "files"
        shutil.rmtree(files, ignore_errors=True)
        for path, data in trees.tree(BOARD, app_directory).items():
            self._put(files / "a" / path, data)
        for path, data in trees.top(BOARD).items():
            self._put(files / path[1:], data)
        for name in (home.SECRET, home.PLANET_FILE):
            self._put(files / name, Path(node_home, name).read_bytes())
        self._put(files / "node.secret.json", json.dumps(config).encode())
        for name in "networks.d", "peers.d":    # which the unix port would make on the host
            (files / name).mkdir()
        done = subprocess.run(self._command(str(files)), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def _put(self, path, data):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def _command(self, *arguments):
        return [unix_port.executable(), "-X", f"heapsize={_HEAP}", _GUEST, str(self._flash),
                str(self._blocks), *arguments]

    def start(self):
        """Switch it on."""
        self._stopping = False
        self._power_on()
        threading.Thread(target=self._keep, daemon=True).start()

    def _power_on(self):
        self.starts += 1
        self._child = subprocess.Popen(self._command(), stdout=subprocess.PIPE, text=True,
                                       stderr=subprocess.STDOUT, preexec_fn=die_with_parent)

    def _keep(self):
        while True:
            for line in self._child.stdout:
                self.log.append(line.rstrip())
                del self.log[:-500]
            if self._child.wait() != _RESET or self._stopping:
                return
            self._power_on()

    def cut(self):
        """Its power goes, and comes again."""
        self.stop()
        self.start()

    def stop(self):
        """Its power goes."""
        self._stopping = True
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def said(self, text):
        """Whether it has printed a line with this text."""
        return any(text in line for line in list(self.log))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()
