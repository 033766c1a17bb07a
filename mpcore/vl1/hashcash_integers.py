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
_SHIFTS = [448 - 64 * word for word in range(8)]


def digest(public):
    """As hashcash_kernel.digest."""
    start = crypto.sha512(public)
    keystream = _keystream(start[:32], start[32:40])
    memory = array("Q")
    for block in accumulate(islice(keystream, _MEMORY_BLOCKS), xor):
        memory.frombytes(block.to_bytes(64, "big"))
    if sys.byteorder == "little":
        memory.byteswap()
    last = len(memory) - 1
    out = int.from_bytes(start, "big")
    words = iter(memory)          # sees what earlier steps have swapped
    for a, b, block in zip(words, words, keystream):
        shift = _SHIFTS[a & 7]
        b &= last
        old = memory[b]
        memory[b] = new = out >> shift & _WORD
        out ^= (old ^ new) << shift ^ block
    return out.to_bytes(64, "big")


def _keystream(key, iv):
    """Every block of keystream in turn, as big-endian integers."""
    for counter in range(0, _BLOCKS, _SLICE):
        stream = bytearray(64 * _SLICE)
        crypto.salsa20_xor(key, iv, counter, stream, 0, len(stream), 20)
        yield from [int.from_bytes(block, "big") for block, in iter_unpack("64s", stream)]
