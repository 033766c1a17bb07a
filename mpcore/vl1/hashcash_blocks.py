"""The memory-hard hash in no more memory than its own, for MicroPython (spec/identity.md 2)."""

from micropython import const

from mpcore import crypto, fallback

try:
    from mpcore.vl1.hashcash_kernel import chain, mix
except MemoryError:
    fallback.instead_of("mpcore.vl1.hashcash_kernel")
    from mpcore.vl1.hashcash_bytecode import chain, mix

_MEMORY = const(2097152)          # bytes
_MEMORY_BLOCKS = const(32768)     # of 64 bytes, as the cipher makes them
_STEPS = const(131072)
_SLICE = const(64)                # steps whose keystream is made at once: 4 KiB


def digest(public):
    """The 64-byte digest of a 64-byte public key.

    Its first byte tells whether the key is acceptable, its last five are the address. Raises
    MemoryError where 2 MiB in one piece are not to be had.
    """
    memory = bytearray(_MEMORY)
    out = bytearray(crypto.sha512(public))
    key, iv = bytes(out[:32]), bytes(out[32:40])
    crypto.salsa20_xor(key, iv, 0, memory, 0, _MEMORY, 20)
    chain(memory, _MEMORY)
    stream = bytearray(64 * _SLICE)
    for step in range(0, _STEPS, _SLICE):
        crypto.salsa20_xor(key, iv, _MEMORY_BLOCKS + step, stream, 0, 64 * _SLICE, 20)
        mix(memory, _STEPS, out, stream, step, _SLICE)
    return bytes(out)
