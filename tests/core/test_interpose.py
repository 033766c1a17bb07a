"""One socket module for two networks: 10.0.0.0/24 inside the test, and the platform's loopback."""

import asyncio
import errno
import select
import sys

import mpcore
from mpcore import interposed as socket, runtimes
from mpcore.ip.tcp import TcpSocket
from mpcore.port import Native, entropy
from lan import TIMEOUT_S, Lan
from support import raises

MICROPYTHON = sys.implementation.name == "micropython"
LOCAL = "127.0.0.1"


class Networks:
    """Two active nodes on one virtual Ethernet, and a port that is free on either network."""

    def __init__(self, any_address="both"):
        self.a, self.b = Lan().hosts
        self.any_address = any_address
        self.port = 20000 + int.from_bytes(entropy(2), "big") % 10000
        self.opened = []

    def __enter__(self):
        for host in (self.a, self.b):
            runtimes.activate(host.runtime)
        self.modules = {name: sys.modules.get(name) for name in ("socket", "usocket")}
        mpcore.interpose(self.any_address)
        return self

    def __exit__(self, kind, error, traceback):
        mpcore.interpose("both")
        for host in (self.a, self.b):
            runtimes.deactivate(host.runtime)
        for sock in self.opened:
            sock.close()
        for name, module in self.modules.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module

    def open(self, kind=socket.SOCK_STREAM, bind=None, listen=False):
        sock = socket.socket(socket.AF_INET, kind)
        sock.settimeout(TIMEOUT_S)
        self.opened.append(sock)
        if bind is not None:
            while True:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    sock.bind(socket.getaddrinfo(bind, self.port)[0][-1])
                    break
                except OSError as e:
                    assert e.errno == errno.EADDRINUSE
                    self.port += 1
        if listen:
            sock.listen(4)
        return sock

    def connected(self, listener, host):
        """(client, server) of a connection to the listener by an address of it."""
        client = self.open()
        client.connect((host, self.port))
        server, address = listener.accept()
        server.settimeout(TIMEOUT_S)
        self.opened.append(server)
        assert address[0] == (LOCAL if host == LOCAL else self.a.address)
        return client, server


def _errno(function, *args):
    return raises(OSError, function, *args).errno


def _talk(client, server):
    client.send(b"question\n")
    assert server.readline() == b"question\n"
    server.write(b"answer")
    server.close()
    assert client.recv(3, socket.MSG_PEEK) == b"ans"
    assert client.read() == b"answer"


def test_the_first_address_decides():
    with Networks() as net:
        for host, kind in ((net.b.address, TcpSocket), (LOCAL, Native)):
            client, server = net.connected(net.open(bind=host, listen=True), host)
            assert isinstance(client._ip, kind) and isinstance(server._ip, kind)
            _talk(client, server)


def test_bound_to_any_address_both_are_served():
    with Networks() as net:
        listener = net.open(bind="0.0.0.0", listen=True)
        for host in (LOCAL, net.b.address, net.a.address, LOCAL):
            _talk(*net.connected(listener, host))
        listener.settimeout(0.01)
        assert _errno(listener.accept) == errno.ETIMEDOUT
        other = net.open()
        assert _errno(other.bind, ("", net.port)) == errno.EADDRINUSE
        listener.close()
        for host in (LOCAL, net.b.address):
            assert _errno(net.open().connect, (host, net.port)) == errno.ECONNREFUSED


def test_bound_to_any_address_of_ipv6():
    try:
        probe = Native(socket.AF_INET6, socket.SOCK_STREAM)
        probe.bind(bytes(15) + b"\1", 0)
        probe.close(0)
    except OSError:
        return              # a host without IPv6
    with Networks() as net:
        listener = socket.socket(socket.AF_INET6)
        net.opened.append(listener)
        listener.settimeout(TIMEOUT_S)
        listener.bind(("::", net.port))
        listener.listen(2)
        client = net.open()
        client.connect(("::1", net.port))
        server, address = listener.accept()
        net.opened.append(server)
        assert address[0] == "::1" and client.getpeername() == ("::1", net.port, 0, 0)
        _talk(client, server)


def test_bound_to_any_address_of_one_network():
    for rule, served, closed in (("virtual", 1, 0), ("platform", 0, 1)):
        with Networks(rule) as net:
            hosts = (LOCAL, net.b.address)
            listener = net.open(bind="", listen=True)
            _talk(*net.connected(listener, hosts[served]))
            assert _errno(net.open().connect, (hosts[closed], net.port)) == errno.ECONNREFUSED
    with Networks() as net:
        listener = net.open(listen=True)        # never bound: a port of its own choice
        assert listener.getsockname()[1] >= 49152


