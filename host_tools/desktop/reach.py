"""Which destinations belong to the virtual networks, and which to the platform's."""

from mpcore import runtimes


def leads(node, ip):
    """Is `ip` (4 or 16 bytes) on a node's networks (mpcore.runtimes.leads)?

    Link-local addresses are not: they are the platform's, which has interfaces to go with them.
    """
    return not _is_link_local(ip) and runtimes.leads(node, ip)


def is_own(node, ip):
    """Is `ip` an address of this node?"""
    return any(ip in interface.addresses for interface in node.stack.interfaces)


def _is_link_local(ip):
    return len(ip) == 16 and ip[0] == 0xFE and ip[1] & 0xC0 == 0x80
