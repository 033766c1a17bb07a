"""Salsa20 with 12 or 20 rounds in place (spec/crypto.md 1)."""

import array

from mpcore.crypto.packet_kernels import set_state, xor_blocks

BLOCK = array.array("I", bytes(64))     # of keystream


def new_state():
    """The 16 words of a Salsa20 state, with nothing but its constants set."""
    state = array.array("I", bytes(64))
    for word, at in ((0, 0), (5, 4), (10, 8), (15, 12)):
        state[word] = int.from_bytes(b"expand 32-byte k"[at:at + 4], "little")
    return state


STATE = new_state()     # these two serve whoever needs them for one go


def salsa20_xor(key, iv, counter, buf, off, n, rounds):
    """XOR Salsa20 keystream over buf[off:off+n] in place.

    key: 32 bytes; iv: 8 bytes; counter: number of the first 64-byte block, below 2**30;
    rounds: 12 or 20.
    """
    set_state(STATE, key, iv, counter)
    xor_blocks(0, 0, STATE, BLOCK, buf, off, n, rounds >> 1)
