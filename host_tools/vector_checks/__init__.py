"""Checks of the product against files of test vectors, in the portable subset: the same source
runs on CPython and on MicroPython.

Each kind of file has a module with `checks(data)`, which yields one (label, function, *arguments)
for each check. A check passes when its function returns; what it does is done by `mpcore`, and
only the comparison is made here. Entries that are marked as optional are tried, but may come out
either way: nothing but ValueError may be raised.
"""

import gc
import json

FORMAT = "zt-vectors/1"
KINDS = ("identity", "primitives", "packets", "hello", "world", "netconf", "addressing", "rules",
         "sessions")

_SHOWN = 60           # characters of a value in a message
_MAX_FAILURES = 20    # described for one file; all are counted


class Mismatch(Exception):
    """The product and the vector differ."""


def same(found, expected, what):
    """Raise Mismatch, saying what was compared, unless both are equal."""
    if found != expected:
        raise Mismatch(f"{what} is {_short(found)}, not {_short(expected)}")


def refused(what, function, *arguments):
    """Raise Mismatch unless function(*arguments) raises ValueError."""
    if attempt(function, *arguments) is not None:
        raise Mismatch(what + " is accepted")


def attempt(function, *arguments):
    """What the function returns, or None when it raises ValueError."""
    try:
        return function(*arguments)
    except ValueError:
        return None


def each(data, section):
    """(label, entry) for the entries of one section of a file."""
    for number, entry in enumerate(data[section]):
        name = entry.get("name") or entry.get("note") or entry.get("change") or ""
        yield f"{section}[{number}] {name}", entry


def unhex(text):
    return bytes.fromhex(text)


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def is_optional(entry):
    return bool(entry.get("optional") or entry.get("lenient_quirk"))


def check_file(path):
    """Check one file: {"passed": n, "failed": n, "failures": [text, ...]}.

    A file that cannot be read, is of no known kind or has nothing to check has failed.
    """
    result = {"passed": 0, "failed": 0, "failures": []}
    try:
        with open(path) as file:
            data = json.load(file)
        module = _module(data)
    except (OSError, ValueError, MemoryError) as error:
        _failed(result, _named(error))
        return result
    gc.collect()
    try:
        for check in module.checks(data):
            error = _error_of(check)
            if error is None:
                result["passed"] += 1
            else:
                _failed(result, check[0] + ": " + error)
    except Exception as error:
        _failed(result, "not in the documented form: " + _named(error))
    if not result["passed"] + result["failed"]:
        _failed(result, "nothing in it to check")
    return result


def _failed(result, text):
    result["failed"] += 1
    if len(result["failures"]) < _MAX_FAILURES:
        result["failures"].append(text)


def _module(data):
    meta = data.get("meta") if isinstance(data, dict) else None
    if not isinstance(meta, dict) or "format" not in meta or "file" not in meta:
        raise ValueError("not a file of test vectors")
    if meta["format"] != FORMAT:
        raise ValueError(f"unknown format {meta['format']}")
    kind = str(meta["file"]).split("/")[0]
    if kind == "session":
        kind = "sessions"
    if kind not in KINDS:
        raise ValueError(f"unknown kind of vectors: {meta['file']}")
    name = "host_tools.vector_checks." + kind
    return __import__(name, None, None, (kind,))


def _error_of(check):
    try:
        check[1](*check[2:])
        return None
    except Exception as error:
        return _named(error)


def _named(error):
    """What went wrong; our own messages need no name in front."""
    if type(error) in (Mismatch, ValueError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _short(value):
    text = value.hex() if isinstance(value, (bytes, bytearray)) else str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
