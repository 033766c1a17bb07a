"""Checksums and the TCP/IPv4 headers by struct formats: for CPython, and for boards without room
for headers_kernel.py, which holds the same functions.

Offsets are absolute in `buf`; the caller has checked that `buf[off:off + n]` exists.
"""

from struct import pack_into, unpack_from

_IPV4 = ">BBHHHBBH4s4s"
_TCP = ">HHIIHHHH"


def add(buf, off, n, total):
    """Internet checksum (RFC 1071): ones' complement sum of n bytes, continuing `total`.

    Returns the folded 16-bit sum, not complemented. n is below 32 KB; a block that is
    continued has an even length.
    """
    # 0x10000 is 1 modulo 0xFFFF, so what the words add up to is what their number leaves there,
    # where only zeros add up to 0.
    number = int.from_bytes(memoryview(buf)[off:off + n], "big")
    if number:
        total += (number % 0xFFFF or 0xFFFF) << 8 * (n & 1)
    return (total - 1) % 0xFFFF + 1 if total else 0


def ipv4_read(buf, off, n, own, out):
    """Check an IPv4 header (RFC 791).

    own: this host's first address, 4 bytes. Returns the header's length, 0 when malformed,
    -1 when the checksum is wrong; fills out: total length, protocol, more-fragments bit and
    fragment offset as on the wire, 1 if the destination is `own` else 0.
    """
    if n < 20:
        return 0
    first = buf[off]
    header = (first & 15) << 2
    total = buf[off + 2] << 8 | buf[off + 3]
    if first >> 4 != 4 or not 20 <= header <= total <= n:
        return 0
    if add(buf, off, header, 0) != 0xFFFF:
        return -1
    out[0] = total
    out[1] = buf[off + 9]
    out[2] = (buf[off + 6] << 8 | buf[off + 7]) & 0x3FFF
    out[3] = int(buf[off + 16:off + 20] == own)
    return header


def ipv4_write(buf, off, total, identification, fragment, ttl, protocol, source, destination):
    """Write a 20-byte IPv4 header with its checksum.

    total: length of header and payload; fragment: the flags and fragment offset word.
    """
    pack_into(_IPV4, buf, off, 0x45, 0, total, identification & 0xFFFF, fragment, ttl, protocol,
              0, source, destination)
    check = 0xFFFF - add(buf, off, 20, 0)
    buf[off + 10] = check >> 8
    buf[off + 11] = check & 0xFF


def tcp_read(wire, buf, off, n, una, nxt, out):
    """Check and read a TCP header (RFC 9293 3.1).

    wire: array('I') of a connection: initial sequence numbers (sent, received), local and remote
    port, sum of the pseudo-header without the length. una, nxt: SND.UNA and RCV.NXT, counted from
    the initial numbers. Returns the header's length, 0 when malformed, -1 when the checksum is
    wrong; fills out (array('i')): SEG.SEQ - RCV.NXT, SEG.ACK - SND.UNA, flags, window.
    """
    if n < 20:
        return 0
    header = buf[off + 12] >> 4 << 2
    if not 20 <= header <= n:
        return 0
    if add(buf, off, n, wire[4] + n) != 0xFFFF:
        return -1
    _, _, seq, ack, control, window, _, _ = unpack_from(_TCP, buf, off)
    out[0] = (seq - wire[1] - nxt + 0x80000000 & 0xFFFFFFFF) - 0x80000000
    out[1] = (ack - wire[0] - una + 0x80000000 & 0xFFFFFFFF) - 0x80000000
    out[2] = control & 0xFF
    out[3] = window
    return header


def tcp_write(wire, buf, off, n, seq, ack, control, window):
    """Write a TCP header with its checksum before what is already in place.

    n: length of the whole segment; options and payload are at buf[off + 20:off + n]. seq and
    ack are counted from the initial numbers; control: the data offset and flags word.
    """
    pack_into(_TCP, buf, off, wire[2], wire[3], wire[0] + seq & 0xFFFFFFFF,
              wire[1] + ack & 0xFFFFFFFF, control, window, 0, 0)
    check = 0xFFFF - add(buf, off, n, wire[4] + n)
    buf[off + 16] = check >> 8
    buf[off + 17] = check & 0xFF


def flow_read(flow, wire, buf, off, n, una, nxt, out):
    """Read the segment that a connection over IPv4 expects: the next one in order, with ACK and
    perhaps PSH, no options and whole.

    buf[off:off + n] is the IPv4 packet; flow: source and destination addresses, then ports, as
    packets of the peer bear them; the others as for tcp_read. Returns the length of its data and
    fills out: SEG.ACK - SND.UNA, the PSH flag, window. Returns -1 for any other packet, of which
    nothing is judged.
    """
    if (n < 40 or buf[off] != 0x45 or buf[off + 9] != 6 or buf[off + 32] != 0x50
            or buf[off + 33] & 0xF7 != 0x10 or buf[off + 12:off + 24] != flow):
        return -1
    _, _, total, _, fragment, _, _, _, _, _ = unpack_from(_IPV4, buf, off)
    if fragment & 0x3FFF or not 40 <= total <= n or add(buf, off, 20, 0) != 0xFFFF:
        return -1
    if tcp_read(wire, buf, off + 20, total - 20, una, nxt, out) != 20 or out[0]:
        return -1
    out[0] = out[1]
    out[1] = out[2] & 8
    out[2] = out[3]
    return total - 40


def flow_write(flow, wire, buf, off, n, seq, ack, control, window, ttl):
    """Write the headers of a segment that is the whole payload of an IPv4 packet at buf[off:].

    flow: as for flow_read, so the addresses and ports change places; the others as for tcp_write.
    A packet that must not be fragmented needs no identification (RFC 6864 4.1).
    """
    pack_into(_IPV4, buf, off, 0x45, 0, n + 20, 0, 0x4000, ttl, 6, 0, flow[4:8], flow[:4])
    check = 0xFFFF - add(buf, off, 20, 0)
    buf[off + 10] = check >> 8
    buf[off + 11] = check & 0xFF
    tcp_write(wire, buf, off + 20, n, seq, ack, control, window)
