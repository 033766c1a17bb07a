"""What every portable test may use, on CPython and on MicroPython alike."""

import json

ROOT = __file__.rsplit("/", 3)[0]


def vectors(name):
    """The parsed content of one file of tests/vectors, such as "primitives.json"."""
    with open(ROOT + "/tests/vectors/" + name) as file:
        return json.load(file)


def raises(exception, function, *args):
    """Call function(*args), which must raise `exception`; returns what was raised."""
    try:
        result = function(*args)
    except exception as error:
        return error
    raise AssertionError("%s expected, got %r" % (exception.__name__, result))
