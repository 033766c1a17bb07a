"""Armor of VL1 packets with kernels that allocate nothing (spec/crypto.md 4 to 6).

One set of scratch buffers serves all peers: a packet is armored or dearmored in one go.
"""

import array

import micropython

from mpcore.crypto import salsa
from mpcore.crypto.cipher_suite import CipherSuite
from mpcore.crypto.poly_kernel import tag
from mpcore.crypto.salsa_kernel import xor_blocks

_STATE = salsa.new_state()
_BLOCK = array.array("I", bytes(64))
_ONE_TIME_KEY = array.array("I", bytes(64))     # keystream block 0; its second half is not used
_TAG = bytearray(16)


@micropython.viper
def _key(state: ptr8, shared: ptr8, buf: ptr8, off: int, n: int, block0: ptr32):
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
def _write_mac(buf: ptr8, off: int, computed: ptr8):
    i = 0
    while i < 8:
        buf[off + i] = computed[i]
        i += 1


@micropython.viper
def _differs(buf: ptr8, off: int, computed: ptr8) -> int:
    """0 when the 8 bytes of MAC agree; looks at all of them in any case."""
    i = 0
    difference = 0
    while i < 8:
        difference = difference | buf[off + i] ^ computed[i]
        i += 1
    return difference


class PacketCipher(CipherSuite):
    """Armors and dearmors the packets exchanged with one peer."""

    def _make_siv(self, label0, label1):
        from mpcore.crypto.gmac_siv import AesGmacSiv
        from mpcore.crypto.sha2 import kbkdf
        return AesGmacSiv(kbkdf(self._shared, label0, 0, 0)[:32],
                          kbkdf(self._shared, label1, 0, 0)[:32])

    @micropython.native
    def seal(self, buf, off, n, encrypt):
        state, block = _STATE, _BLOCK       # each looked up once; no tuple is made for two
        key, computed = _ONE_TIME_KEY, _TAG
        xor = xor_blocks
        _key(state, self._shared, buf, off, n, key)
        xor(0, 0, state, block, key, 0, 64, 6)
        if encrypt:
            xor(0, 0, state, block, buf, off + 27, n - 27, 6)
        tag(0, 0, key, buf, off + 27, n - 27, block, computed)
        _write_mac(buf, off + 19, computed)

    @micropython.native
    def open(self, buf, off, n, decrypt):
        state, block = _STATE, _BLOCK       # each looked up once; no tuple is made for two
        key, computed = _ONE_TIME_KEY, _TAG
        xor = xor_blocks
        _key(state, self._shared, buf, off, n, key)
        xor(0, 0, state, block, key, 0, 64, 6)
        tag(0, 0, key, buf, off + 27, n - 27, block, computed)
        if _differs(buf, off + 19, computed):
            return False
        if decrypt:
            xor(0, 0, state, block, buf, off + 27, n - 27, 6)
        return True

    def mask_hello(self, buf, off, start, n):
        """Encrypt or decrypt n bytes of HELLO from packet offset `start` (spec/crypto.md 5)."""
        iv = bytearray(memoryview(buf)[off:off + 8])
        iv[7] &= 0xF8
        salsa.salsa20_xor(self._shared, iv, 0, buf, off + start, n, 12)
