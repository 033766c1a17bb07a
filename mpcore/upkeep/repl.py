"""MicroPython's REPL on a stream: the raw one for programs such as mpremote, and one for people.

Code runs inside the program of the board, in a namespace of the session's own, and everything else
waits meanwhile. What it prints leaves when it is done, or while it runs if that is much (see
capture.py): only then the node is driven and Ctrl-C is heard. What other tasks print follows to a
friendly session, and is kept for a raw one until it asks (Session.log), lest it be taken for an
answer.

A board's stack is short, and code is to have most of it: so few calls are between asyncio's loop
and the code.

The soft reset that programs ask for is answered in its words, but only the namespace is emptied:
a real one would end the connection, and the program that keeps it. machine.reset() takes place
after its answer has left.
"""

import io
import sys

from micropython import const

from mpcore import limits
from mpcore.upkeep.capture import Capture
from mpcore.upkeep.lines import Line, wants_more

_CHUNK = const(256)
_A, _B, _C, _D, _E = b"\x01", b"\x02", b"\x03", b"\x04", b"\x05"
_RAW = b"raw REPL; CTRL-B to exit\r\n>"
_SOFT_RESET = b"MPY: soft reboot\r\n"
_PASTE = b"\r\npaste mode; Ctrl-C to cancel, Ctrl-D to finish\r\n=== "
_RAW_PASTE = b"R\x01\xff\x7f"    # with a window that all code fits into: TCP has its own
_OK = b"OK"
_PROMPT, _MORE = b">>> ", b"... "
_TOO_LONG = b"MemoryError: more than %d bytes of code\r\n" % limits.REPL_CODE


class Reset(BaseException):
    """The code asks for a reset of the board."""


