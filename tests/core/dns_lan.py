"""Hosts on one virtual Ethernet in virtual time: stacks, and services polled with them."""

from mpcore.ip.stack import Stack

import ip_link


class Segment:
    """Stacks 10.0.0.1, 10.0.0.2, ... that hear each other at once; time goes on in steps.

    `frames` has (now, source MAC, destination MAC, EtherType, packet) of all that was sent.
    """

    def __init__(self, hosts=2, ipv6=False):
        self.now = 0
        self.frames = []
        self.kicked = False
        self.hosts = []
        for number in range(1, hosts + 1):
            self.hosts.append(Host(self, number, ipv6))

    def run(self, until_ms, done=None):
        """Let time pass, to each due time by itself; True as soon as done() holds."""
        while True:
            if self._exchange():
                continue
            if done is not None and done():
                return True
            due = [host.due_ms for host in self.hosts if host.due_ms is not None]
            at = max(min(due), self.now + 1) if due else until_ms
            if at >= until_ms:
                self.now = until_ms
                return False
            self.now = at

    def _exchange(self):
        """Poll everybody once and deliver what that sent; whether anybody is to do more."""
        before = len(self.frames)
        self.kicked = False
        for host in self.hosts:
            host.poll(self.now)
        return self.kicked or len(self.frames) > before


class Host:
    """A link of its own, a stack, and the services that are polled with it."""

    mtu = 2800
    headroom = 60

    def __init__(self, segment, number, ipv6):
        self.segment = segment
        self.mac = bytes((2, 0, 0, 0, 0, number))
        self.ip = bytes((10, 0, 0, number))
        self.ip6 = b"\xfd" + bytes(14) + bytes((number,))
        self.groups = set()
        self.services = []
        self.networks = {}
        self.due_ms = None
        self.inbox = []
        self._random = number
        self.stack = Stack(self.entropy)
        self.interface = self.stack.add_interface(self)
        self.interface.set_addresses(0, [(self.ip, 24)] + ([(self.ip6, 64)] if ipv6 else []))

    def kick(self):
        """As Runtime.kick."""
        self.segment.kicked = True

    def entropy(self, n):
        """Not random at all, but other bytes every time."""
        out = []
        for _ in range(n):
            self._random = (self._random * 1103515245 + 12345) & 0x3FFFFFFF
            out.append(self._random >> 16 & 255)
        return bytes(out)

    def subscribe(self, now, mac):
        self.groups.add(mac)

    def unsubscribe(self, now, mac):
        self.groups.discard(mac)

    def transmit(self, now, destination_mac, ethertype, buf, off, n):
        packet = bytes(memoryview(buf)[off:off + n])
        self.segment.frames.append((now, self.mac, destination_mac, ethertype, packet))
        for host in self.segment.hosts:
            if host is not self and (destination_mac in (host.mac, ip_link.BROADCAST_MAC)
                                     or destination_mac in host.groups):
                host.inbox.append((self.mac, destination_mac, ethertype, packet))

    def poll(self, now):
        inbox, self.inbox = self.inbox, []
        for source_mac, destination_mac, ethertype, packet in inbox:
            self.interface.receive(now, source_mac, destination_mac, ethertype, packet, 0,
                                   len(packet))
        due = [service.poll(now) for service in self.services] + [self.stack.poll(now)]
        due = [ms for ms in due if ms is not None]
        self.due_ms = min(due) if due else None
