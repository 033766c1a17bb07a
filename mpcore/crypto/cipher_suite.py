"""Protection of VL1 packets with one peer (spec/crypto.md 4 to 6): what both runtimes share."""

import micropython
from micropython import const

_FLAGS = const(18)
_MAC = const(19)
_BODY = const(27)           # the protected region: verb byte to the end

_NONE = const(0)
_SALSA = const(1)
_AES = const(3)

_FRAGMENTED = const(0x40)
_SALSA_MARK = const(0x80)
_HOPS = const(0x07)

_LABEL_K0 = const(0x30)
_LABEL_K1 = const(0x31)


class CipherSuite:
    """Keys of one peer and the choice of cipher.

    A subclass brings `mask_hello`, `_make_siv()` and, for ciphers 0 and 1, seal(buf, off, n,
    encrypt) and open(buf, off, n, decrypt) -> bool: armor() and dearmor() of a packet whose flags
    are written and known.

    shared: the 48 bytes two identities agree on (spec/identity.md 5).
    """

    _siv = None
    _held = bytes           # what type keys are kept as

    def __init__(self, shared):
        self._shared = self._held(shared)

    @micropython.native
    def armor(self, buf, off, n, cipher):
        """Authenticate and, for ciphers 1 and 3, encrypt the packet buf[off:off+n] in place.

        cipher: 0, 1 or 3. The cipher bits are written here; the fragmented flag and the hops are
        kept as they are. Writes the MAC; cipher 3 also replaces the packet ID.
        """
        flags = buf[off + _FLAGS] & (_FRAGMENTED | _HOPS) | cipher << 3
        buf[off + _FLAGS] = flags | _SALSA_MARK if cipher == _SALSA else flags
        if cipher != _AES:
            self.seal(buf, off, n, cipher == _SALSA)
            return
        view = memoryview(buf)
        tag = self._aes().seal(view[off:off + 8], _aad(view, off), buf, off + _BODY, n - _BODY)
        buf[off:off + 8] = tag[:8]
        buf[off + _MAC:off + _BODY] = tag[8:]

    @micropython.native
    def dearmor(self, buf, off, n):
        """Decrypt the packet buf[off:off+n] in place; whether it is authentic.

        When it is not, what the buffer then holds is unspecified. The packet ID stays as it was
        on the wire.
        """
        cipher = buf[off + _FLAGS] >> 3 & 7
        if n < _BODY + 1 or cipher > _AES or cipher == 2:
            return False
        if cipher != _AES:
            return self.open(buf, off, n, cipher == _SALSA)
        view = memoryview(buf)
        tag = bytes(view[off:off + 8]) + bytes(view[off + _MAC:off + _BODY])
        return self._aes().open(tag, _aad(view, off), buf, off + _BODY, n - _BODY)

    def _aes(self):
        if not self._siv:
            self._siv = self._make_siv(_LABEL_K0, _LABEL_K1)
        return self._siv


def _aad(view, off):
    """Destination, source and flags without the hops."""
    aad = bytearray(view[off + 8:off + _MAC])
    aad[10] &= 0xF8
    return aad
