"""Checksums and the TCP/IPv4 headers for MicroPython's viper compiler; see headers_struct.py.

No allocation. A packet may begin at any address: 16-bit loads are made only at even ones.
Viper's words have 32 or 64 bits, so only their low 32 bits are ever stored.
"""

import micropython


@micropython.viper
def add(buf: ptr8, off: int, n: int, total: int) -> int:
    at = int(buf) + off
    odd = at & 1
    if odd and n:
        total += ptr8(at)[0] << 8
        at += 1
        n -= 1
    # Words as a little-endian machine loads them: after an odd start that is the wanted order,
    # after an even one every byte is in the other half, put right by one swap at the end.
    p = ptr16(at)
    s = 0
    while n >= 8:
        s += p[0] + p[1] + p[2] + p[3]
        p = ptr16(int(p) + 8)
        n -= 8
    while n >= 2:
        s += p[0]
        p = ptr16(int(p) + 2)
        n -= 2
    if n:
        s += ptr8(p)[0]
    s = (s & 0xFFFF) + (s >> 16)
    s = (s & 0xFFFF) + (s >> 16)
    if not odd:
        s = (s >> 8 | s << 8) & 0xFFFF
    s += total
    s = (s & 0xFFFF) + (s >> 16)
    return (s & 0xFFFF) + (s >> 16)


@micropython.viper
def ipv4_read(buf: ptr8, off: int, n: int, own: ptr8, out: ptr32) -> int:
    if n < 20:
        return 0
    b = ptr8(int(buf) + off)
    header = (b[0] & 15) << 2
    total = b[2] << 8 | b[3]
    if b[0] >> 4 != 4 or header < 20 or header > total or total > n:
        return 0
    s = 0
    i = 0
    while i < header:
        s += b[i] << 8 | b[i + 1]
        i += 2
    s = (s & 0xFFFF) + (s >> 16)
    if (s & 0xFFFF) + (s >> 16) != 0xFFFF:
        return -1
    out[0] = total
    out[1] = b[9]
    out[2] = (b[6] << 8 | b[7]) & 0x3FFF
    i = 0
    while i < 4 and b[16 + i] == own[i]:
        i += 1
    out[3] = i >> 2
    return header


@micropython.viper
def ipv4_write(buf: ptr8, off: int, total: int, identification: int, fragment: int, ttl: int,
               protocol: int, source: ptr8, destination: ptr8):
    b = ptr8(int(buf) + off)
    b[0] = 0x45
    b[1] = 0
    b[2] = total >> 8
    b[3] = total
    b[4] = identification >> 8
    b[5] = identification
    b[6] = fragment >> 8
    b[7] = fragment
    b[8] = ttl
    b[9] = protocol
    i = 0
    while i < 4:
        b[12 + i] = source[i]
        b[16 + i] = destination[i]
        i += 1
    s = 0x4500 + total + (identification & 0xFFFF) + fragment + (ttl << 8) + protocol
    i = 12
    while i < 20:
        s += b[i] << 8 | b[i + 1]
        i += 2
    s = (s & 0xFFFF) + (s >> 16)
    s = 0xFFFF - ((s & 0xFFFF) + (s >> 16))
    b[10] = s >> 8
    b[11] = s


@micropython.viper
def tcp_read(wire: ptr32, buf, off: int, n: int, una: int, nxt: int, out: ptr32) -> int:
    if n < 20:
        return 0
    b = ptr8(int(ptr8(buf)) + off)
    header = b[12] >> 4 << 2
    if header < 20 or header > n:
        return 0
    if int(add(buf, off, n, wire[4] + n)) != 0xFFFF:
        return -1
    out[0] = (b[4] << 24 | b[5] << 16 | b[6] << 8 | b[7]) - wire[1] - nxt
    out[1] = (b[8] << 24 | b[9] << 16 | b[10] << 8 | b[11]) - wire[0] - una
    out[2] = b[13]
    out[3] = b[14] << 8 | b[15]
    return header


@micropython.viper
def tcp_write(wire: ptr32, buf, off: int, n: int, seq: int, ack: int, control: int, window: int):
    b = ptr8(int(ptr8(buf)) + off)
    v = wire[2]
    b[0] = v >> 8
    b[1] = v
    v = wire[3]
    b[2] = v >> 8
    b[3] = v
    v = wire[0] + seq
    b[4] = v >> 24
    b[5] = v >> 16
    b[6] = v >> 8
    b[7] = v
    v = wire[1] + ack
    b[8] = v >> 24
    b[9] = v >> 16
    b[10] = v >> 8
    b[11] = v
    b[12] = control >> 8
    b[13] = control
    b[14] = window >> 8
    b[15] = window
    b[16] = b[17] = b[18] = b[19] = 0
    v = 0xFFFF - int(add(buf, off, n, wire[4] + n))
    b[16] = v >> 8
    b[17] = v


@micropython.viper
def flow_read(flow: ptr8, wire: ptr32, buf, off: int, n: int, una: int, nxt: int,
              out: ptr32) -> int:
    if n < 40:
        return -1
    b = ptr8(int(ptr8(buf)) + off)
    if (b[0] ^ 0x45) | (b[9] ^ 6) | (b[32] ^ 0x50) | (b[33] & 0xF7 ^ 0x10) | b[6] & 0x3F | b[7]:
        return -1
    i = 0
    while i < 12:
        if b[12 + i] != flow[i]:
            return -1
        i += 1
    total = b[2] << 8 | b[3]
    if total < 40 or total > n:
        return -1
    s = 0
    i = 0
    while i < 20:
        s += b[i] << 8 | b[i + 1]
        i += 2
    s = (s & 0xFFFF) + (s >> 16)
    if (s & 0xFFFF) + (s >> 16) != 0xFFFF:
        return -1
    s = (b[24] << 24 | b[25] << 16 | b[26] << 8 | b[27]) - wire[1] - nxt
    if s & 0xFFFF or s >> 16 & 0xFFFF:
        return -1
    if int(add(buf, off + 20, total - 20, wire[4] + total - 20)) != 0xFFFF:
        return -1
    out[0] = (b[28] << 24 | b[29] << 16 | b[30] << 8 | b[31]) - wire[0] - una
    out[1] = b[33] & 8
    out[2] = b[34] << 8 | b[35]
    return total - 40


@micropython.viper
def flow_write(flow: ptr8, wire: ptr32, buf, off: int, n: int, seq: int, ack: int, control: int,
               window: int, ttl: int):
    b = ptr8(int(ptr8(buf)) + off)
    total = n + 20
    b[0] = 0x45
    b[1] = b[4] = b[5] = b[7] = 0
    b[2] = total >> 8
    b[3] = total
    b[6] = 0x40
    b[8] = ttl
    b[9] = 6
    i = 0
    while i < 4:
        b[12 + i] = flow[4 + i]
        b[16 + i] = flow[i]
        i += 1
    s = 0x8506 + total + (ttl << 8)
    i = 0
    while i < 8:
        s += flow[i] << 8 | flow[i + 1]
        i += 2
    s = (s & 0xFFFF) + (s >> 16)
    s = 0xFFFF - ((s & 0xFFFF) + (s >> 16))
    b[10] = s >> 8
    b[11] = s
    tcp_write(wire, buf, off + 20, n, seq, ack, control, window)
