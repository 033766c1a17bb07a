"""Checksums and TCP/IPv4 headers: by viper kernels, or by struct formats; headers_struct.py says
what each does."""

import sys

from mpcore import fallback

if sys.implementation.name == "micropython":
    try:
        from mpcore.ip.headers_kernel import (add, flow_read, flow_write, ipv4_read, ipv4_write,
                                              tcp_read, tcp_write)
    except MemoryError:
        fallback.instead_of("mpcore.ip.headers_kernel")
        from mpcore.ip.headers_struct import (add, flow_read, flow_write, ipv4_read, ipv4_write,
                                              tcp_read, tcp_write)
else:
    from mpcore.ip.headers_struct import (add, flow_read, flow_write, ipv4_read, ipv4_write,
                                          tcp_read, tcp_write)


def pseudo(source, destination, protocol):
    """Sum of a pseudo-header without the length, the same for IPv4 and IPv6 (RFC 8200 8.1)."""
    return add(destination, 0, len(destination), add(source, 0, len(source), protocol))
