"""The flat text map that configs and request metadata travel in (spec/vl2-config.md 4).

Keys and values are bytes: values hold any byte, and neither is UTF-8.
"""

from binascii import unhexlify

from micropython import const

from mpcore import limits

_ESCAPES = ((b"\\", b"\\\\"), (b"\0", b"\\0"), (b"\n", b"\\n"), (b"\r", b"\\r"), (b"=", b"\\e"))
_DIGITS = const(16)             # of the numbers that controllers write
_MAX = 0xFFFFFFFFFFFFFFFF


def encode(pairs):
    """The text of a list of (key, value), in the given order."""
    return b"\n".join([key + b"=" + _escape(value) for key, value in pairs])


def decode(text):
    """The map of a text. What is not an entry is skipped, as the field does it.

    Text after a NUL is not read; of a key given twice the first one counts. Raises ValueError for
    more than limits.DICTIONARY_ENTRIES.
    """
    text = bytes(text)
    stop = text.find(b"\0")
    if stop < 0:
        stop = len(text)
    if b"\r" in text:
        text = text.replace(b"\r", b"\n")
    entries = {}
    at = 0
    while at < stop:
        end = text.find(b"\n", at, stop)
        if end < 0:
            end = stop
        equals = text.find(b"=", at, end)
        if equals >= 0:
            key = text[at:equals]
            if key not in entries:
                if len(entries) == limits.DICTIONARY_ENTRIES:
                    raise ValueError("dictionary of too many entries")
                entries[key] = _unescape(text[equals + 1:end])
        at = end + 1
    return entries


def number(value):
    """Value bytes of an unsigned integer: 16 hex digits."""
    return b"%016x" % value


def integer(value, default=0):
    """The integer of a value, read up to the first byte that is no hex digit; None gives default.

    What does not fit into 64 bits counts as the largest number that does; a negative number wraps.
    """
    if value is None:
        return default
    if len(value) == _DIGITS:
        try:
            return int.from_bytes(unhexlify(value), "big")
        except ValueError:
            pass                # whatever it is, it is read as what is shorter or longer
    result = 0
    text = value.strip().lower()
    negative = text[:1] == b"-"
    if negative:
        text = text[1:]
    for c in text[2:] if text[:2] == b"0x" else text:
        if 48 <= c <= 57:
            c -= 48
        elif 97 <= c <= 102:
            c -= 87
        else:
            break
        result = result << 4 | c
        if result > _MAX:
            return _MAX
    return -result & _MAX if negative else result


def boolean(value):
    """The truth of a value; None is false."""
    return bool(value) and value[0] in b"1tT"


def _escape(value):
    for byte, escape in _ESCAPES:
        if byte in value:
            value = value.replace(byte, escape)
    return value


def _unescape(value):
    if b"\\" not in value:
        return value
    # Escaped backslashes apart, each that is left begins another escape, or ends the value and
    # means nothing; so does one before a character without a meaning.
    parts = value.split(b"\\\\")
    for meaning, escape in _ESCAPES[1:]:
        parts = [part.replace(escape, meaning) for part in parts]
    return b"\\".join([part.replace(b"\\", b"") for part in parts])
