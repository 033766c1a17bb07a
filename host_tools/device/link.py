"""A board at the end of a line: code that runs on it, and its files.

    with open_link("/dev/ttyACM0") as link:         # or socket://127.0.0.1:8266
        print(link.run("import os\nprint(os.listdir())"))

The protocol is MicroPython's raw REPL, spoken by mpremote's transport, over whatever pyserial
opens. All that goes wrong is a LinkError, whose text is a sentence with what to do next.

A file is written beside its place, under its name and TEMPORARY, and takes its place only when the
board has the right hash of it: a torn transfer leaves the old one, and a piece that the next
transfer, or `sweep`, removes.
"""

import binascii
import errno
import hashlib
import json
import re
from collections import namedtuple

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from host_tools.device import on_board
from host_tools.device.line import (
    BAUD, MAX_OUTPUT, TAIL, Line, LinkError, Lost, Silent, check_port, is_url, open_port)

__all__ = ["TEMPORARY", "BoardError", "File", "Link", "LinkError", "Lost", "Silent", "check_port",
           "file_of", "listen", "open_link", "parse_listing"]
TEMPORARY = ".tmp"
MAX_FILES = 2048            # that a board may list
_ENTRY_MAX = 512            # bytes of the line about one file
_CHUNK = 1024               # bytes of a file in one command; a board has it three times then
_ATTEMPTS = 3               # to get at the REPL: a board may be starting, as opening the port
_ATTEMPT_S = 3              # resets some
_RUN_S = 20
_HASH_S = 120               # all files of a board
_UNMENDED = "unplug the board, plug it in again and repeat the command"
_NO_MEMORY = "MemoryError"
_ROOM = "import gc\ngc.collect()\nbytearray(20480)"
_FULL = (errno.ENOSPC, errno.EFBIG)

File = namedtuple("File", "size sha256")


def file_of(data):
    """The File of a content."""
    return File(len(data), hashlib.sha256(data).hexdigest())


class BoardError(LinkError):
    """An exception that code raised on the board: its `name`, and `code`, the errno or None."""

    def __init__(self, where, traceback):
        last = traceback.strip().rpartition("\n")[2].strip()
        self.name, _, text = last.partition(": ")
        number = re.match(r"(?:\[Errno )?(\d{1,4})\b", text)
        self.code = int(number[1]) if self.name == "OSError" and number else None
        if self.code in _FULL:
            said = "its file system is full: remove what is not needed there, and repeat this"
        elif self.code == errno.EROFS:
            said = ("its file system is read-only: switch off what the host has mounted of it, "
                    "and repeat this")
        elif self.name == _NO_MEMORY:
            said = "its heap is full: reset the board and repeat this"
        else:
            said = f"an error on the board: {last[:TAIL]}"
        super().__init__(f"{where}: {said}")


def open_link(target, baudrate=BAUD, attempts=_ATTEMPTS, name=None):
    """The Link to the board at a serial port or at a pyserial URL. Raises LinkError.

    The program that runs on the board is interrupted; what it has in memory stays, unless that is
    so much that there is no room to work in: see make_room(). attempts: how often it is asked,
    for some seconds each. name: what people call the target, where that is another.
    """
    link = Link(name or target, Line(open_port(target, baudrate), name or target, serial=not (
        is_url(target))))
    try:
        link.enter(attempts)
        link.make_room()
    except BaseException:
        link.close()
        raise
    return link


def listen(target, baudrate=BAUD):
    """A Link to a board whose program goes on: for lines(). Raises LinkError."""
    return Link(target, Line(open_port(target, baudrate), target, serial=not is_url(target)))


