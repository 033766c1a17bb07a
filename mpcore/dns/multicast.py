"""What asking and answering by multicast DNS share (RFC 6762): the groups, and the ways there."""

from micropython import const

from mpcore.ip.udp import UdpSocket

PORT = const(5353)
_TTL = const(255)
LOCAL = b"\x05local\0"          # the domain
GROUPS = {4: b"\xe0\x00\x00\xfb", 16: b"\xff\x02" + bytes(13) + b"\xfb"}


class Link:
    """The neighbours on one interface, by one family of addresses.

    address: ours. port: to send from, 0 for a free one. wake: as for Resolver. Raises OSError
    when the port cannot be had.
    """

    def __init__(self, stack, interface, address, port, wake):
        self.interface = interface
        self.address = address
        self._group = GROUPS[len(address)]
        self._udp = UdpSocket(stack)
        self._udp.reuse = True      # others here may speak mDNS too
        self._udp.bind(address, port)
        self._udp.on_event = wake
        self._udp.ttl = self._udp.multicast_ttl = _TTL
        self._udp.multicast_loop = not port     # who only asks may also ask for our own name

    def join(self, now):
        """Hear what is sent to all."""
        self._udp.join(now, self._group, self.address)

    def send(self, now, data, ip=None, port=PORT):
        """Send a message to all, or to one. That it cannot be sent now is not an error."""
        try:
            self._udp.sendto(now, data, ip or self._group, port)
        except OSError:
            pass

    def receive(self):
        """(data, ip, port) of the next message, or None. What comes from another network than
        the link's is not meant for it (RFC 6762 11)."""
        received = self._udp.recvfrom()
        while received is not None and not self.interface.is_neighbour(received[1]):
            received = self._udp.recvfrom()
        return received

    def close(self, now):
        self._udp.close(now)


def links(now, stack, port, wake):
    """A Link for each family of addresses that each interface has. Raises OSError."""
    found = []
    try:
        for interface in stack.interfaces:
            for size in sorted(GROUPS):
                address = interface.source_for(GROUPS[size])
                if address is not None:
                    found.append(Link(stack, interface, address, port, wake))
    except OSError:
        for link in found:
            link.close(now)
        raise
    return found
