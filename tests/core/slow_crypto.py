"""Stands for a board's arithmetic: as many slices as a test says, on either platform."""

from mpcore import crypto
from mpcore.crypto import portable

_NAMES = ("x25519_slices", "ed25519_verify_slices", "sha512_slices")


class SlowCrypto:
    """Within `with`, key agreements and signatures take `slices` slices; they are counted.

    portable: the real slices of the implementation for boards instead, however many.
    """

    def __init__(self, slices=0, portable=False):
        self.slices = slices
        self.agreements = self.verifications = 0
        self._portable = portable

    def __enter__(self):
        self._before = [getattr(crypto, name) for name in _NAMES]
        if self._portable:
            replaced = [getattr(portable, name) for name in _NAMES]
        else:
            replaced = [self._agree, self._verify, self._before[2]]
        for name, function in zip(_NAMES, replaced):
            setattr(crypto, name, function)
        return self

    def __exit__(self, *exc):
        for name, function in zip(_NAMES, self._before):
            setattr(crypto, name, function)

    def _agree(self, private, public):
        self.agreements += 1
        for _ in range(self.slices):
            yield
        return crypto.x25519(private, public)

    def _verify(self, public, message, signature):
        self.verifications += 1
        for _ in range(self.slices):
            yield
        return crypto.ed25519_verify(public, message, signature)
