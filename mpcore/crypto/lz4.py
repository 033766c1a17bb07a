"""LZ4 blocks (spec/packet.md 6): where there is no room for the kernel packets go as they are."""

from mpcore import fallback

try:
    from mpcore.crypto.lz4_kernel import lz4_compress, lz4_decompress
except MemoryError:
    fallback.instead_of("mpcore.crypto.lz4_kernel")
    from mpcore.crypto.lz4_slices import lz4_decompress

    def lz4_compress(src, off, n, dst, dst_off, room):
        """As the kernel's: it never fits."""
        return 0
