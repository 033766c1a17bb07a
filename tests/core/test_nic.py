"""A NIC on a network of our own: root, controller and members over UDP on 127.0.0.1.

All of them live in one thread; whoever waits lets the others go on.
"""

import asyncio
import errno

from mpcore import aio, dns, runtimes, socket
from mpcore.nic import NIC
from mpcore.node import Node
from mpcore.port import Port, now_ms, wall_ms
from mpcore.roles.controller import Controller
from mpcore.roles.root import Root
from mpcore.runtime import Runtime
from mpcore.vl1 import world
from lan import TIMEOUT_S
from scenes import identity
from scratch import Scratch
from slow_crypto import SlowCrypto
from support import raises

FIELDS = {"name": "home", "private": False, "v4AssignMode": {"zt": True},
          "routes": [{"target": "10.147.17.0/24", "via": None},
                     {"target": "0.0.0.0/0", "via": "10.147.17.254"}],
          "dns": {"domain": "home.arpa", "servers": ["10.147.17.253"]},
          "ipAssignmentPools": [{"ipRangeStart": "10.147.17.1", "ipRangeEnd": "10.147.17.100"}]}


class Authority:
    """Root and controller in one node, as a self-hosted network has it."""

    def __init__(self, home, private=False):
        self.port = Port(home, "127.0.0.1:0")
        who = identity(0)
        self.planet = world.World.make(world.PLANET, bytes(7) + b"\1", 1,
                                       [(who, [self.port.local[0]])], bytes(range(64)))
        self.node = Node(self.port, who, self.planet, epoch_ms=wall_ms() - now_ms(), loopback=True)
        Root(self.node.vl1, self.node.vl2)
        self.controller = Controller(self.node.vl1, self.node.vl2, self.port.load, self.port.store,
                                     self.port.names, self.port.remove)
        self.nwid = who.address + b"\0\0\1"
        self.controller.create_network(now_ms(), dict(FIELDS, private=private), self.nwid)
        self.receiver, self.busy = self.node.receiver, self.node.busy
        self.runtime = Runtime(self, self.port)

    def poll(self, now):
        return min(self.node.poll(now), self.controller.poll(now) or now + 1000)

    def member(self, home, i, **options):
        """An active NIC of the i-th identity."""
        files = Port(home, "127.0.0.1:0")
        files.store("identity.secret", identity(i).to_text(secret=True).encode())
        files.store("planet", self.planet.to_bytes())
        files.close()
        nic = NIC(home, "127.0.0.1:0", loopback=True, **options)
        assert not nic.active()
        nic.active(True)
        assert nic.active()
        return nic

    def wait(self, condition):
        """As a script does it that waits with time.sleep."""
        end = now_ms() + TIMEOUT_S * 1000
        while not condition():
            assert now_ms() < end
            self.runtime.step(5)


def test_a_script_joins_and_leaves():
    with Scratch() as home:
        authority = Authority(home + "/authority")
        nic = authority.member(home + "/a", 1)
        try:
            assert nic.status() == NIC.STAT_IDLE and nic.status("reason") == ""
            assert nic.ifconfig() == ("0.0.0.0",) * 4 and nic.config("mac") is None
            assert nic.config("address") == identity(1).address.hex()
            nic.connect(authority.nwid.hex())
            assert nic.status() == NIC.STAT_CONNECTING
            assert nic.status("name") == "REQUESTING_CONFIGURATION"
            authority.wait(nic.isconnected)
            assert nic.status() == NIC.STAT_GOT_IP and nic.status("online")
            address, netmask, gateway, dns = nic.ifconfig()
            assert address.startswith("10.147.17.") and netmask == "255.255.255.0"
            assert (gateway, dns) == ("10.147.17.254", "10.147.17.253")
            assert nic.ipconfig("addr4") == (address, netmask)
            assert nic.ipconfig("gw4") == gateway
            assert nic.ipconfig("addr6") == [] and nic.ipconfig("has_dhcp4") is False
            assert nic.config("network") == authority.nwid.hex()
            assert nic.config("ssid") == "home" and nic.config("mtu") == 2800
            assert len(nic.config("mac")) == 6
            raises(ValueError, nic.config, "channel")
            raises(ValueError, nic.status, "rssi")
            raises(ValueError, nic.ipconfig, "addr5")
            assert raises(OSError, nic.ifconfig, nic.ifconfig()).errno == errno.EPERM
            nic.connect(int.from_bytes(authority.nwid, "big"))      # the same: nothing happens
            assert nic.isconnected()
            nic.disconnect()
            assert not nic.isconnected() and nic.status() == NIC.STAT_IDLE
            assert not nic.node.networks
        finally:
            nic.active(False)
        assert not nic.active()
        assert raises(OSError, nic.connect, authority.nwid.hex()).errno == errno.ENODEV
        authority.port.close()


