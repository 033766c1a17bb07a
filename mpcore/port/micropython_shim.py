"""Stands in for MicroPython's `micropython` module on CPython.

`viper` runs a function as it is, with viper's pointers emulated: every access is checked against
the bounds of its buffer and for alignment, so that the kernels which MicroPython compiles without
any check can be tested here. `machine_words(32)` or `(64)` also makes arithmetic on what a kernel
loads or is given wrap like that machine's words. The pointer types are put among the built-in
names, since viper has them there.
"""

import builtins
import inspect

_ADDRESS_BITS = 24          # of one buffer; the bits above number the buffers of a call

_memories = []              # buffers of the viper calls under way
_depth = 0
_word = int


def const(value):
    return value


def native(function):
    return function


class _Pointer:
    __slots__ = ("memory", "number", "offset")
    width = 1

    def __init__(self, target):
        if isinstance(target, _Pointer):
            self.number, self.offset = target.number, target.offset
        elif isinstance(target, int):
            self.number = int(target >> _ADDRESS_BITS) - 1
            self.offset = int(target & (1 << _ADDRESS_BITS) - 1)
        else:
            _memories.append(memoryview(target).cast("B"))
            self.number, self.offset = len(_memories) - 1, 0
        self.memory = _memories[self.number]

    def __int__(self):
        return (self.number + 1 << _ADDRESS_BITS) + self.offset

    def _at(self, index):
        at = self.offset + index * self.width
        if not 0 <= at <= len(self.memory) - self.width:
            raise IndexError(f"viper access to byte {at} of {len(self.memory)}")
        if at % self.width:
            raise IndexError(f"viper access to byte {at} is not {self.width}-aligned")
        return at

    def __getitem__(self, index):
        at = self._at(index)
        return _word(int.from_bytes(self.memory[at:at + self.width], "little"))

    def __setitem__(self, index, value):
        at = self._at(index)
        value = int(value) & (1 << 8 * self.width) - 1
        self.memory[at:at + self.width] = value.to_bytes(self.width, "little")


class ptr8(_Pointer):
    __slots__ = ()


class ptr16(_Pointer):
    __slots__ = ()
    width = 2


class ptr32(_Pointer):
    __slots__ = ()
    width = 4


def viper(function):
    kinds = [p.annotation for p in inspect.signature(function).parameters.values()]

    def emulated(*arguments):
        global _depth
        _depth += 1
        try:
            return function(*[_argument(k, a) for k, a in zip(kinds, arguments, strict=True)])
        finally:
            _depth -= 1
            if not _depth:
                _memories.clear()

    emulated.__name__ = function.__name__
    return emulated


def _argument(kind, value):
    if kind is int:
        return _word(value)
    return kind(value) if issubclass(kind, _Pointer) else value


def machine_words(bits):
    """From now on emulate words of 32 or 64 bits that wrap; None: unbounded integers (faster)."""
    global _word
    _word = _wrapping(bits) if bits else int


def _wrapping(bits):
    half, mask = 1 << bits - 1, (1 << bits) - 1

    class Word(int):
        __slots__ = ()

        def __new__(cls, value):
            return int.__new__(cls, (value + half & mask) - half)

    def wrapped(name):
        operation = getattr(int, name)

        def method(self, *other):
            if "shift" in name and not 0 <= other[0] < bits:
                raise ValueError("viper shift by the word size or more")
            return Word(operation(self, *other))

        return method

    for name in ("add", "sub", "mul", "and", "or", "xor", "lshift", "rshift"):
        for prefix in ("__", "__r"):
            if not (prefix == "__r" and "shift" in name):
                setattr(Word, prefix + name + "__", wrapped(prefix + name + "__"))
    Word.__neg__ = wrapped("__neg__")
    Word.__invert__ = wrapped("__invert__")
    return Word


for _type in (ptr8, ptr16, ptr32):
    setattr(builtins, _type.__name__, _type)
