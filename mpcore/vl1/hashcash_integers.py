"""The memory-hard hash on big integers, for CPython (spec/identity.md 2).

A step costs a handful of integer operations: the digest under way is one integer of 512 bits, and
the keystream is made in bulk.
"""

import sys
from array import array
from itertools import accumulate, islice
from operator import xor
from struct import iter_unpack

from mpcore import crypto

_MEMORY_BLOCKS = 32768
_BLOCKS = _MEMORY_BLOCKS + 131072
_SLICE = 1024                     # blocks of keystream made at once: 64 KiB
_WORD = (1 << 64) - 1
_SHIFTS = [448 - 64 * (byte & 7) for byte in range(256)]


def digest(public):
    """As hashcash_kernel.digest."""
    start = crypto.sha512(public)
    keystream = _keystream(start[:32], start[32:40])
    memory = array("Q")
    for block in accumulate(islice(keystream, _MEMORY_BLOCKS), xor):
        memory.frombytes(block.to_bytes(64, "big"))
    if sys.byteorder == "little":
        memory.byteswap()
    first, second = _step_views(memory)
    last = len(memory) - 1
    out = int.from_bytes(start, "big")
    for a, b, block in zip(first, second, keystream):
        shift = _SHIFTS[a]
        b &= last
        old = memory[b]
        new = out >> shift & _WORD
        memory[b] = new
        out ^= block ^ (old ^ new) << shift
    return out.to_bytes(64, "big")


def _step_views(memory):
    """The low byte of every even word and the low half of every odd one, as they change."""
    low_first = sys.byteorder == "little"
    octets = memoryview(memory).cast("B")
    return octets[0 if low_first else 7::16], octets.cast("I")[2 if low_first else 3::4]


def _keystream(key, iv):
    """Every block of keystream in turn, as big-endian integers."""
    for counter in range(0, _BLOCKS, _SLICE):
        stream = bytearray(64 * _SLICE)
        crypto.salsa20_xor(key, iv, counter, stream, 0, len(stream), 20)
        yield from [int.from_bytes(block, "big") for block, in iter_unpack("64s", stream)]
