"""An emulated board as a process that a test or a measurement drives.

    with Board(directory) as board:
        board.copy(files)           # with mpremote, as onto hardware
        board.soft_reset()
        board.wait_for("led", led=1)
"""

import json
import os
import queue
import re
import subprocess
import sys
import termios
import threading
import time
import tty
from collections import namedtuple
from pathlib import Path

from host_tools.demo.processes import die_with_parent
from host_tools.emulator import provisions

LED = 15                # the pin that stands for the Pico W's LED, which hangs at its Wi-Fi chip
START_S = 60            # a busy machine is slow
ROOMY = 512 * 1024      # a heap that no Pico has, see Board
_STOP_S = 3
_RX_QUEUE = 16          # datagrams that wait for a socket of the guest
_LOG_LINES = 200
_MEMORY = re.compile(r"GC: total: \d+, used: (\d+), free: (\d+)")
_LARGEST = re.compile(r"max free sz: (\d+)")
_BLOCK = 16             # bytes, of the garbage collector


# A datagram that a stepped board sent, to an address that is a number, and how long that was after
# the one that it had taken before had come.
Sent = namedtuple("Sent", "address port data since_rx_cycles since_rx_nanos")


class Failure(Exception):
    """The board did not do what it was waited for; the message has what it printed last."""


