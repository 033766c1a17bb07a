"""Checksums and TCP/IPv4 headers: by viper kernels, or by compiled struct formats on CPython."""

try:
    from mpcore.ip.headers_struct import (add, flow_read, flow_write, ipv4_read, ipv4_write,
                                          tcp_read, tcp_write)
except ImportError:
    from mpcore.ip.headers_kernel import (add, flow_read, flow_write, ipv4_read, ipv4_write,
                                          tcp_read, tcp_write)


def pseudo(source, destination, protocol):
    """Sum of a pseudo-header without the length, the same for IPv4 and IPv6 (RFC 8200 8.1)."""
    return add(destination, 0, len(destination), add(source, 0, len(source), protocol))