class Link:
    """See open_link."""

    def __init__(self, target, line):
        self.target = target
        self._line = line
        self._transport = _Transport(line, target)
        self._ready = False         # the board is at the raw REPL's prompt
        self._equipped = False      # it has on_board.FILES

    @property
    def serial(self):
        """Whether this is a port of this machine, and not a stream over a network."""
        return self._line.serial

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        """Leave the REPL as people know it, and the port to others."""
        try:
            if self._ready:
                self._line.allow(_ATTEMPT_S)
                self._transport.exit_raw_repl()
        except (LinkError, TransportError):
            pass
        self._ready = False
        self._line.close()

    def enter(self, attempts=_ATTEMPTS):
        """Interrupt what runs, and get at the raw REPL. Raises LinkError."""
        for attempt in range(attempts):
            self._line.allow(_ATTEMPT_S)
            try:
                self._transport.enter_raw_repl(soft_reset=False, timeout_overall=2 * _ATTEMPT_S)
                if attempt:         # it may answer the attempts before as well
                    self._line.settle()
            except Lost:
                raise
            except (LinkError, TransportError):
                continue
            self._ready, self._equipped = True, False
            return
        if not self._line.heard:
            raise Silent(f"{self.target}: nothing answers; is this the board's port, and does it "
                         "run MicroPython? `filament boards` lists the ports, `filament flash` "
                         "puts MicroPython on a board")
        raise LinkError(f"{self.target}: something answers, but not MicroPython's prompt; reset "
                        "the board and repeat this, or put MicroPython on it with `filament "
                        f"flash`; it said {self._line.tail()}")

    def make_room(self):
        """Where a program has left too little heap, reset the board softly: boot.py runs then, but
        not main.py. Over a network a BoardError tells to reset it."""
        try:
            self.run(_ROOM)
        except BoardError as error:
            if error.name != _NO_MEMORY or not self.serial:
                raise
            self._line.allow(_RUN_S)
            self._transport.enter_raw_repl(soft_reset=True, timeout_overall=2 * _RUN_S)
            self._equipped = False

    # --- code ----------------------------------------------------------------------------------

    def run(self, code, timeout_s=_RUN_S, limit=MAX_OUTPUT):
        """Run Python code on the board; returns the text that it printed.

        Raises BoardError for an exception there, Silent when it takes longer than timeout_s, and
        LinkError when it prints more than `limit` bytes or is gone.
        """
        if not self._ready:
            self.enter()
        said = bytearray()
        self._ready = False
        self._line.allow(timeout_s, limit + len(code))
        try:
            _, error = self._transport.exec_raw(code, None, said.extend)
        except TransportError as failure:
            raise LinkError(f"{self.target}: the board's answer makes no sense; "
                            f"{_UNMENDED}") from failure
        self._ready = True
        if error:
            raise BoardError(self.target, error.decode(errors="replace"))
        return said.removesuffix(b"\x04").decode(errors="replace").replace("\r\n", "\n")

    def ask(self, code, timeout_s=_RUN_S):
        """What a line of JSON that the code prints says; it is the last one that it prints."""
        text = self.run(code, timeout_s).strip().rpartition("\n")[2]
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise LinkError(f"{self.target}: the board's answer makes no sense: "
                            f"{text[:TAIL]!r}; {_UNMENDED}") from error

    def _call(self, code, timeout_s=_RUN_S, limit=MAX_OUTPUT):
        """Run code that uses on_board.FILES."""
        if not self._ready:
            self.enter()
        if not self._equipped:
            self.run(on_board.FILES)
            self._equipped = True
        return self.run(code, timeout_s, limit)

    def transport(self, timeout_s, limit=MAX_OUTPUT):
        """mpremote's Transport, to be used for so long, and for answers of so many bytes."""
        if not self._ready:
            self.enter()
        self._line.allow(timeout_s, limit)
        return self._transport

    # --- files ---------------------------------------------------------------------------------

    def read(self, path, limit=MAX_OUTPUT):
        """A file's bytes, at most `limit`; None where there is none."""
        text = self._call(f"if _stat({path!r}):\n _dump({path!r}, {limit})\nelse:\n print(None)",
                          limit=2 * limit + _ENTRY_MAX).strip()
        try:
            return None if text == "None" else bytes.fromhex(text)
        except ValueError as error:
            raise LinkError(f"{self.target}: the board's answer makes no sense; "
                            f"{_UNMENDED}") from error

    def write(self, path, data, tell=lambda count: None):
        """Put a file in its place, its directories made where they are missing.

        tell(count) is called after every `count` bytes. Raises LinkError, and then what was there
        before is there still.
        """
        temporary = path + TEMPORARY
        try:
            self._call(f"_make({path!r})\n_f = open({temporary!r}, 'wb')")
            for at in range(0, len(data), _CHUNK):
                piece = binascii.b2a_base64(data[at:at + _CHUNK], newline=False)
                self._call(f"_f.write(_b({piece!r}))")
                tell(min(_CHUNK, len(data) - at))
            self._call("_f.close()")
            self._place(path, file_of(data))
        except BoardError:
            self._give_up(temporary)
            raise

    def copy(self, source, path, file):
        """Copy a file on the board; `file` is the File that it has to be. Raises LinkError."""
        temporary = path + TEMPORARY
        try:
            self._call(f"_make({path!r})\n_copy({source!r}, {temporary!r})", _HASH_S)
            self._place(path, file)
        except BoardError:
            self._give_up(temporary)
            raise

    def _place(self, path, file):
        if self._call(f"_place({path!r}, {path + TEMPORARY!r}, {file.sha256!r})", _HASH_S).strip():
            raise LinkError(f"{self.target}: {path} arrived damaged, and was not kept; repeat "
                            "this, with another cable if it happens again")

    def _give_up(self, temporary):
        try:
            self._call(f"try:\n _f.close()\nexcept (NameError, OSError):\n pass\n"
                       f"_drop({temporary!r})")
        except LinkError:
            pass

    def walk(self, top="/"):
        """({path: File}, directories) of all below a directory; both empty where there is none."""
        listing = self._call(f"if _stat({top!r}):\n _walk({top!r})", _HASH_S,
                             MAX_FILES * _ENTRY_MAX)
        return parse_listing(listing, self.target)

    def files(self, paths):
        """{path: File} of those of these files that are there."""
        listing = self._call(f"for p in {list(paths)!r}:\n _tell(p)", _HASH_S)
        return parse_listing(listing, self.target)[0]

    def remove(self, *paths):
        """Remove files, and directories with all that is in them; no error for what is gone."""
        self._call(f"for p in {list(paths)!r}:\n _drop(p)", _HASH_S)

    def sweep(self, top):
        """Remove what torn transfers have left below a directory; returns how many those were."""
        stale = [path for path in self.walk(top)[0] if path.endswith(TEMPORARY)]
        if stale:
            self.remove(*stale)
        return len(stale)

    def rename(self, old, new):
        """Rename a file; one that has the new name is replaced."""
        self._call(f"os.rename({old!r}, {new!r})")

    def make_directory(self, path):
        """Make a directory and those above it, where they are missing."""
        self._call(f"_make({path + '/'!r})")

    def free(self, path="/"):
        """(bytes free, bytes in all) of the file system there."""
        said = self.ask(f"import os\ns = os.statvfs({path!r})\nprint([s[1] * s[3], s[1] * s[2]])")
        if not (isinstance(said, list) and len(said) == 2 and all(type(n) is int for n in said)):
            raise LinkError(f"{self.target}: the board's answer makes no sense; {_UNMENDED}")
        return tuple(said)

    # --- starting anew -------------------------------------------------------------------------

    def restart(self):
        """Start the board's program anew: by a soft reset at a serial port, where what it prints
        then comes by lines(); else by a reset of the whole board, which ends this link."""
        if not self._ready:
            self.enter()
        self._ready = False
        self._line.allow(_RUN_S)
        if self.serial:
            self._transport.exit_raw_repl()
            self._line.write(b"\x04")
        else:
            self._transport.exec_raw_no_follow("import machine\nmachine.reset()")

    def lines(self, timeout_s, on_silence=None):
        """The lines of text that the board prints within timeout_s, even if it never pauses; with
        on_silence, which is called when nothing was printed until then, all that it ever prints.
        """
        self._line.allow(timeout_s, float("inf"))
        line, heard = bytearray(), False
        while on_silence is not None or not self._line.over():
            try:
                byte = self._line.read(1)
            except Silent:
                if on_silence is None:
                    return
                if not heard:
                    on_silence()
                self._line.allow(float("inf"), float("inf"))
                continue
            heard = True
            if byte == b"\n" or len(line) >= MAX_OUTPUT:
                yield line.decode(errors="replace").rstrip("\r")
                line = bytearray()
            else:
                line += byte


