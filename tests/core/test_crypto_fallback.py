"""Where there is no room for machine code: bytecode does the same, and says so once."""

import builtins
import sys

from mpcore import fallback
from mpcore.crypto import portable
from support import raises

KERNELS = ["mpcore.crypto.packet_kernel", "mpcore.crypto.field_kernel",
           "mpcore.crypto.sha2_kernel", "mpcore.crypto.aes_kernel", "mpcore.crypto.lz4_kernel"]
PACKAGE = "mpcore.crypto."
KEY = bytes(range(32))
SHARED = bytes(range(100, 148))
TEXT = b"a text that has the same words, the same words, the same words in it " * 9


class NoRoom:
    """Within `with`, no kernel of the crypto package finds room; `portable` is one whose code was
    all loaded meanwhile, and `said` what was printed. Then all is as before."""

    def __enter__(self):
        self._modules = self._forget()
        self.said = []
        self._import, self._print = builtins.__import__, print
        builtins.__import__ = self._without_kernels
        builtins.print = self.said.append
        __import__(PACKAGE + "portable")
        self.portable = sys.modules[PACKAGE + "portable"]
        return self

    def _without_kernels(self, name, *how):
        if name in KERNELS:
            sys.modules[name] = None        # as a part of it would be there
            raise MemoryError("memory allocation failed, allocating 9000 bytes")
        return self._import(name, *how)

    def __exit__(self, *exc):
        builtins.__import__, builtins.print = self._import, self._print
        self._forget()
        for name, module in self._modules.items():
            sys.modules[name] = module
            setattr(sys.modules[PACKAGE[:-1]], name[len(PACKAGE):], module)
        fallback.kernels.clear()

    def _forget(self):
        """The package's modules, which are loaded no more."""
        found = {name: sys.modules.pop(name) for name in list(sys.modules)
                 if name.startswith(PACKAGE)}
        package = sys.modules[PACKAGE[:-1]]
        for name in found:
            if hasattr(package, name[len(PACKAGE):]):
                delattr(package, name[len(PACKAGE):])
        return found


def both(call):
    """What a call(portable) returns, with the kernels and without."""
    expected = call(portable)
    with NoRoom() as without:
        found = call(without.portable)
        assert fallback.kernels
    assert found == expected, (found, expected)
    return found


def test_each_kernel_is_missed_once_and_that_is_said_once():
    with NoRoom() as without:
        for _ in range(2):
            everything(without.portable)
        assert sorted(fallback.kernels) == sorted(KERNELS)
        assert len(without.said) == len(KERNELS)
        for kernel, text in zip(fallback.kernels, without.said):
            assert kernel in text and "bytecode" in text
        assert not any([kernel in sys.modules for kernel in KERNELS])
    assert not fallback.kernels


def everything(crypto):
    """Calls into every kernel."""
    crypto.poly1305(KEY, TEXT, 0, 3)
    crypto.sha512(b"")
    crypto.x25519(KEY, KEY)
    crypto.gmac(KEY, bytes(12), b"")
    crypto.lz4_decompress(b"\x10a", 0, 2, bytearray(1), 0, 1)


def test_salsa20():
    def call(crypto):
        found = []
        for n in 0, 1, 63, 64, 65, 256, 257, 400:
            for rounds in 12, 20:
                buf = bytearray(n + 6)
                crypto.salsa20_xor(KEY, KEY[8:16], (1 << 30) - 3, buf, 5, n, rounds)
                found.append(bytes(buf))
        return found
    both(call)


def test_poly1305():
    both(lambda crypto: [crypto.poly1305(key, TEXT, 3, n) for n in (0, 1, 15, 16, 17, 300)
                         for key in (KEY, bytes(32), b"\xff" * 32)])


def test_packets():
    def call(crypto):
        cipher, found = crypto.PacketCipher(SHARED), []
        for kind in 0, 1, 3:
            for n in 28, 91, 400:
                packet = bytearray(3) + TEXT[:n] + b"\0"
                cipher.armor(packet, 3, n, kind)
                found.append(bytes(packet))
                broken = bytearray(packet)
                broken[3 + n - 1] ^= 1
                assert not cipher.dearmor(broken, 3, n)
                assert cipher.dearmor(packet, 3, n)
                found.append(bytes(packet))
        hello = bytearray(TEXT[:100])
        cipher.mask_hello(hello, 1, 30, 50)
        return found + [bytes(hello)]
    both(call)


def test_curves():
    def call(crypto):
        public = crypto.ed25519_public(KEY)
        signature = crypto.ed25519_sign(KEY, TEXT)
        return (crypto.x25519(KEY, SHARED[:32]), crypto.x25519_public(KEY), public, signature,
                crypto.ed25519_verify(public, TEXT, signature),
                crypto.ed25519_verify(public, TEXT[1:], signature))
    assert both(call)[-2:] == (True, False)


def test_hashes():
    both(lambda crypto: [crypto.sha512(TEXT[:n]) for n in (0, 111, 112, 128, 300)]
         + [crypto.sha384(TEXT), crypto.hmac_sha384(KEY, TEXT)])


def test_aes():
    def call(crypto):
        buf = bytearray(TEXT)
        crypto.Aes256(KEY).ctr_xor(bytes(12) + b"\0\xff\xff\xf0", buf, 2, 301)
        return bytes(buf), [crypto.gmac(KEY, bytes(12), TEXT[:n]) for n in (0, 1, 16, 33)]
    both(call)


def test_lz4_is_read_and_not_written():
    block = bytearray(len(TEXT))
    n = portable.lz4_compress(TEXT, 0, len(TEXT), block, 0, len(block))
    assert n

    def call(crypto):
        out = bytearray(len(TEXT) + 2)
        assert crypto.lz4_decompress(block, 0, n, out, 1, len(TEXT)) == len(TEXT)
        raises(ValueError, lambda: crypto.lz4_decompress(block, 0, n, out, 1, len(TEXT) - 1))
        return bytes(out)
    assert both(call)[1:-1] == TEXT
    with NoRoom() as without:
        assert without.portable.lz4_compress(TEXT, 0, len(TEXT), block, 0, len(block)) == 0
