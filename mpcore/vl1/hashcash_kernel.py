"""What the memory-hard hash does in machine code (spec/identity.md 2)."""

import micropython


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
