"""The flat text map that configs and request metadata travel in (spec/vl2-config.md 4).

Keys and values are bytes: values hold any byte, and neither is UTF-8.
"""

from mpcore import limits

_ESCAPES = ((b"\\", b"\\\\"), (b"\0", b"\\0"), (b"\n", b"\\n"), (b"\r", b"\\r"), (b"=", b"\\e"))
_MEANINGS = {48: b"\0", 110: b"\n", 114: b"\r", 101: b"="}
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
    parts = value.split(b"\\")
    out = [parts[0]]
    literal = False  # the part follows an escaped backslash
    for part in parts[1:]:
        if literal:
            literal = False
        elif part:
            out.append(_MEANINGS.get(part[0], part[:1]))
            part = part[1:]
        else:
            literal = True
            part = b"\\"
        out.append(part)
    if literal:  # the backslash was the last byte, and escaped nothing
        out.pop()
    return b"".join(out)
