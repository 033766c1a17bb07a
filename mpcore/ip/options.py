"""Options of a TCP segment: read from one, written into one (RFC 9293 3.2, 7323, 2018).

What cannot be read is not there: nothing here raises for what a peer sent.
"""

import struct

from micropython import const

MSS = const(2)
SCALE = const(3)
SACK_PERMITTED = const(4)
SACK = const(5)
TIMESTAMPS = const(8)

TIMESTAMPS_SIZE = const(12)     # of a segment's timestamps, with padding
ROOM = const(40)                # that a header has for options

_END = const(0)
_NOP = const(1)
_DEFAULT_MSS = const(536)
_MIN_MSS = const(64)
_MAX_SCALE = const(14)
_SIZES = {MSS: 4, SCALE: 3, SACK_PERMITTED: 2, TIMESTAMPS: 10}


class Offer:
    """What a SYN says of its sender. window: as on the wire; scale: shift of later windows, or
    None; sack: it understands SACK; stamp: its timestamp, or None."""

    def __init__(self, window, mss=_DEFAULT_MSS, scale=None, sack=False, stamp=None):
        self.window = window
        self.mss = mss
        self.scale = scale
        self.sack = sack
        self.stamp = stamp


def read(buf, at, end):
    """The options at buf[at:end]: a dict of kind -> where the value begins. Unknown kinds and
    wrong sizes are left out, and what follows a malformed option is not believed."""
    found = {}
    while at < end:
        kind = buf[at]
        if kind == _END:
            break
        if kind == _NOP:
            at += 1
            continue
        size = buf[at + 1] if at + 1 < end else 0
        if size < 2 or at + size > end:
            break
        if size == _SIZES.get(kind) or (kind == SACK and size & 7 == 2 and size > 2):
            found[kind] = at + 2
        at += size
    return found


def read_offer(buf, at, end, window):
    """The Offer of a SYN whose options are at buf[at:end]."""
    found = read(buf, at, end)
    offer = Offer(window)
    if MSS in found:
        at = found[MSS]
        offer.mss = max(buf[at] << 8 | buf[at + 1], _MIN_MSS)
    if SCALE in found:
        offer.scale = min(buf[found[SCALE]], _MAX_SCALE)
    if TIMESTAMPS in found:
        offer.stamp = read_stamps(buf, found[TIMESTAMPS])[0]
    offer.sack = SACK_PERMITTED in found
    return offer


def read_stamps(buf, at):
    """(TSval, TSecr) of a timestamps option whose value is at buf[at:]."""
    return struct.unpack_from(">II", buf, at)


def read_sacks(buf, at):
    """The (left edge, right edge), 32 bits each, of a SACK option whose value is at buf[at:]."""
    return [struct.unpack_from(">II", buf, block)
            for block in range(at, at + buf[at - 1] - 2, 8)]


def offer(mss, scale, sack, stamps):
    """The options of our SYN: bytes, a multiple of 4. scale, stamps (TSval, TSecr): None to leave
    them out."""
    data = struct.pack(">BBH", MSS, 4, mss)
    if sack:
        data += bytes((SACK_PERMITTED, 2))
    elif stamps:
        data += bytes((_NOP, _NOP))
    if stamps:
        data += struct.pack(">BBII", TIMESTAMPS, 10, stamps[0], stamps[1])
    elif sack:
        data = data[:4] + bytes((_NOP, _NOP)) + data[4:]
    if scale is not None:
        data += bytes((_NOP, SCALE, 3, scale))
    return data


def write_stamps(buf, at, value, echo):
    """Write a timestamps option; returns where it ends, TIMESTAMPS_SIZE further on."""
    struct.pack_into(">BBBBII", buf, at, _NOP, _NOP, TIMESTAMPS, 10, value, echo)
    return at + TIMESTAMPS_SIZE


def sacks_size(ranges):
    """Bytes of a SACK option with these ranges, if there is room for all."""
    return 4 + 8 * min(len(ranges), 4)


def write_sacks(buf, at, room, base, ranges):
    """Write as many of the ranges [start, end) as fit into `room` bytes, the first one first;
    their positions count from `base`. Returns where the option ends."""
    count = min(len(ranges), room - 4 >> 3)
    if count <= 0:
        return at
    struct.pack_into(">BBBB", buf, at, _NOP, _NOP, SACK, 2 + 8 * count)
    at += 4
    for start, end in ranges[:count]:
        struct.pack_into(">II", buf, at, base + start & 0xFFFFFFFF, base + end & 0xFFFFFFFF)
        at += 8
    return at
