"""Floor 1: pure functions over bytes (spec/crypto.md), each described where it is in portable.py.

Where PyNaCl and `cryptography` are installed they do the work; elsewhere the portable twin does,
and SLICED says that its long arithmetic had better be done in slices.
"""

try:
    from mpcore.crypto.native import (
        SLICED, Aes256, AesGmacSiv, PacketCipher, constant_time_equal, ed25519_public,
        ed25519_sign, ed25519_verify, ed25519_verify_slices, gmac, hmac_sha384, kbkdf,
        lz4_compress, lz4_decompress, poly1305, salsa20_xor, sha384, sha512, sha512_slices,
        x25519, x25519_public, x25519_slices)
except ImportError:
    from mpcore.crypto.portable import (
        SLICED, Aes256, AesGmacSiv, PacketCipher, constant_time_equal, ed25519_public,
        ed25519_sign, ed25519_verify, ed25519_verify_slices, gmac, hmac_sha384, kbkdf,
        lz4_compress, lz4_decompress, poly1305, salsa20_xor, sha384, sha512, sha512_slices,
        x25519, x25519_public, x25519_slices)