def parse_listing(text, target="the board"):
    """({path: File}, [directories, the inner ones last]) of lines of JSON, [path, size, hash or
    null for a directory]. Raises LinkError for anything else."""
    files, directories = {}, []
    try:
        for line in text.splitlines():
            path, size, digest = json.loads(line)
            if not isinstance(path, str) or type(size) is not int or size < 0:
                raise ValueError(line)
            if digest is None:
                directories.append(path)
            elif re.fullmatch("[0-9a-f]{64}", digest):
                files[path] = File(size, digest)
            else:
                raise ValueError(line)
    except (ValueError, TypeError, RecursionError) as error:
        raise LinkError(f"{target}: the board's list of files makes no sense; "
                        f"{_UNMENDED}") from error
    if len(files) + len(directories) > MAX_FILES:
        raise LinkError(f"{target}: there are more than {MAX_FILES} files on the board; remove "
                        "what is not needed there")
    return files, directories


class _Transport(SerialTransport):
    """mpremote's raw REPL over a line that is open; its own constructor forgets why a port would
    not open."""

    def __init__(self, line, name):
        self.in_raw_repl = False
        self.use_raw_paste = True
        self.device_name = name
        self.mounted = False
        self.serial = line
        self.is_pty = True          # read at once, without a pause before each look
