"""Stands in for MicroPython's `micropython` module on CPython."""


def const(value):
    return value


def native(function):
    return function


viper = native