class Board:
    """directory: where the firmware and the log are. flash: an image that save() made, or None
    for a fresh board. seed: of the random bits. heap: None for the firmware's own of 201 KB; or
    bytes, to measure what does not fit into that. stepped: time passes only by step(), so that all
    that happens repeats to the cycle; there is no network but what step() carries. more: UF2 files
    that were copied onto it after the firmware.
    """

    def __init__(self, directory, flash=None, seed=1, heap=None, rx_queue=_RX_QUEUE,
                 stepped=False, more=()):
        directory = Path(directory).resolve()
        firmware, bootrom = provisions.provide(directory)
        terminal, slave = _terminal()
        self.serial = os.ttyname(slave)
        self._slave = slave         # open as long as we live, or the master would be hung up
        self._talking = False       # mpremote is at the serial port: what is printed is for it
        options = {"firmware": str(firmware), "bootrom": str(bootrom), "seed": seed, "heap": heap,
                   "flash": flash and str(flash), "more": list(map(str, more)),
                   "queue": rx_queue, "pins": [LED], "stepped": stepped, "terminal": terminal}
        self._facts = queue.SimpleQueue()
        self._printed = []
        self._log = directory / "runner.log"
        with open(self._log, "wb") as log:
            self._child = subprocess.Popen(
                ["node", str(provisions.runner()), json.dumps(options)], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1,
                pass_fds=[terminal], preexec_fn=die_with_parent)
        os.close(terminal)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.wait_for("ready")
        except Failure:
            self.stop()
            raise

    # --- what it says --------------------------------------------------------------------------

    def _read(self):
        for line in self._child.stdout:
            facts = _facts(line)
            if facts is None:
                self._print(line)
            elif facts["event"] == "printed" and self._talking:
                continue
            elif facts["event"] == "printed":
                self._print(facts["text"])
                said = _facts(facts["text"]) or self._memory(facts["text"])
                if said is not None:
                    self._facts.put(said)
            else:
                self._facts.put(facts)
        self._facts.put(None)

    def _print(self, text):
        self._printed.append(text.rstrip())
        del self._printed[:-_LOG_LINES]

    def _memory(self, text):
        """The fact "memory" from the two lines of micropython.mem_info() that have it."""
        if match := _MEMORY.match(text):
            self._used, self._free = int(match[1]), int(match[2])
        elif match := _LARGEST.search(text):
            return {"event": "memory", "used": self._used, "free": self._free,
                    "largest_free": int(match[1]) * _BLOCK}
        return None

    def tail(self):
        """The last lines that the guest printed."""
        return "\n".join(self._printed[-20:])

    def wait_for(self, event, timeout_s=START_S, **expected):
        """The first fact from now on with this `event` and these values. Raises Failure.

        Facts are the JSON lines that the guest prints, and the runner's own: "pin" and "mark".
        """
        end = time.monotonic() + timeout_s
        while True:
            try:
                facts = self._facts.get(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                raise Failure(f"no {event!r} {expected or ''} within {timeout_s} s; the board "
                              f"printed:\n{self.tail()}") from None
            if facts is None:
                self._facts.put(None)
                raise Failure(f"the emulator has ended before {event!r}:\n{self.tail()}"
                              f"{self._log.read_text()[-2000:]}")
            if facts["event"] == event and expected.items() <= facts.items():
                return facts

    def pending(self):
        """All facts that have come and were not waited for."""
        found = []
        while not self._facts.empty():
            found.append(self._facts.get())
        return [facts for facts in found if facts is not None]

    # --- what is done to it --------------------------------------------------------------------

    def mpremote(self, *arguments, timeout_s=300):
        """Run mpremote at the board's serial port; returns what it printed. Raises Failure."""
        program = Path(sys.executable).with_name("mpremote")
        termios.tcflush(self._slave, termios.TCIOFLUSH)
        self._talking = True
        try:
            done = subprocess.run([program, "connect", self.serial, *map(str, arguments)],
                                  capture_output=True, text=True, timeout=timeout_s)
        finally:
            self._talking = False
        if done.returncode:
            raise Failure(f"mpremote {arguments[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    def copy(self, directory):
        """Copy what is in `directory` to the top of the board's file system."""
        for path in sorted(Path(directory).iterdir()):
            self.mpremote("fs", "cp", *(["-r"] if path.is_dir() else []), path, ":")

    def run(self, code):
        """Run Python code on the board, without a reset before it; returns what it printed."""
        return self.mpremote("resume", "exec", code)

    def soft_reset(self):
        """Stop what runs, as Ctrl-C does, and start anew, which runs boot.py and main.py."""
        self._command("type", text="\x03\x03\x04")

    def link(self, up):
        """Plug the network's cable in, or pull it."""
        self._command("link", up=up)

    def state(self):
        """The runner's clock and counters."""
        self._command("state")
        return self.wait_for("state")

    def memory(self):
        """What the running program's heap looks like after a collection: bytes `used`, `free` and
        in the `largest_free` block. The guest's board.py answers."""
        self.ask()
        facts = self.wait_for("memory")
        return {name: facts[name] for name in ("used", "free", "largest_free")}

    def ask(self):
        """Have the running program tell the fact "memory", see memory()."""
        self._command("ask")

    def step(self, nanos, datagrams=()):
        """Deliver datagrams, (guest's port, source address as a number, source port, data) each,
        and let time pass until the guest's clock shows `nanos`.

        Returns the datagrams that it sent, each a Sent, and the facts that came.
        """
        self._command("step", nanos=nanos, datagrams=[
            {"to": to, "address": address, "port": port, "data": data.hex()}
            for to, address, port, data in datagrams])
        facts = []
        while True:
            each = self._facts.get(timeout=START_S)
            if each is None:
                raise Failure(f"the emulator has ended: {self._log.read_text()[-2000:]}")
            if each["event"] == "stepped":
                return [Sent(*(bytes.fromhex(s[name]) if name == "data" else s[name]
                               for name in Sent._fields)) for s in each["sent"]], facts
            facts.append(each)

    def save(self, file):
        """Keep the flash chip's content, for other boards to start from."""
        self._command("save", file=str(Path(file).resolve()))
        self.wait_for("saved")

    def save_ram(self, file):
        """Write the RAM's content, for census.py to look into."""
        self._command("saveRam", file=str(Path(file).resolve()))
        self.wait_for("saved")

    def _command(self, name, **facts):
        self._child.stdin.write(json.dumps({"cmd": name, **facts}) + "\n")
        self._child.stdin.flush()

    def stop(self):
        """Switch it off."""
        self._child.stdin.close()
        try:
            self._child.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._reader.join()
        self._child.stdout.close()
        os.close(self._slave)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()


def _terminal():
    """A raw pseudo-terminal: the file descriptors of its two sides."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)      # nobody may be reading what the board prints
    return master, slave


def _facts(line):
    """A JSON object with an "event", or None."""
    try:
        facts = json.loads(line)
    except ValueError:
        return None
    return facts if isinstance(facts, dict) and "event" in facts else None
