"""A virtual Ethernet inside the test: hosts with a stack and a runtime, and no ZeroTier below."""

import asyncio

from mpcore.ip.stack import Stack
from mpcore.port import entropy
from mpcore.runtime import Runtime

TIMEOUT_S = 60


class Host:
    """As a node for its runtime: a stack; as a port for its runtime: a cable; as a link: itself."""

    mtu = 2800
    headroom = 60
    sockets = ()
    networks = {}
    behind = ()

    def __init__(self, lan, number):
        self.lan = lan
        self.mac = bytes((2, 0, 0, 0, 0, number))
        self.ip = bytes((10, 0, 0, number))
        self.address = "10.0.0.%d" % number
        self.inbox = []
        self.groups = set()
        self.services = []
        self.stack = Stack(entropy)
        self.interface = self.stack.add_interface(self)
        self.interface.set_addresses(0, [(self.ip, 24)])
        self.receiver = self
        self.runtime = Runtime(self, self)

    def transmit(self, now, destination_mac, ethertype, buf, off, n):
        self.lan.frames += 1
        for host in self.lan.hosts:
            if host is not self and (destination_mac in (host.mac, b"\xff" * 6)
                                     or destination_mac in host.groups):
                host.inbox.append((self.mac, destination_mac, ethertype,
                                   bytes(memoryview(buf)[off:off + n])))
                host.runtime.kick()

    def busy(self):
        return False

    def poll(self, now):
        inbox, self.inbox = self.inbox, []
        for source_mac, destination_mac, ethertype, payload in inbox:
            self.interface.receive(now, source_mac, destination_mac, ethertype, payload, 0,
                                   len(payload))
        due = [service.poll(now) for service in self.services] + [self.stack.poll(now)]
        return min([ms for ms in due if ms is not None] or [None])

    def subscribe(self, now, mac):
        self.groups.add(mac)

    def unsubscribe(self, now, mac):
        self.groups.discard(mac)

    def drain(self, receiver, now, ready=None):
        return 0

    def wait(self, timeout_ms):
        """While one host sleeps, the others go on and the lan's own clock ticks."""
        for host in self.lan.hosts:
            if host is not self:
                host.runtime.step(0)
        self.lan.now_ms += 1


class Lan:
    """Hosts 10.0.0.1, 10.0.0.2, ... Blocking tests run in the lan's own time."""

    def __init__(self, hosts=2, virtual_time=False):
        self.frames = 0
        self.now_ms = 0
        self.hosts = []
        for number in range(1, hosts + 1):
            self.hosts.append(Host(self, number))
        if virtual_time:
            for host in self.hosts:
                host.runtime.now = self.now

    def now(self):
        return self.now_ms


def run(test, hosts=2):
    """Run the coroutine test(*hosts) to its end, in real time."""
    lan = Lan(hosts)

    async def main():
        for host in lan.hosts:
            host.runtime.start()
        try:
            await asyncio.wait_for(test(*lan.hosts), TIMEOUT_S)
        finally:
            for host in lan.hosts:
                host.runtime.stop()

    asyncio.run(main())
    asyncio.new_event_loop()    # MicroPython's would keep what the test left behind
