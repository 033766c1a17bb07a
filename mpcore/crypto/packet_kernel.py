"""What packets' ciphers need in machine code (spec/crypto.md 1, 4), with the generated kernels."""

import micropython

from mpcore.crypto.poly_kernel import tag               # noqa: F401 - one face
from mpcore.crypto.salsa_kernel import xor_blocks       # noqa: F401


@micropython.viper
def set_state(state: ptr8, key: ptr8, iv: ptr8, counter: int):
    """Key, nonce and the number of the first block."""
    i = 0
    while i < 16:
        state[4 + i] = key[i]
        state[44 + i] = key[16 + i]
        i += 1
    i = 0
    while i < 8:
        state[24 + i] = iv[i]
        i += 1
    words = ptr32(state)
    words[8] = counter
    words[9] = 0


@micropython.viper
def set_key(state: ptr8, shared: ptr8, buf: ptr8, off: int, n: int, block0: ptr32):
    """Set the state for one packet: its mangled key, the packet ID as nonce, block 0.

    Clears block0, so that XORing keystream over it leaves the keystream.
    """
    p = ptr8(int(buf) + off)
    i = 0
    while i < 16:
        state[4 + i] = shared[i] ^ p[i]
        state[44 + i] = shared[16 + i]
        block0[i] = 0
        i += 1
    i = 0
    while i < 8:
        state[24 + i] = p[i]
        state[32 + i] = 0
        i += 1
    state[44] = shared[16] ^ p[16]
    state[45] = shared[17] ^ p[17]
    state[46] = shared[18] ^ p[18] & 0xf8
    state[47] = shared[19] ^ n
    state[48] = shared[20] ^ n >> 8


@micropython.viper
def write_mac(buf: ptr8, off: int, computed: ptr8):
    i = 0
    while i < 8:
        buf[off + i] = computed[i]
        i += 1


@micropython.viper
def differs(buf: ptr8, off: int, computed: ptr8) -> int:
    """0 when the 8 bytes of MAC agree; looks at all of them in any case."""
    i = 0
    difference = 0
    while i < 8:
        difference = difference | buf[off + i] ^ computed[i]
        i += 1
    return difference
