"""What is printed, on its way to a session.

Three ways lead here: `print` of the session's own namespace, which may interrupt the code; the
firmware's terminal (os.dupterm), where there is such; and else the builtin print of the program.
"""

import asyncio
import builtins
import io
import os

from micropython import const

from mpcore import limits
from mpcore.port import Wake, now_ms

_INTERRUPT = b"\x03"
_STEP_MS = const(20)
_STALLED_MS = const(10000)      # a peer that took nothing for so long: what is printed is dropped
_PEEK = const(64)


class Capture(io.IOBase):
    """Takes what is printed. As a terminal of the firmware it has write() and readinto()."""

    def __init__(self, stream, tcp, runtime):
        self._stream = stream
        self._tcp = tcp
        self._runtime = runtime
        self._held = bytearray()
        self._wake = Wake()
        self._running = False       # the session's code runs: nobody else does
        self._sending = False
        self._follows = True
        self._task = None
        self._before = None
        self._print = print
        self.lost = 0               # bytes that found no room

    def open(self):
        """From now on, what anybody prints comes here too."""
        self._task = asyncio.create_task(self._follow())
        if hasattr(os, "dupterm"):
            self._before = os.dupterm(self)
        else:
            self._print = builtins.print
            builtins.print = self._print_both

    def close(self):
        """Undo open()."""
        if self._task is None:
            return
        self._task.cancel()
        self._task = None
        if hasattr(os, "dupterm"):
            os.dupterm(self._before)
        else:
            builtins.print = self._print

    def follow(self, follows):
        """Whether what other tasks print goes on to the peer at once."""
        self._follows = follows
        self._wake.set()

    def take(self):
        """What is held, which is held no more."""
        held, self._held = self._held, bytearray()
        return bytes(held)

    def begin(self):
        """The session's code begins to run; what was held is the log, and stays so."""
        self._running = True

    def end(self):
        """It is done."""
        self._running = False

    # --- ways in ----------------------------------------------------------------------------

    def print(self, *values, **options):
        """As the builtin, for the session's code. Raises KeyboardInterrupt when the peer wants
        that, OSError when it is gone."""
        if "file" in options or not self._running:
            return self._print(*values, **options)
        text = options.get("sep", " ").join([str(value) for value in values])
        self._send((text + options.get("end", "\n")).encode())
        if self._interrupted():
            raise KeyboardInterrupt

    def write(self, data):
        """What the firmware's terminal shows; raises nothing."""
        if self._running:
            try:
                self._send(bytes(data))
            except OSError:
                pass
        else:
            self._hold(data)
        return len(data)

    def readinto(self, buf):
        """Nobody types here for the firmware."""
        return None

    def _print_both(self, *values, **options):
        self._print(*values, **options)
        if "file" not in options:
            text = options.get("sep", " ").join([str(value) for value in values])
            self.write((text + options.get("end", "\n")).encode())

    # --- ways out ---------------------------------------------------------------------------

    def _hold(self, data):
        held = self._held
        held.extend(data)
        over = len(held) - limits.REPL_LOG
        if over > 0:
            self.lost += over
            held[:] = held[over:]
        if self._follows:
            self._wake.set()

    async def _follow(self):
        try:
            while True:
                if self._follows and self._held:
                    await self._stream.awrite(_lines(self.take()))
                else:
                    await self._wake
        except OSError:
            pass        # the session ends by itself

    def _send(self, data):
        """Send data while the code waits; the node is driven meanwhile."""
        if self._sending:           # printed by the node itself
            return self._hold(data)
        self._sending = True
        try:
            if self._follows:
                data = _lines(data)
            at, runtime = 0, self._runtime
            end_ms = now_ms() + _STALLED_MS
            while at < len(data):
                n = self._tcp.send(runtime.now(), data[at:at + limits.STREAM_CHUNK])
                at += n
                if n:
                    end_ms = now_ms() + _STALLED_MS
                elif now_ms() >= end_ms:
                    self.lost += len(data) - at
                    return
                runtime.kick()
                runtime.step(0 if n else _STEP_MS)
        finally:
            self._sending = False

    def _interrupted(self):
        """Has the peer sent Ctrl-C? What it sent before is dropped with it."""
        try:
            there = self._tcp.recv(self._runtime.now(), _PEEK, True)
            at = there.find(_INTERRUPT) if there else -1
            if at >= 0:
                self._tcp.recv(self._runtime.now(), at + 1)
        except OSError:
            return True
        return at >= 0


def _lines(data):
    """Lines that end as a terminal wants it."""
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
