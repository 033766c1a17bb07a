"""What IPv4 and IPv6 share: who takes a packet's payload, and fragments on the way out."""

from micropython import const

_TTL = const(64)


class Family:
    """One version of IP in a stack; `stack.families` has it under its length of addresses.

    A subclass has ICMP (protocol number), make_icmp(stack, family), HEADER (bytes),
    FRAGMENT_HEADER (bytes more that a fragment has), MIN_MTU and NOBODY (how addresses begin that
    no host has), and answers is_group, is_multicast, is_limited_broadcast, group_mac, quoted; it
    sends by send(now, route, source, destination, protocol, n, ttl), and parts of a datagram by
    send_part.

    icmp: its twin of ICMP, loaded with the first message. handlers: protocol number -> who takes
    the payload, by receive(now, interface, unicast, buf, addresses, size, off, n).
    """

    def __init__(self, stack):
        self._stack = stack
        self._icmp = None
        self.handlers = dict(stack.protocols)
        self.handlers[self.ICMP] = _Unloaded(self)

    @property
    def icmp(self):
        if self._icmp is None:
            self._icmp = self.handlers[self.ICMP] = self.make_icmp(self._stack, self)
        return self._icmp

    def send_datagram(self, now, route, source, destination, protocol, header, data, ttl=_TTL):
        """Send header and data (memoryviews), in fragments where they exceed the path's MTU.

        The header's length is a multiple of 8.
        """
        start = route.interface.start + self.HEADER
        room = route.mtu - self.HEADER
        n = len(header)
        total = n + len(data)
        if total > room:
            start += self.FRAGMENT_HEADER
            room = room - self.FRAGMENT_HEADER & ~7
        self._stack.reserve(route.interface, start + min(room, total))
        buf = self._stack.buffer
        at = 0
        while at < total:
            size = min(room, total - at)
            if at == 0:
                buf[start:start + n] = header
                buf[start + n:start + size] = data[:size - n]
            else:
                buf[start:start + size] = data[at - n:at - n + size]
            self.send_part(now, route, source, destination, protocol, size, ttl, at,
                           at + size < total)
            at += size


class _Unloaded:
    """Stands for a family's ICMP until there is a message for it."""

    def __init__(self, family):
        self._family = family

    def receive(self, *args):
        self._family.icmp.receive(*args)
