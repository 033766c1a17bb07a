"""Runs on a board: prints what firmware.py cannot read out of a firmware's file, as JSON.

POOL, where the last of the pools of names in flash is, is set before it.
"""

import io
import json

import __main__
import machine
import micropython

_RAM = (0x20000000, 0x20042000), (0x3FFAE000, 0x40000000)
_STATE = 1024               # bytes before the dict of __main__ in which the pointer is looked for
_words = machine.mem32


def word(address):
    return _words[address] & 0xffffffff


def leads_to_pool(address):
    """Whether that is POOL, or a pool in memory before which that is, or such a one."""
    for _ in range(64):
        if address == POOL:             # noqa: F821
            return True
        if address & 3 or not any(start <= address < end - 16 for start, end in _RAM) or \
                not 0 < word(address + 12) <= word(address + 8):     # names, places for them
            return False
        address = word(address)
    return False


def last_pools():
    """All addresses that could be the one: a host refuses several."""
    globals_ = word(id(__main__) + 4)
    return [address for address in range(globals_ - _STATE, globals_, 4)
            if leads_to_pool(word(address))]


def function():
    pass


@micropython.native
def native():
    pass


@micropython.viper
def viper():
    pass


def look(cls):
    at = id(cls)
    indexes = [_words[at + 8 + n // 4 * 4] >> n % 4 * 8 & 0xff for n in range(12)]
    slots = [word(at + 20 + 4 * n) for n in range(max(indexes))]
    parents = cls.__bases__
    for index, what in ((11, "locals"), (10, "parent")):
        if indexes[index]:
            slots[indexes[index] - 1] = what
    assert word(at) == id(type) and parents
    return [word(at + 4) & 0xffff, indexes, slots]


class Plain:
    pass


class Getattr:
    def __getattr__(self, name):
        pass


class Setattr:
    def __setattr__(self, name, value):
        pass


class Delattr:
    def __delattr__(self, name):
        pass


class Property:
    @property
    def x(self):
        pass


class Static:
    @staticmethod
    def x():
        pass

    @classmethod
    def y(cls):
        pass


class Got:
    def __get__(self, instance, owner):
        pass


class Descriptor:
    x = Got()


classes = {"plain": look(Plain), "getattr": look(Getattr), "setattr": look(Setattr),
           "delattr": look(Delattr), "property": look(Property), "static": look(Static),
           "descriptor": look(Descriptor)}


class Derived(Plain):
    pass


class OfProperty(Property):
    pass


class Two(Plain, Getattr):
    pass


class Error(Exception):
    pass


class Stream(io.IOBase):
    pass


classes["derived"] = look(Derived)
classes["two"] = look(Two)
classes["builtin"] = look(Error)
classes["protocol"] = look(Stream)
classes["of_property"] = look(OfProperty)
classes["subclassed"] = look(Plain)
print(json.dumps({
    "last_pool": last_pools(), "classes": classes,
    "types": {"fun_bc": id(type(function)), "fun_native": id(type(native)),
              "fun_viper": id(type(viper))}}))
