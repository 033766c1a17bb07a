"""LZ4 blocks in viper, checked at every step (spec/packet.md 6)."""

import array

import micropython
from micropython import const

_TABLE = const(512)         # hash table of the compressor: 1 KiB while it runs


@micropython.viper
def _decompress(src: ptr8, off: int, n: int, dst: ptr8, dst_off: int, room: int) -> int:
    """Length of the output, or -1."""
    end = off + n
    o = dst_off
    limit = dst_off + room
    while off < end:
        token = src[off]
        off += 1
        length = token >> 4
        if length == 15:
            more = 255
            while more == 255:
                if off >= end:
                    return -1
                more = src[off]
                off += 1
                length += more
        if length > end - off or length > limit - o:
            return -1
        while length:
            dst[o] = src[off]
            o += 1
            off += 1
            length -= 1
        if off == end:
            break
        if end - off < 2:
            return -1
        distance = src[off] | src[off + 1] << 8
        off += 2
        length = token & 15
        if length == 15:
            more = 255
            while more == 255:
                if off >= end:
                    return -1
                more = src[off]
                off += 1
                length += more
        length += 4
        if distance == 0 or distance > o - dst_off or length > limit - o:
            return -1
        while length:
            dst[o] = dst[o - distance]
            o += 1
            length -= 1
    return o - dst_off


def lz4_decompress(src, off, n, dst, dst_off, room):
    """Expand the block src[off:off+n] to dst[dst_off:], at most `room` bytes; the length.

    Raises ValueError when the block is malformed, does not fit, or expands to nothing.
    """
    length = _decompress(src, off, n, dst, dst_off, room)
    if length < 0 or n and not length:
        raise ValueError("LZ4: malformed or too long")
    return length


@micropython.viper
def _compress(src: ptr8, off: int, n: int, dst: ptr8, dst_off: int, room: int,
              table: ptr16) -> int:
    """Length of the output, or 0 when it does not fit.

    table: where each hash of four bytes was last seen, zeroed.
    """
    src = ptr8(int(src) + off)
    o = dst_off
    limit = dst_off + room
    anchor = 0
    at = 0
    match = 4
    while match:
        # Find a match; there is none when the last 12 bytes of the input are reached. The last
        # 5 bytes must be literals.
        match = 0
        distance = 0
        while distance == 0 and at < n - 12:
            h = src[at] | src[at + 1] << 8 | src[at + 2] << 16
            h = (h * 0x9e5 >> 7 ^ h >> 12 ^ src[at + 3] * 0x55) & (_TABLE - 1)
            seen = table[h]
            table[h] = at
            match = 0
            if seen < at:
                while at + match < n - 5 and src[seen + match] == src[at + match]:
                    match += 1
            if match >= 4:
                distance = at - seen
            else:
                match = 0
                at += 1
        literals = at - anchor
        if match == 0:
            literals = n - anchor
        need = 1 + literals + (literals + 240) // 255
        if match:
            need += 2 + (match + 236) // 255
        if need > limit - o:
            return 0
        token = o
        o += 1
        dst[token] = literals << 4
        left = literals - 15
        if left >= 0:
            dst[token] = 0xf0
            while left >= 255:
                dst[o] = 255
                o += 1
                left -= 255
            dst[o] = left
            o += 1
        while literals:
            dst[o] = src[anchor]
            o += 1
            anchor += 1
            literals -= 1
        if match:
            dst[o] = distance
            dst[o + 1] = distance >> 8
            o += 2
            at += match
            anchor = at
            left = match - 19
            if left < 0:
                dst[token] = dst[token] | match - 4
            else:
                dst[token] = dst[token] | 15
                while left >= 255:
                    dst[o] = 255
                    o += 1
                    left -= 255
                dst[o] = left
                o += 1
    return o - dst_off


def lz4_compress(src, off, n, dst, dst_off, room):
    """Compress src[off:off+n], n below 65536, to dst[dst_off:]; the length.

    0 when it does not fit in `room` bytes.
    """
    return _compress(src, off, n, dst, dst_off, room, array.array("H", bytes(2 * _TABLE)))
