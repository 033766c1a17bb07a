"""The memory-hard hash in viper, for MicroPython (spec/identity.md 2)."""

import micropython
from micropython import const

from mpcore import crypto

_MEMORY = const(2097152)          # bytes
_MEMORY_BLOCKS = const(32768)     # of 64 bytes, as the cipher makes them
_STEPS = const(131072)
_SLICE = const(64)                # steps whose keystream is made at once: 4 KiB


def digest(public):
    """The 64-byte digest of a 64-byte public key.

    Its first byte tells whether the key is acceptable, its last five are the address. Raises
    MemoryError where 2 MiB in one piece are not to be had.
    """
    memory = bytearray(_MEMORY)
    out = bytearray(crypto.sha512(public))
    key, iv = bytes(out[:32]), bytes(out[32:40])
    crypto.salsa20_xor(key, iv, 0, memory, 0, _MEMORY, 20)
    chain(memory, _MEMORY)
    stream = bytearray(64 * _SLICE)
    for step in range(0, _STEPS, _SLICE):
        crypto.salsa20_xor(key, iv, _MEMORY_BLOCKS + step, stream, 0, 64 * _SLICE, 20)
        mix(memory, _STEPS, out, stream, step, _SLICE)
    return bytes(out)


@micropython.viper
def chain(memory: ptr32, n: int):
    """XOR into every 64-byte block of n bytes the one before it, from the first to the last."""
    i = 16
    n >>= 2
    while i < n:
        memory[i] ^= memory[i - 16]
        i += 1


@micropython.viper
def mix(memory: ptr8, total: int, out: ptr8, stream: ptr8, step: int, count: int):
    """Do `count` of the swaps from number `step` on.

    memory holds 16 * total bytes, total a power of two; out: the 64 bytes under way; stream: a
    block of keystream for each step, zeroed as it is used up.
    """
    words = ptr32(memory)
    digest = ptr32(out)
    keystream = ptr32(stream)
    mask = 2 * total - 1
    end = step + count
    k = 0
    while step < end:
        at = step << 4
        a = (memory[at + 7] & 7) << 1
        b = (memory[at + 13] << 16 | memory[at + 14] << 8 | memory[at + 15]) & mask
        b <<= 1
        low = words[b]
        words[b] = digest[a]
        digest[a] = low
        high = words[b + 1]
        words[b + 1] = digest[a + 1]
        digest[a + 1] = high
        i = 0
        while i < 16:
            digest[i] ^= keystream[k]
            keystream[k] = 0
            k += 1
            i += 1
        step += 1