class Session:
    """One connection. tcp: that of the aio.Stream. done(session, resets): called at its end;
    resets: the code wants a reset of the board."""

    def __init__(self, stream, tcp, runtime, done):
        self.tcp = tcp
        self._stream = stream
        self._done = done
        self._capture = Capture(stream, tcp, runtime)
        self._line = Line()
        self._block = ()        # lines of a statement that is not complete
        self._feed = self._friendly
        self._code = bytearray()
        self._begun = _OK       # what tells that code has been taken; another byte in a raw paste
        self._too_long = False
        self._job = None        # (code, how) that is to run now
        self._after = _PROMPT
        self._forget()

    def log(self):
        """What other tasks have printed since the last call, at most limits.REPL_LOG bytes."""
        return self._capture.take()

    async def run(self):
        """Serve until the peer leaves, the connection fails or the code wants a reset."""
        resets = False
        try:
            self._capture.open()
            await self._stream.awrite(_banner() + _PROMPT)
            while True:
                data = await self._stream.read(_CHUNK)
                if not data:
                    break
                at = 0
                while at < len(data):
                    if self._feed == self._raw:
                        at = self._take_code(data, at)
                    answer = self._feed(data[at:at + 1])
                    at += 1
                    if answer:
                        await self._stream.awrite(answer)
                    if self._job is None:
                        continue
                    await self._stream.drain()
                    error, resets = self._execute()
                    for part in self._capture.printed():
                        await self._stream.awrite(part)
                    await self._stream.awrite(self._after_it(error))
                    if resets:
                        return
        except OSError:
            pass                # the peer is gone
        finally:
            self._capture.close()
            self._stream.close()
            self._done(self, resets)

    def _forget(self):
        self._names = {"__name__": "__main__", "print": self._capture.print, "session": self}

    # Each of these takes one byte and returns what is to be sent, or None.

    # --- raw --------------------------------------------------------------------------------

    def _take_code(self, data, at):
        """Take what is code, at once; returns where something else follows."""
        end = len(data)
        for control in _A, _B, _C, _D:
            found = data.find(control, at, end)
            if found >= 0:
                end = found
        room = limits.REPL_CODE - len(self._code)
        self._code.extend(data[at:min(end, at + room)])
        if end - at > room:
            self._too_long = True
        return end

    def _raw(self, byte):
        code = self._code
        if byte == _D:
            return self._raw_entered()
        if byte == _A and bytes(code) == b"\x05A":
            code[:] = b""
            self._begun = _D
            return _RAW_PASTE
        if byte in (_A, _B, _C):
            code[:] = b""
            self._too_long = False
            self._begun = _OK
            if byte == _A:
                return _RAW
            return self._begin_friendly() if byte == _B else None
        return None             # the end of what came

    def _begin_raw(self):
        self._feed = self._raw
        self._after = None
        self._capture.follow(False)
        return b"\r\n" + _RAW

    def _raw_entered(self):
        begun, self._begun = self._begun, _OK
        if not self._code and begun == _OK:
            self._forget()
            return b"OK\r\n" + _SOFT_RESET + _RAW
        code, self._code = self._code, bytearray()
        if self._too_long:
            self._too_long = False
            return begun + b"\x04" + _TOO_LONG + b"\x04>"
        self._job = code, "exec"
        return begun

    # --- friendly ---------------------------------------------------------------------------

    def _friendly(self, byte):
        line = self._line
        if byte == _A:
            return self._begin_raw()
        if byte == _E:
            self._feed = self._paste
            return _PASTE
        if byte == _B or byte == _C or (byte == _D and not line.text and not self._block):
            self._block = ()
            line.clear()
            if byte == _D:
                self._forget()
                return b"\r\n" + _SOFT_RESET + _banner() + _PROMPT
            return b"\r\n" + (_banner() if byte == _B else b"") + _PROMPT
        if byte != b"\r" and byte != b"\n":
            return line.type(byte)
        if byte == b"\n" and line.ended:        # of "\r\n"
            line.ended = False
            return None
        return self._entered(line.end(byte))

    def _begin_friendly(self):
        self._feed = self._friendly
        self._after = _PROMPT
        self._capture.follow(True)
        self._block = ()
        self._line.clear()
        return b"\r\n" + _banner() + _PROMPT

    def _entered(self, text):
        block = self._block + (text,)
        self._block = ()
        if wants_more(block):
            if sum([len(each) for each in block]) > limits.REPL_CODE:
                return b"\r\n" + _TOO_LONG + _PROMPT
            self._block = block
            return b"\r\n" + _MORE
        self._job = b"\n".join(block), "single"
        return b"\r\n"

    def _paste(self, byte):
        if byte == _D or byte == _C:
            self._feed = self._friendly
            code, self._code = self._code, bytearray()
            if byte == _C:
                return b"\r\n" + _PROMPT
            self._job = code, "exec"
            return b"\r\n"
        if len(self._code) < limits.REPL_CODE:
            self._code.extend(b"\n" if byte == b"\r" else byte)
        return b"\r\n=== " if byte == b"\r" else byte

    # --- running ----------------------------------------------------------------------------

    def _execute(self):
        """Run the code that waits; returns (traceback, b"" without one; whether it wants a
        reset)."""
        (code, how), self._job = self._job, None
        before = sys.modules.get("machine")
        sys.modules["machine"] = _Machine(before or _machine())
        self._capture.begin()
        try:
            code = bytes(code).decode()
            if how == "single":
                try:
                    code, how = compile(code, "<stdin>", "eval"), "eval"
                except SyntaxError:
                    pass
            if how != "eval":
                exec(code, self._names)
            else:
                value = eval(code, self._names)
                if value is not None:
                    self._names["_"] = value
                    self._capture.print(repr(value))
        except Reset:
            return b"", True
        except SystemExit:
            pass
        except BaseException as error:
            return _traceback(error), False
        finally:
            self._capture.end()
            if before is None:
                del sys.modules["machine"]
            else:
                sys.modules["machine"] = before
        return b"", False

    def _after_it(self, error):
        """What follows what the code has printed."""
        return b"\x04" + error + b"\x04>" if self._after is None else error + self._after


class _Machine:
    """The module `machine`, whose resets come after the answer."""

    def __init__(self, module):
        self._module = module

    def __getattr__(self, name):
        return getattr(self._module, name)

    def reset(self):
        raise Reset

    soft_reset = reset


def _machine():
    try:
        import machine
    except ImportError:
        return None
    return machine


def _traceback(error):
    if hasattr(sys, "print_exception"):
        file = io.StringIO()
        sys.print_exception(error, file)
        text = file.getvalue()
    else:
        import traceback

        text = "".join(traceback.format_exception(error))
    return text.replace("\n", "\r\n").encode()[-limits.REPL_CODE:]


def _banner():
    return b"Filament on %s; Ctrl-] or the end of the stream leaves it to others\r\n" % (
        sys.implementation.name.encode())
