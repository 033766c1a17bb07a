"""DNS messages (RFC 1035 4): read, and written with compressed names.

A name is kept as it is on the wire without compression: b"\\x04bulb\\x05local\\0". A label is
shorter than "A" is as a byte, so `.lower()` of a name is the form in which names are compared.
A record's data is kept in the same way, whatever names are in it.
"""

from collections import namedtuple
import struct

from micropython import const

PORT = const(53)                # of servers, UDP and TCP

# Types of records
A = const(1)
NS = const(2)
CNAME = const(5)
SOA = const(6)
PTR = const(12)
TXT = const(16)
AAAA = const(28)
SRV = const(33)
NSEC = const(47)
ANY = const(255)

MAX_NAME = const(255)           # bytes
ROOT = b"\0"                    # the empty name, in which all others are
IN = const(1)                   # the class
FLUSH = const(0x8000)           # with the class, RFC 6762: this record replaces others

# Flags of a message
RESPONSE = const(0x8000)
AUTHORITATIVE = const(0x0400)
TRUNCATED = const(0x0200)
WANT_RECURSION = const(0x0100)
RCODE = const(0x000F)

# Sections of a message
QUESTION = const(0)
ANSWER = const(1)
AUTHORITY = const(2)
ADDITIONAL = const(3)

_HEADER = const(12)
_MAX_LABEL = const(63)
_POINTER = const(0xC0)
_REACH = const(0x4000)          # of a pointer

# Data with names in it: type -> (bytes before the names, names)
_LAYOUTS = {NS: (0, 1), CNAME: (0, 1), PTR: (0, 1), SOA: (0, 2), SRV: (6, 1), NSEC: (0, 1)}
_SIZES = {A: 4, AAAA: 16}
_SOA_NUMBERS = const(20)

# ttl is in seconds. A question is a record whose ttl is 0 and whose data is b"".
Record = namedtuple("Record", ("section", "name", "kind", "cls", "ttl", "data"))


class Message:
    """A message that came: `id`, `flags`, and, iterated over, its records in their order.

    data: bytes. No more than one record is in memory at a time. Raises ValueError when there is
    no header, and while it is iterated over when a record is malformed.
    """

    def __init__(self, data):
        if len(data) < _HEADER:
            raise ValueError("DNS message cut short")
        self.data = data
        self.id, self.flags = struct.unpack_from(">HH", data, 0)

    @property
    def rcode(self):
        return self.flags & RCODE

    def __iter__(self):
        data = self.data
        at = _HEADER
        for section in range(4):
            for _ in range(_word(data, 4 + 2 * section)):
                name, at = read_name(data, at, len(data))
                kind, cls = _word(data, at), _word(data, at + 2)
                at += 4
                if section == QUESTION:
                    yield Record(section, name, kind, cls, 0, b"")
                    continue
                ttl = _word(data, at) << 16 | _word(data, at + 2)
                end = at + 6 + _word(data, at + 4)
                if end > len(data):
                    raise ValueError("DNS record cut short")
                yield Record(section, name, kind, cls, ttl, _read_data(data, kind, at + 6, end))
                at = end


def read_name(data, at, end):
    """(the name at data[at:end], where it ends). Its pointers may lead anywhere before them.

    Raises ValueError when it is cut short, too long, or goes round in a circle.
    """
    name = bytearray()
    after = 0
    limit = at          # a pointer leads to before where the labels it ends began
    while True:
        if at >= end:
            raise ValueError("DNS name cut short")
        length = data[at]
        if length >= _POINTER:
            if at + 2 > end:
                raise ValueError("DNS name cut short")
            after = after or at + 2
            at = (length & 0x3F) << 8 | data[at + 1]
            if at >= limit:
                raise ValueError("DNS name points forward")
            limit, end = at, len(data)
            continue
        if length > _MAX_LABEL:
            raise ValueError("DNS label of an unknown kind")
        if at + 1 + length > end:
            raise ValueError("DNS name cut short")
        name.extend(data[at:at + 1 + length])
        if len(name) > MAX_NAME:
            raise ValueError("DNS name too long")
        at += 1 + length
        if not length:
            return bytes(name), after or at


def build(identifier, flags, *sections):
    """A message of up to four sections, each a list of Records (or tuples like them)."""
    out = bytearray(struct.pack(">HH8x", identifier, flags))
    offsets = {}
    for section, records in enumerate(sections):
        struct.pack_into(">H", out, 4 + 2 * section, len(records))
        for _, name, kind, cls, ttl, data in records:
            _write_name(out, name, offsets)
            out.extend(struct.pack(">HH", kind, cls))
            if section == QUESTION:
                continue
            out.extend(struct.pack(">IH", ttl, 0))
            start = len(out)
            # Only of these types may names be compressed (RFC 3597 4).
            if kind in (CNAME, NS, PTR):
                _write_name(out, data, offsets)
            else:
                out.extend(data)
            struct.pack_into(">H", out, start - 2, len(out) - start)
    return bytes(out)


def question(name, kind, cls=IN):
    """A Record that asks."""
    return Record(QUESTION, name, kind, cls, 0, b"")


def label(text):
    """One label of a name from text. Raises ValueError when it is empty or above 63 bytes."""
    text = text.encode()
    if not 0 < len(text) <= _MAX_LABEL:
        raise ValueError("a label of a name has 1 to 63 bytes")
    return bytes((len(text),)) + text


def name_from(text):
    """The name that is written as text, with or without a dot at its end. Raises ValueError."""
    if text[-1:] == ".":
        text = text[:-1]
    name = b"".join([label(part) for part in text.split(".")]) + b"\0" if text else b"\0"
    if len(name) > MAX_NAME:
        raise ValueError("a name has at most 255 bytes")
    return name


def is_within(name, domain):
    """Is a name the domain's or that of something in it?"""
    name, domain = name.lower(), domain.lower()
    at = 0
    while len(name) - at > len(domain):
        at += 1 + name[at]
    return name[at:] == domain


def _read_data(data, kind, at, end):
    """The data of a record, with whole names."""
    size = _SIZES.get(kind, end - at)
    if size != end - at:
        raise ValueError("DNS address of a wrong length")
    if kind == TXT:
        _check_strings(data, at, end)
    if kind not in _LAYOUTS:
        return bytes(data[at:end])
    before, names = _LAYOUTS[kind]
    parts = [data[at:at + before]]
    at += before
    for _ in range(names):
        name, at = read_name(data, at, end)
        parts.append(name)
    if kind != NSEC and end - at != (_SOA_NUMBERS if kind == SOA else 0):
        raise ValueError("DNS data of a wrong length")
    parts.append(data[at:end])
    return b"".join(parts)


def _check_strings(data, at, end):
    if at == end:
        raise ValueError("DNS text without a string")
    while at < end:
        at += 1 + data[at]
    if at != end:
        raise ValueError("DNS text cut short")


def _write_name(out, name, offsets):
    """Append a name, of which what was written before is only pointed to."""
    at = 0
    while name[at]:
        rest = name[at:]
        known = offsets.get(rest)
        if known is not None:
            out.extend(struct.pack(">H", _POINTER << 8 | known))
            return
        if len(out) < _REACH:
            offsets[rest] = len(out)
        out.extend(name[at:at + 1 + name[at]])
        at += 1 + name[at]
    out.append(0)


def _word(data, at):
    if at + 2 > len(data):
        raise ValueError("DNS message cut short")
    return data[at] << 8 | data[at + 1]