def test_datagrams_to_and_from_both():
    with Networks() as net:
        server = net.open(socket.SOCK_DGRAM, bind="0.0.0.0")
        client = net.open(socket.SOCK_DGRAM)
        client.setblocking(False)
        assert _errno(client.recv, 1) == errno.EAGAIN
        client.settimeout(TIMEOUT_S)
        for host in (LOCAL, net.b.address, LOCAL):
            client.sendto(b"to " + host.encode(), (host, net.port))
            data, address = server.recvfrom(100)
            assert data == b"to " + host.encode()
            server.sendto(b"back", address)
            data, address = client.recvfrom(100)
            assert data == b"back" and address[1] == net.port
            assert address[0] == LOCAL if host == LOCAL else address[0].startswith("10.0.0.")
        one = net.open(socket.SOCK_DGRAM)
        one.connect((net.b.address, net.port))
        one.send(b"connected")
        assert server.recv(100) == b"connected"
        everybody = ("255.255.255.255", net.port)
        assert _errno(client.sendto, b"all", everybody) in (errno.EACCES, 101)  # or ENETUNREACH
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        client.sendto(b"all", everybody)
        assert server.recvfrom(100)[0] == b"all"


def test_no_connection_on_either():
    with Networks() as net:
        fresh = net.open()
        assert _errno(fresh.recv, 1) == _errno(fresh.send, b"x") == errno.ENOTCONN
        assert fresh.ioctl(3, 5) == 4 | 16
        for host in (LOCAL, net.b.address):
            client = net.open()
            assert _errno(client.connect, (host, net.port)) == errno.ECONNREFUSED
            later = net.open()
            later.setblocking(False)
            begun = _errno(later.connect, (host, net.port))
            assert begun in (errno.EINPROGRESS, errno.ECONNREFUSED)
            if begun == errno.EINPROGRESS:
                while not later.ioctl(3, 4):
                    pass
                assert later.ioctl(3, 4) & 8
                assert _errno(later.send, b"x") == errno.ECONNREFUSED


def test_nodes_are_driven_while_a_socket_of_the_platform_blocks():
    with Networks() as net:
        answers = []
        net.a.stack.echo(net.a.runtime.now(), net.b.ip, 1, 1, b"ping",
                         lambda *answer: answers.append(answer))
        waiting = net.open(socket.SOCK_DGRAM, bind=LOCAL)
        waiting.settimeout(0.05)
        assert _errno(waiting.recv, 1) == errno.ETIMEDOUT
        assert len(answers) == 1


def test_options_reach_whatever_end_comes():
    with Networks() as net:
        listener = net.open(bind="0.0.0.0", listen=True)
        for host in (LOCAL, net.b.address):
            client = net.open()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
            client.connect((host, net.port))
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM
            if host == net.b.address:
                assert client._ip.nodelay is False
            client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            listener.accept()[0].close()


def test_what_takes_the_place_of_the_platforms_module():
    with Networks():
        import socket as imported
        assert imported is socket is sys.modules["usocket"]
        assert imported.getaddrinfo("10.0.0.9", 80)[0] == (
            socket.AF_INET, socket.SOCK_STREAM, 0, "", ("10.0.0.9", 80))
        assert (LOCAL, 81) in [info[-1] for info in imported.getaddrinfo("localhost", 81)]
        assert _errno(imported.getaddrinfo, "no.such.name.invalid", 1) < 0
        assert imported.SHUT_RDWR == 2
        raises(AttributeError, getattr, imported, "no_such_thing")


if MICROPYTHON:     # CPython's select and streams know descriptors only
    def test_one_poll_for_both():
        with Networks() as net:
            listener = net.open(bind="0.0.0.0", listen=True)
            pairs = [net.connected(listener, host) for host in (LOCAL, net.b.address)]
            poller = select.poll()
            for _, server in pairs:
                poller.register(server, select.POLLIN)
            poller.register(listener, select.POLLIN)
            assert poller.poll(1) == []
            for client, server in pairs:
                client.send(b"x")
                assert poller.poll(TIMEOUT_S * 1000) == [(server, select.POLLIN)]
                assert server.recv(10) == b"x"
            pairs[0][0].close()
            assert poller.poll(TIMEOUT_S * 1000)[0][1] & select.POLLIN

    def test_one_loop_for_both():
        async def main(net):
            async def shout(reader, writer):
                writer.write((await reader.readline()).upper())
                await writer.drain()
                writer.close()
                await writer.wait_closed()

            async with await asyncio.start_server(shout, "0.0.0.0", net.port):
                for host in (LOCAL, net.b.address):
                    reader, writer = await asyncio.open_connection(host, net.port)
                    writer.write(b"hello\n")
                    await writer.drain()
                    assert await reader.read() == b"HELLO\n"
                    writer.close()
                    await writer.wait_closed()

        with Networks() as net:
            asyncio.run(asyncio.wait_for(main(net), TIMEOUT_S))
            asyncio.new_event_loop()
