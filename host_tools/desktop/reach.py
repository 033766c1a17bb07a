"""Which destinations belong to the virtual networks, and which to the platform's."""


def leads(node, ip):
    """Is `ip` (4 or 16 bytes) of a joined network: an address' prefix or a route of it?

    A default route does not count: it would take all the platform's destinations away. Nor do
    multicast and broadcasts to whoever hears them, which are everybody's.
    """
    for network in node.networks.values():
        config = network.config
        if config is None:
            continue
        targets = list(config.static_ips) + [route[:2] for route in config.routes]
        for target, bits in targets:
            if bits and len(target) == len(ip) and _agree(ip, target, bits):
                return True
    return False


def is_own(node, ip):
    """Is `ip` an address of this node?"""
    return any(ip == own for network in node.networks.values() if network.config is not None
               for own, _ in network.config.static_ips)


def _agree(ip, target, bits):
    drop = 8 * len(ip) - bits
    return int.from_bytes(ip, "big") >> drop == int.from_bytes(target, "big") >> drop
