"""MicroPython's REPL on a stream: the raw one for programs such as mpremote, and one for people.

Code runs inside the program of the board, in a namespace of the session's own, and everything else
waits meanwhile, but the node: what is printed leaves as it comes, and Ctrl-C is heard whenever the
code prints. What other tasks print follows to a friendly session, and is kept for a raw one until
it asks (Session.log), lest it be taken for an answer.

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
_NO_RAW_PASTE = b"R\x00"
_PROMPT, _MORE = b">>> ", b"... "


class Reset(BaseException):
    """The code asks for a reset of the board."""


class Session:
    """One connection. tcp: that of the aio.Stream."""

    def __init__(self, stream, tcp, runtime):
        self._stream = stream
        self._capture = Capture(stream, tcp, runtime)
        self._line = Line()
        self._block = ()        # lines of a statement that is not complete
        self._feed = self._friendly
        self._code = bytearray()
        self._too_long = False
        self._forget()

    def close(self):
        """Nothing that is printed comes here any more."""
        self._capture.close()

    def log(self):
        """What other tasks have printed since the last call, at most limits.REPL_LOG bytes."""
        return self._capture.take()

    async def run(self):
        """Serve until the peer leaves. Raises OSError when the connection fails, Reset."""
        self._capture.open()
        await self._stream.awrite(_banner() + _PROMPT)
        while True:
            data = await self._stream.read(_CHUNK)
            if not data:
                return
            at = 0
            while at < len(data):
                if self._feed == self._raw:
                    at = self._take_code(data, at)
                answer = self._feed(data[at:at + 1])
                at += 1
                if answer is None:
                    continue
                if not isinstance(answer, bytes):
                    answer = await answer
                if answer:
                    await self._stream.awrite(answer)

    def _forget(self):
        self._names = {"__name__": "__main__", "print": self._capture.print, "session": self}

    # Each of these takes one byte, and returns bytes to send, None, or a coroutine that gives them.

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
            return self._run_raw()
        if byte == _A and bytes(code) == b"\x05A":
            code[:] = b""
            return _NO_RAW_PASTE
        if byte in (_A, _B, _C):
            code[:] = b""
            self._too_long = False
            if byte == _A:
                return _RAW
            return self._begin_friendly() if byte == _B else None
        return None             # the end of what came

    def _begin_raw(self):
        self._feed = self._raw
        self._capture.follow(False)
        return b"\r\n" + _RAW

    async def _run_raw(self):
        if not self._code:
            self._forget()
            return b"OK\r\n" + _SOFT_RESET + _RAW
        await self._stream.awrite(b"OK")
        error = b""
        if self._too_long:
            error = b"MemoryError: more than %d bytes of code\r\n" % limits.REPL_CODE
        code, self._code, self._too_long = self._code, bytearray(), False
        try:
            if not error:
                error = await self._run(code, "exec")
        except Reset:
            try:
                await self._stream.awrite(b"\x04\x04>")
            except OSError:
                pass        # whoever asked for it does not wait for an answer
            raise
        return b"\x04" + error + b"\x04>"

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
        self._capture.follow(True)
        self._block = ()
        self._line.clear()
        return b"\r\n" + _banner() + _PROMPT

    async def _entered(self, text):
        block = self._block + (text,)
        if wants_more(block):
            if sum([len(each) for each in block]) > limits.REPL_CODE:
                self._block = ()
                return b"\r\nMemoryError: too long\r\n" + _PROMPT
            self._block = block
            return b"\r\n" + _MORE
        self._block = ()
        await self._stream.awrite(b"\r\n")
        return await self._run(b"\n".join(block), "single") + _PROMPT

    def _paste(self, byte):
        if byte == _D or byte == _C:
            self._feed = self._friendly
            code, self._code = self._code, bytearray()
            return b"\r\n" + _PROMPT if byte == _C else self._pasted(code)
        if len(self._code) < limits.REPL_CODE:
            self._code.extend(b"\n" if byte == b"\r" else byte)
        return b"\r\n=== " if byte == b"\r" else byte

    async def _pasted(self, code):
        await self._stream.awrite(b"\r\n")
        return await self._run(code, "exec") + _PROMPT

    # --- running ----------------------------------------------------------------------------

    async def _run(self, code, how):
        """Run code; returns the traceback, b"" without one. Raises Reset."""
        await self._stream.drain()
        before = sys.modules.get("machine")
        sys.modules["machine"] = _Machine(before or _machine())
        self._capture.begin()
        try:
            self._execute(bytes(code).decode(), how)
            return b""
        except Reset:
            raise
        except SystemExit:
            return b""
        except BaseException as error:
            return _traceback(error)
        finally:
            self._capture.end()
            if before is None:
                del sys.modules["machine"]
            else:
                sys.modules["machine"] = before

    def _execute(self, text, how):
        if how == "single":
            try:
                code = compile(text, "<stdin>", "eval")
            except SyntaxError:
                pass
            else:
                value = eval(code, self._names)
                if value is not None:
                    self._names["_"] = value
                    self._capture.print(repr(value))
                return
        exec(compile(text, "<stdin>", "exec"), self._names)


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
