"""The kernels of ciphers of packets, in machine code or, where it has no room, in bytecode."""

from mpcore import fallback

try:
    from mpcore.crypto.packet_kernel import (
        differs, set_key, set_state, tag, write_mac, xor_blocks)
except MemoryError:
    fallback.instead_of("mpcore.crypto.packet_kernel")
    from mpcore.crypto.packet_bytecode import (
        differs, set_key, set_state, tag, write_mac, xor_blocks)
