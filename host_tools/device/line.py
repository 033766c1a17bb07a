"""The line to a board: a port that is opened for us alone, with a deadline for what it says.

What goes wrong is said in sentences for its user, with what to do next.
"""

import errno
import re
import time

import serial
from serial.tools import list_ports

BAUD = 115200
MAX_OUTPUT = 65536          # bytes that a command may print
TAIL = 300                  # characters of what a board said, in a message
_LOOK_S = 0.1               # how often a wait looks at the clock
_QUIET_S = 0.3
_WRITE_S = 10
# What an ESP32 prints when it falls and starts anew, by itself; the dump between is longer than
# TAIL.
_FELL = re.compile(rb"Guru Meditation Error: [^\r\n]*(?=[\r\n])|Brownout detector was triggered"
                   rb"|abort\(\) was called|rst:0x[0-9a-f]+ \(\w+\)")
_FELL_MAX = 100             # bytes of it, in a message and across two reads


class LinkError(OSError):
    """What stands between us and a board; a sentence for its user, with what to do next."""


class Silent(LinkError):
    """The board did not answer in time."""


class Lost(LinkError):
    """The line has broken; `said`: the last that was heard, as text, empty for nothing."""

    said = ""


class Line:
    """What mpremote reads and writes: never longer than until a deadline, nor more than a limit.

    mpremote's own bounds are times between two bytes, and none for how much there may be.
    """

    def __init__(self, port, target, serial=True):
        """serial: whether there is a cable, rather than a stream over a network."""
        self.serial = serial
        self._port = port
        self._target = target
        self._unread = bytearray()
        self._last = bytearray()
        self._fell = b""            # why the board has started anew meanwhile, in its words
        self.heard = 0              # bytes, ever
        self.allow(0)

    def allow(self, timeout_s, limit=MAX_OUTPUT):
        """From now on the other end may take so long, and say so many bytes."""
        self._end = time.monotonic() + timeout_s
        self._timeout_s = timeout_s
        self._limit = self.heard + limit
        self._fell = b""

    def over(self):
        """Is the time of allow() over?"""
        return time.monotonic() >= self._end

    def tail(self):
        """The last that was heard, for a message."""
        return repr(bytes(self._last).decode(errors="replace").strip()[-TAIL:])

    def inWaiting(self):
        return len(self._unread) + self._do(lambda: self._port.in_waiting)

    def read(self, size=1):
        """Exactly `size` bytes. Raises Silent, Lost, or LinkError when there are too many."""
        while len(self._unread) < size:
            if not self._hear() and self.over():
                raise Silent(f"{self._target}: {self._silence()}")
        taken = bytes(self._unread[:size])
        del self._unread[:size]
        return taken

    def _silence(self):
        if self._fell:
            return ("the board has fallen and started anew meanwhile; it said "
                    f"{self._fell.decode(errors='replace')!r}. Repeat the command; if it happens "
                    "again, try a shorter cable, another USB port or another power supply, and "
                    "then `filament flash`")
        return (f"the board did not answer within {self._timeout_s:g} s; reset it and repeat the "
                "command")

    def write(self, data):
        self._do(lambda: self._port.write(data))

    def settle(self):
        """Wait until the other end is quiet, and forget all but the last byte."""
        while True:
            quiet_at = time.monotonic() + _QUIET_S
            while not (heard := self._hear()) and time.monotonic() < quiet_at:
                pass
            if not heard:
                break
        del self._unread[:-1]

    def close(self):
        try:
            self._port.rts = self._port.dtr = False     # in this order no ESP32 is reset
        except OSError:             # a pseudo-terminal has no such lines
            pass
        try:
            self._port.close()
        except OSError:
            pass

    def _hear(self):
        data = self._do(lambda: self._port.read(max(1, self._port.in_waiting)))
        self.heard += len(data)
        self._unread += data
        if not self._fell and (found := _FELL.search(self._last[-_FELL_MAX:] + data)):
            self._fell = found[0][:_FELL_MAX]
        self._last += data
        del self._last[:-TAIL]
        if self.heard > self._limit:
            raise LinkError(f"{self._target}: the board prints without end; reset it and repeat "
                            "the command")
        return len(data)

    def _do(self, act):
        try:
            return act()
        except serial.SerialTimeoutException as error:
            raise Silent(f"{self._target}: the board takes nothing; reset it and repeat the "
                         "command") from error
        except (OSError, TypeError) as error:   # TypeError: pyserial, of a port closed meanwhile
            mend = "plug the board in again" if self.serial else "wait until the board is there"
            lost = Lost(f"{self._target}: the connection has broken; {mend} and repeat the "
                        "command, which goes on where it ended")
            lost.said = self.tail() if self.heard else ""
            raise lost from error


def is_url(target):
    """Whether this is a pyserial URL, of a stream over a network, and no port of this machine."""
    return "://" in target


def open_port(target, baudrate):
    """A pyserial port that is open, ours alone. Raises LinkError."""
    try:
        port = serial.serial_for_url(target, baudrate=baudrate, timeout=_LOOK_S, exclusive=True,
                                     write_timeout=_WRITE_S, do_not_open=True)
        if is_url(target):      # what a stream said at once is for us; pyserial would drop it
            port.reset_input_buffer = lambda: None
        port.open()
        return port
    except (ValueError, OSError) as error:
        raise LinkError(f"{target}: {_why_not(target, error)}") from error


def _why_not(target, error):
    number = getattr(error, "errno", None)
    if isinstance(error, ValueError) and is_url(target):
        return "this is no address; socket://127.0.0.1:8266 is one"
    if is_url(target):
        return (f"nobody answers there; is `filament repl` or another server of a board running? "
                f"({error})")
    if number == errno.ENOENT:
        found = ", ".join(sorted(port.device for port in list_ports.comports()))
        return ("there is no such port; " + (f"there are {found}" if found else
                "none is there at all: plug the board in, with a cable that carries data"))
    if number in (errno.EACCES, errno.EPERM):
        return ("you may not use this port; on Debian: `sudo usermod -aG dialout $USER`, then log "
                "in anew")
    if number in (errno.EBUSY, errno.EAGAIN):
        return ("another program uses this port; close it (a serial monitor, Thonny, another "
                "filament) and repeat this")
    return f"this is no serial port that can be used; `filament boards` lists the ports ({error})"


def check_port(target):
    """Raises LinkError, with what to do, where a port cannot be opened just now."""
    open_port(target, BAUD).close()
