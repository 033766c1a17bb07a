"""What is printed, on its way to a session.

Three ways lead here: `print` of the session's own namespace, which may interrupt the code; the
firmware's terminal (os.dupterm), where there is such; and else the builtin print of the program.

What the session's code prints waits until the code is done, at most limits.REPL_OUTPUT bytes. Of
more, and of what comes after a while, the oldest is sent at once, for which the node is driven
from inside the code's own calls. A board may have no stack left for that: then it goes on waiting,
as long as the heap has limits.REPL_SPARE bytes for others, and what finds no room is an error of
the code.
"""

import asyncio
import builtins
import gc
import io
import os

import micropython
from micropython import const

from mpcore import limits
from mpcore.port import Wake, now_ms

_INTERRUPT = b"\x03"
_STEP_MS = const(20)
_SOON_MS = const(300)           # what is printed so long after what left before leaves at once
_STALLED_MS = const(10000)      # a peer that took nothing for so long: what is printed is dropped
_PEEK = const(64)
_STACK = const(5632)            # bytes that the node may need


class Capture(io.IOBase):
    """Takes what is printed. As a terminal of the firmware it has write() and readinto()."""

    def __init__(self, stream, tcp, runtime):
        self._stream = stream
        self._tcp = tcp
        self._runtime = runtime
        self._held = bytearray()    # the log
        self._printed = []          # by the session's code: bytes
        self._size = 0
        self._sent_ms = 0
        self._wake = Wake()
        self._running = False       # the session's code runs: nobody else does
        self._sending = False
        self._follows = True
        self._task = None
        self._before = None
        self._print = print
        self._deepest = _deepest()
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
        """The session's code begins to run."""
        self._running = True
        self._sent_ms = now_ms()

    def end(self):
        """It is done."""
        self._running = False

    def printed(self):
        """What the code has printed and was not sent yet, in parts that are kept no longer."""
        waiting, self._printed, self._size = self._printed, [], 0
        waiting.reverse()
        while waiting:
            data = waiting.pop()
            while waiting and len(data) + len(waiting[-1]) <= limits.STREAM_CHUNK:
                data += waiting.pop()
            yield _lines(data) if self._follows else data

    # --- ways in ----------------------------------------------------------------------------

    def print(self, *values, **options):
        """As the builtin, for the session's code. Raises KeyboardInterrupt when the peer wants
        that, OSError when it is gone, RuntimeError when there is no room for more."""
        if "file" in options or not self._running:
            return self._print(*values, **options)
        data = (options.get("sep", " ").join([str(value) for value in values])
                + options.get("end", "\n")).encode()
        for at in range(0, len(data), limits.STREAM_CHUNK):
            if not self._add(data[at:at + limits.STREAM_CHUNK]):
                raise RuntimeError("more is printed at once than this board has room and stack for")
            if self._wants_out() and not self._sending:
                self._send()
                if self._interrupted():
                    raise KeyboardInterrupt

    def write(self, data):
        """What the firmware's terminal shows; raises nothing."""
        if not self._running or self._sending:
            self._hold(data)
        elif not self._add(bytes(data)):
            self.lost += len(data)
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

    def _add(self, data):
        """Keep what the code prints. Returns whether there is room."""
        if self._size + len(data) > limits.REPL_OUTPUT and not _spare():
            return False
        self._printed.append(data)
        self._size += len(data)
        return True

    def _wants_out(self):
        """Is it time to send, and stack enough?"""
        if (self._size < limits.REPL_OUTPUT // 2 and now_ms() - self._sent_ms < _SOON_MS):
            return False
        return self._deepest is None or (
            self._deepest - micropython.stack_use() >= _STACK)

    def _send(self):
        """Send what was printed, while the code waits and the node is driven."""
        self._sending = True
        try:
            data, at, runtime = b"".join(self.printed()), 0, self._runtime
            end_ms = now_ms() + _STALLED_MS
            while at < len(data):
                n = self._tcp.send(runtime.now(), data[at:at + limits.STREAM_CHUNK])
                at += n
                if n:
                    end_ms = now_ms() + _STALLED_MS
                elif now_ms() >= end_ms:
                    self.lost += len(data) - at
                    break
                runtime.kick()
                runtime.step(0 if n else _STEP_MS)
        finally:
            self._sending = False
            self._sent_ms = now_ms()

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


def _spare():
    """Whether the heap has room for more than is kept in any case."""
    if not hasattr(gc, "mem_free"):
        return False
    if gc.mem_free() < limits.REPL_SPARE:
        gc.collect()
    return gc.mem_free() >= limits.REPL_SPARE


def _deepest():
    """Bytes of stack that calls can use in all, None where nobody can tell."""
    if not hasattr(micropython, "stack_use"):
        return None
    used = micropython.stack_use()
    try:
        return _deepest()
    except RuntimeError:
        return used
