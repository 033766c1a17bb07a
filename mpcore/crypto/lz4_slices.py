"""LZ4 blocks by slices (spec/packet.md 6): for CPython, where a slice is faster than a kernel, and
for boards without room for that, which only decompress: the table of lz4_compress is large."""

_MIN_MATCH = 4
_LAST_LITERALS = 5
_MATCH_LIMIT = 12       # the last match begins at least so far from the end of the input


def _extended(src, at, end, length):
    """Read the continuation bytes of a length; (length, next offset)."""
    while True:
        if at >= end:
            raise ValueError("LZ4: truncated length")
        more = src[at]
        at += 1
        length += more
        if more != 255:
            return length, at


def lz4_decompress(src, off, n, dst, dst_off, room):
    src = memoryview(src)
    dst = memoryview(dst)
    end, out, limit = off + n, dst_off, dst_off + room
    while off < end:
        token = src[off]
        off += 1
        length = token >> 4
        if length == 15:
            length, off = _extended(src, off, end, length)
        if length > end - off or length > limit - out:
            raise ValueError("LZ4: literals overrun")
        dst[out:out + length] = src[off:off + length]
        off += length
        out += length
        if off == end:
            break
        if end - off < 2:
            raise ValueError("LZ4: truncated offset")
        distance = src[off] | src[off + 1] << 8
        off += 2
        length = token & 15
        if length == 15:
            length, off = _extended(src, off, end, length)
        length += _MIN_MATCH
        if not 0 < distance <= out - dst_off or length > limit - out:
            raise ValueError("LZ4: match overruns")
        while length:
            # An overlapping match repeats itself; each pass can copy all that is there already.
            step = min(length, distance)
            dst[out:out + step] = dst[out - distance:out - distance + step]
            out += step
            length -= step
            distance += step
    if n and out == dst_off:
        raise ValueError("LZ4: nothing in the block")
    return out - dst_off


def _length(out, value):
    while value >= 255:
        out.append(255)
        value -= 255
    out.append(value)


def _sequence(out, literals, match, distance):
    """Append literals and, unless match is 0, a match of that length."""
    count = len(literals)
    out.append(min(count, 15) << 4 | (min(match - _MIN_MATCH, 15) if match else 0))
    if count >= 15:
        _length(out, count - 15)
    out += literals
    if match:
        out += distance.to_bytes(2, "little")
        if match - _MIN_MATCH >= 15:
            _length(out, match - _MIN_MATCH - 15)


def lz4_compress(src, off, n, dst, dst_off, room):
    data = bytes(memoryview(src)[off:off + n])
    out = bytearray()
    seen = {}
    anchor = at = 0
    while at < n - _MATCH_LIMIT:
        four = data[at:at + _MIN_MATCH]
        candidate = seen.get(four, -65536)
        seen[four] = at
        distance = at - candidate
        if distance > 65535:
            at += 1
            continue
        match = _MIN_MATCH
        while at + match < n - _LAST_LITERALS and data[candidate + match] == data[at + match]:
            match += 1
        _sequence(out, data[anchor:at], match, distance)
        at += match
        anchor = at
    _sequence(out, data[anchor:], 0, 0)
    if len(out) > room:
        return 0
    dst[dst_off:dst_off + len(out)] = out
    return len(out)
