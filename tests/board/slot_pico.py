"""An emulated Pico W whose power goes and comes: code in flash, its programs in slots."""

import json
import shutil
import threading

from host_tools import home, unix_port
from host_tools.boards import facts, images, listings
from host_tools.device import tree as trees
from host_tools.emulator.board import Board, Failure
from host_tools.emulator.files import GUEST

BOARD = facts.load()["rp2_pico_w"]
_LOOK_S = 0.1

APP = '''
import asyncio, gc, json
import board
from mpcore import NIC, upkeep
VERSION = %r
async def main():
    with open("/node.secret.json") as file:
        config = json.load(file)
    board.connect(config)
    nic = NIC("/", bind=config["bind"], loopback=True, validate=False,
              send_ring=1024, receive_ring=2048)
    nic.active(True)
    nic.connect(config["network"])
    gc.collect()
    before = gc.mem_alloc()
    upkeep.start(nic, config["allow"])
    gc.collect()
    print(json.dumps({"event": "upkeep", "bytes": gc.mem_alloc() - before}))
    told = None
    while True:
        state = [nic.status("name"), nic.status("online"), nic.ifconfig()[0]]
        if state != told:
            told = state
            print(json.dumps({"event": "network", "version": VERSION, "status": state[0],
                              "online": state[1], "address": state[2]}))
        await asyncio.sleep(0.5)
def start():
    print(json.dumps({"event": "started", "version": VERSION}))
    asyncio.run(main())
'''


def app(directory, version, text=APP, size=0):
    """An app's directory with the emulated board's own files; size: bytes of further data."""
    directory.mkdir(parents=True)
    for path in (unix_port.ROOT / GUEST).glob("*.py"):
        shutil.copy(path, directory)
    (directory / "main.py").write_text(text % version if "%r" in text else text)
    (directory / "data.bin").write_bytes(bytes(i * 7 & 255 for i in range(size)))
    return directory


class SlotPico:
    """directory: for all that is made. heap: as for Board. sets: of the core, in its flash."""

    def __init__(self, directory, heap=None, sets=listings.USUAL):
        self._directory = directory
        directory.mkdir(parents=True)
        self._heap = heap
        self._sets = sets
        self._uf2 = directory / "filament.uf2"
        self._uf2.write_bytes(images.in_flash(BOARD, sets))
        self._flash = directory / "flash.bin"
        self._cut = threading.Event()
        self._end = threading.Event()
        self._keeper = None
        self.starts = 0

    def furnish(self, app_directory, node_home, config):
        """Put its files onto it, over its serial port."""
        files = self._directory / "files"
        image = images.build_of(BOARD, self._sets)
        for path, data in trees.tree(BOARD, app_directory, image=image).items():
            self._put(files / "a" / path, data)
        for path, data in trees.top(BOARD, in_flash=True).items():
            self._put(files / path[1:], data)
        for name in (home.SECRET, home.PLANET_FILE):
            self._put(files / name, (node_home / name).read_bytes())
        self._put(files / "node.secret.json", json.dumps(config).encode())
        with Board(self._directory, heap=self._heap, more=[self._uf2]) as board:
            board.copy(files)
            board.save(self._flash)

    def _put(self, path, data):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def on(self):
        """Switch it on; the Board, which does not come back from a reset."""
        self.starts += 1
        return Board(self._directory, flash=self._flash, heap=self._heap, seed=self.starts)

    def off(self, board):
        """Its power goes, at whatever it is about."""
        board.save(self._flash)
        board.stop()

    # --- kept on, whatever happens -------------------------------------------------------------

    def __enter__(self):
        """While this is open, it is switched on again after a reset, and after cut()."""
        self._keeper = threading.Thread(target=self._keep)
        self._keeper.start()
        return self

    def cut(self):
        """Its power goes, at whatever it is about, and comes again."""
        self._cut.set()

    def _keep(self):
        board = self.on()
        while not self._end.is_set():
            if self._cut.is_set() or _resets(board):
                self._cut.clear()
                self.off(board)
                board = self.on()
        self.off(board)
        print(board.tail())

    def __exit__(self, *error):
        self._end.set()
        self._keeper.join()


def _resets(board):
    try:
        board.wait_for("reset", timeout_s=_LOOK_S)
        return True
    except Failure:
        return False
