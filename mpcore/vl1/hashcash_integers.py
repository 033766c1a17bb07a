"""The memory-hard hash on big integers, for CPython (spec/identity.md 2).

What a step XORs into the whole digest is known beforehand: the XOR of all keystream so far. So the
digest is kept without it, and a step touches one word of it.
"""

import sys
from array import array

from mpcore.crypto.native import salsa20_xor, sha512

_BLOCK = 64                       # bytes
_MEMORY_BLOCKS = 32768
_STEPS = 131072
_GROUP = 64                       # blocks XORed at once, as one integer
_GROUP_BYTES = _GROUP * _BLOCK
_SLICE = 16 * _GROUP_BYTES        # bytes of keystream made at once
_LAST = 8 * (_GROUP_BYTES - _BLOCK)
_ONE_BLOCK = (1 << 8 * _BLOCK) - 1


def digest(public):
    """As hashcash_blocks.digest."""
    start = sha512(public)
    key, iv = start[:32], start[32:40]
    memory = _words(_running_xor(key, iv, 0, _MEMORY_BLOCKS))
    xored = _words(bytes(_BLOCK) + _running_xor(key, iv, _MEMORY_BLOCKS, _STEPS))
    bare = list(_words(start))
    first, second = _step_views(memory)
    last = len(memory) - 1
    for at, a, b in zip(range(0, 8 * _STEPS, 8), first, second):
        a &= 7
        b &= last
        mask = xored[at + a]
        word = memory[b]
        memory[b] = bare[a] ^ mask
        bare[a] = word ^ mask
    return b"".join([(word ^ mask).to_bytes(8, "big")
                     for word, mask in zip(bare, xored[8 * _STEPS:])])


def _running_xor(key, iv, counter, blocks):
    """Bytes whose every block is the XOR of the keystream's blocks from `counter` up to its own."""
    groups = []
    carry = 0
    for counter in range(counter, counter + blocks, _SLICE // _BLOCK):
        stream = bytearray(_SLICE)
        salsa20_xor(key, iv, counter, stream, 0, _SLICE, 20)
        for at in range(0, _SLICE, _GROUP_BYTES):
            # Earlier blocks are the more significant: a shift moves each onto later ones.
            group = int.from_bytes(stream[at:at + _GROUP_BYTES], "big") ^ carry << _LAST
            distance = 8 * _BLOCK
            while distance < 8 * _GROUP_BYTES:
                group ^= group >> distance
                distance += distance
            carry = group & _ONE_BLOCK
            groups.append(group.to_bytes(_GROUP_BYTES, "big"))
    return b"".join(groups)


def _words(data):
    """Bytes as an array of big-endian words of 64 bits."""
    words = array("Q", data)
    if sys.byteorder == "little":
        words.byteswap()
    return words


def _step_views(memory):
    """The low byte of every even word and the low half of every odd one, as they change."""
    low_first = sys.byteorder == "little"
    octets = memoryview(memory).cast("B")
    return octets[0 if low_first else 7::16], octets.cast("I")[2 if low_first else 3::4]