def test_access_denied_until_authorised():
    with Scratch() as home:
        authority = Authority(home + "/authority", private=True)
        nic = authority.member(home + "/a", 1)
        try:
            nic.connect(authority.nwid.hex())

            def refused():
                return not nic.isconnected() and nic.status() == NIC.STAT_ACCESS_DENIED

            authority.wait(refused)
            assert nic.status("name") == "ACCESS_DENIED"
            authority.controller.authorize(now_ms(), authority.nwid, identity(1).address, True)
            authority.runtime.kick()
            authority.wait(nic.isconnected)
        finally:
            nic.active(False)
            authority.port.close()


def test_sockets_and_streams_use_the_active_nic():
    async def main(authority, a, b):
        authority.runtime.start()
        for nic in (a, b):
            nic.connect(authority.nwid.hex())
            await nic.wait_connected()

        async def echo(reader, writer):
            await writer.awrite(await reader.readline())
            await writer.aclose()

        server = await aio.start_server(echo, None, 7, runtime=b.runtime)
        reader, writer = await aio.open_connection(b.ifconfig()[0], 7)
        await writer.awrite(b"over the virtual network\n")
        assert await reader.read() == b"over the virtual network\n"
        await writer.aclose()
        server.close()
        seeker = aio.Datagrams(broadcast=True)
        found = aio.Datagrams(port=9, runtime=b.runtime)
        seeker.sendto(b"who is there", ("255.255.255.255", 9))
        assert await found.recvfrom() == (b"who is there", (a.ifconfig()[0], seeker.port))
        assert socket.socket()._runtime is a.runtime
        seeker.close()
        found.close()
        authority.runtime.stop()
        for nic in (a, b):
            nic.active(False)

    with Scratch() as home:
        authority = Authority(home + "/authority")
        a, b = authority.member(home + "/a", 1), authority.member(home + "/b", 2)
        try:
            asyncio.run(asyncio.wait_for(main(authority, a, b), TIMEOUT_S))
            assert not runtimes.active()
        finally:
            a.active(False)
            b.active(False)
            authority.port.close()
            asyncio.new_event_loop()


def test_a_nic_is_found_by_its_hostname():
    async def main(authority, a, b):
        authority.runtime.start()
        for nic in (a, b):
            nic.connect(authority.nwid.hex())
            await nic.wait_connected()
        found = []
        while not found:
            try:
                found = await dns.resolve(a.runtime, "bulb.local", 4)
            except OSError:
                pass        # nobody has answered yet
        assert found == [socket.inet_aton(b.ifconfig()[0])] and b.responder.established
        assert (a.config("hostname"), b.config("hostname")) == (None, "bulb")
        b.disconnect()
        while b.node.stack.udp.sockets:
            await asyncio.sleep(0.01)

    with Scratch() as home:
        authority = Authority(home + "/authority")
        a = authority.member(home + "/a", 1)
        b = authority.member(home + "/b", 2, hostname="bulb")
        try:
            asyncio.run(asyncio.wait_for(main(authority, a, b), TIMEOUT_S))
        finally:
            authority.runtime.stop()
            for nic in (a, b):
                nic.active(False)
            authority.port.close()
            asyncio.new_event_loop()
        nameless = NIC(home + "/b", "127.0.0.1:0", hostname="")
        raises(ValueError, nameless.active, True)
        assert not nameless.active()


def test_what_is_missing_is_said():
    with Scratch() as home:
        nic = NIC(home, "127.0.0.1:0")
        error = raises(OSError, nic.active, True)
        assert error.errno == errno.ENOENT and "identity.secret" in str(error)
        assert not nic.active()
        raises(ValueError, nic.connect, "8056c2e21c")
        raises(ValueError, nic.connect, "not hexadecimal!")
        assert not nic.isconnected()


def test_who_asks_now_and_then_does_not_wait_for_each_slice():
    with SlowCrypto(50) as slow, Scratch() as home:
        authority = Authority(home + "/authority")
        nic = authority.member(home + "/a", 1, sliced=True)

        def connected():
            usable = nic.isconnected()
            assert not nic.node.busy()
            return usable

        try:
            nic.connect(authority.nwid.hex())
            authority.wait(connected)
            assert slow.agreements and slow.verifications
        finally:
            nic.active(False)
            authority.port.close()
