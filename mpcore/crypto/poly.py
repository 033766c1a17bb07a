"""Poly1305 (spec/crypto.md 1)."""

import array

from mpcore.crypto.packet_kernels import tag

_BLOCK = array.array("I", bytes(16))


def poly1305(key, buf, off, n):
    """The 16-byte Poly1305 tag of buf[off:off+n] under a one-time key of 32 bytes."""
    out = bytearray(16)
    tag(0, 0, array.array("I", bytes(key)), buf, off, n, _BLOCK, out)
    return bytes(out)
