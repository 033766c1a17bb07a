"""Armor of VL1 packets with kernels that allocate nothing (spec/crypto.md 4 to 6).

One set of scratch buffers serves all peers: a packet is armored or dearmored in one go.
"""

import micropython

from mpcore.crypto import salsa
from mpcore.crypto.cipher_suite import CipherSuite
from mpcore.crypto.packet_kernels import differs, set_key, tag, write_mac, xor_blocks

_STATE = salsa.STATE
_BLOCK = salsa.BLOCK
_ONE_TIME_KEY = bytearray(64)   # keystream block 0; its second half is not used
_TAG = bytearray(16)


class PacketCipher(CipherSuite):
    """Armors and dearmors the packets exchanged with one peer."""

    _held = bytearray       # of 48: bytes have one more at their end, for which a heap has 16

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
        set_key(state, self._shared, buf, off, n, key)
        xor(0, 0, state, block, key, 0, 64, 6)
        if encrypt:
            xor(0, 0, state, block, buf, off + 27, n - 27, 6)
        tag(0, 0, key, buf, off + 27, n - 27, block, computed)
        write_mac(buf, off + 19, computed)

    @micropython.native
    def open(self, buf, off, n, decrypt):
        state, block = _STATE, _BLOCK       # each looked up once; no tuple is made for two
        key, computed = _ONE_TIME_KEY, _TAG
        xor = xor_blocks
        set_key(state, self._shared, buf, off, n, key)
        xor(0, 0, state, block, key, 0, 64, 6)
        tag(0, 0, key, buf, off + 27, n - 27, block, computed)
        if differs(buf, off + 19, computed):
            return False
        if decrypt:
            xor(0, 0, state, block, buf, off + 27, n - 27, 6)
        return True

    def mask_hello(self, buf, off, start, n):
        """Encrypt or decrypt n bytes of HELLO from packet offset `start` (spec/crypto.md 5)."""
        iv = bytearray(memoryview(buf)[off:off + 8])
        iv[7] &= 0xF8
        salsa.salsa20_xor(self._shared, iv, 0, buf, off + start, n, 12)
