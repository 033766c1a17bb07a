"""Floor 1: pure functions over bytes (spec/crypto.md), each described where it is in portable.py.

Where PyNaCl and `cryptography` are installed they do the work; elsewhere the portable twin does.
"""

try:
    from mpcore.crypto.native import (
        Aes256, AesGmacSiv, PacketCipher, constant_time_equal, ed25519_public, ed25519_sign,
        ed25519_verify, gmac, hmac_sha384, kbkdf, lz4_compress, lz4_decompress, poly1305,
        salsa20_xor, sha384, sha512, x25519, x25519_public)
except ImportError:
    from mpcore.crypto.portable import (
        Aes256, AesGmacSiv, PacketCipher, constant_time_equal, ed25519_public, ed25519_sign,
        ed25519_verify, gmac, hmac_sha384, kbkdf, lz4_compress, lz4_decompress, poly1305,
        salsa20_xor, sha384, sha512, x25519, x25519_public)
