"""The kernels of AES, in machine code or, where it has no room, in bytecode."""

from mpcore import fallback

try:
    from mpcore.crypto.aes_kernel import counters, ghash, multiples, xor
except MemoryError:
    fallback.instead_of("mpcore.crypto.aes_kernel")
    from mpcore.crypto.aes_bytecode import counters, ghash, multiples, xor
