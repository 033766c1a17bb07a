"""The twins of aes_kernel.py: on big integers, some twenty times slower."""

import struct


def counters(stream, iv, first, blocks):
    count = int.from_bytes(iv[12:], "big") + first
    for at in range(0, 16 * blocks, 16):
        stream[at:at + 12] = iv[:12]
        stream[at + 12:at + 16] = (count & 0xFFFFFFFF).to_bytes(4, "big")
        count += 1


def xor(buf, off, n, stream):
    mixed = int.from_bytes(buf[off:off + n], "little") ^ int.from_bytes(stream[:n], "little")
    buf[off:off + n] = mixed.to_bytes(n, "little")


def multiples(table, h):
    found = [0] * 16
    number = int.from_bytes(h, "big")
    i = 8
    while i:
        found[i] = number
        number = number >> 1 ^ (0xE1 << 120) * (number & 1)
        i >>= 1
    for i in 2, 4, 8:
        for j in range(1, i):
            found[i + j] = found[i] ^ found[j]
    for i, number in enumerate(found):
        for j, word in enumerate(struct.unpack(">4I", number.to_bytes(16, "big"))):
            table[4 * i + j] = word


def ghash(z, p, table, fold, state, m, off, n):
    found = [table[i] << 96 | table[i + 1] << 64 | table[i + 2] << 32 | table[i + 3]
             for i in range(0, 64, 4)]
    end = off + n
    number = int.from_bytes(state, "big")
    for at in range(off, end, 16):
        length = min(16, end - at)
        number ^= int.from_bytes(m[at:at + length], "big") << 8 * (16 - length)
        product = 0
        for shift in range(0, 128, 4):
            product = (product >> 4 ^ fold[product & 15] << 112) ^ found[number >> shift & 15]
        number = product
    state[:16] = number.to_bytes(16, "big")
