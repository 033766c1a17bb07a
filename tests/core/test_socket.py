"""Blocking, non-blocking and polled sockets between two hosts on one virtual Ethernet.

Both hosts live in one thread, in virtual time: while one blocks, the other's stack goes on.
"""

import asyncio
import errno
import gc
import select
import struct
import sys

from mpcore import limits, socket
from mpcore.ip.states import CLOSED
from lan import Lan, run
from support import raises

POLLIN, POLLOUT, POLLNVAL = 1, 4, 0x20
FLUSH, POLL, CLOSE, FILENO = 1, 3, 4, 10
ENOPROTOOPT = 92
MICROPYTHON = sys.implementation.name == "micropython"


def _listen(host, port=80):
    listener = socket.socket(runtime=host.runtime)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("", port))
    listener.listen(2)
    return listener


def _pair():
    """(client, server): the two ends of a connection."""
    a, b = Lan(virtual_time=True).hosts
    listener = _listen(b)
    client = socket.socket(runtime=a.runtime)
    client.connect(socket.getaddrinfo(b.address, 80)[0][-1])
    server, address = listener.accept()
    assert address[0] == a.address
    listener.close()
    return client, server


def _errno(function, *args):
    return raises(OSError, function, *args).errno


def test_connect_send_receive():
    client, server = _pair()
    assert client.send(b"hello") == 5
    assert server.recv(100) == b"hello"
    server.sendall(b"line one\nline two\nrest")
    assert client.readline() == b"line one\n"
    assert client.readline(4) == b"line"
    assert client.recv(2) == b" t"
    assert client.read(3) == b"wo\n"
    buf = bytearray(4)
    assert client.readinto(buf) == 4 and buf == b"rest"
    assert client.recvfrom(0)[0] == b""
    server.close()
    assert client.recv(10) == client.read() == client.readline() == b""
    assert client.readinto(buf) == 0
    client.close()
    client.close()
    assert _errno(client.send, b"x") == _errno(client.recv, 1) == errno.EBADF


def test_reading_waits_for_all_that_is_asked_for():
    client, server = _pair()
    size = limits.TCP_RECEIVE_RING + limits.TCP_SEND_RING - 100
    server.sendall(bytes(range(250)) * (size // 250))
    server.close()
    whole = client.read(size // 250 * 250 - 10)
    assert whole == (bytes(range(250)) * (size // 250))[:-10]
    assert client.makefile("rb").read() == bytes(range(240, 250))
    client.close()


def test_timeouts():
    client, server = _pair()
    client.settimeout(2.5)
    before = client._runtime.now()
    assert _errno(client.recv, 1) == errno.ETIMEDOUT
    assert 2500 <= client._runtime.now() - before < 2600
    assert _errno(client.read, 1) == errno.ETIMEDOUT
    server.sendall(b"x")
    assert _errno(client.read, 2) == errno.ETIMEDOUT
    assert client.recv(1) == b"x"
    client.sendall(bytes(limits.TCP_SEND_RING + limits.TCP_RECEIVE_RING))
    assert _errno(client.sendall, b"no room for this") == errno.ETIMEDOUT


def test_not_waiting_at_all():
    a, b = Lan(virtual_time=True).hosts
    listener = _listen(b)
    listener.setblocking(False)
    assert _errno(listener.accept) == errno.EAGAIN
    client = socket.socket(runtime=a.runtime)
    client.setblocking(False)
    assert _errno(client.connect, (b.address, 80)) == errno.EINPROGRESS
    assert client.ioctl(POLL, POLLOUT) == 0
    assert client.write(b"too early") is None
    for _ in range(10):
        a.runtime.step(0)
        b.runtime.step(0)
    assert client.ioctl(POLL, POLLOUT) == POLLOUT
    server, _ = listener.accept()
    server.setblocking(False)
    assert _errno(server.recv, 1) == errno.EAGAIN
    assert server.read(1) is server.readline() is server.readinto(bytearray(1)) is None
    room = limits.TCP_SEND_RING
    assert room <= client.write(bytes(room * 10)) < room * 10
    b.runtime.step(0)
    assert 0 < len(server.read(room)) <= room
    while server.read(room):
        a.runtime.step(0)
    client.write(b"part of a line")
    b.runtime.step(0)
    assert server.readline() == b"part of a line"


def test_refused_and_unreachable():
    a, b = Lan(virtual_time=True).hosts
    assert _errno(socket.socket(runtime=a.runtime).connect, (b.address, 81)) == errno.ECONNREFUSED
    away = socket.socket(runtime=a.runtime)
    assert _errno(away.connect, ("192.168.1.1", 80)) == errno.EHOSTUNREACH
    nobody = socket.socket(runtime=a.runtime)
    assert _errno(nobody.connect, ("10.0.0.77", 80)) == errno.EHOSTUNREACH
    b.interface.set_addresses(0, [])
    deaf = socket.socket(runtime=a.runtime)
    deaf.settimeout(1)
    assert _errno(deaf.connect, (b.address, 80)) == errno.ETIMEDOUT
    assert not a.stack.tcp.connections
    listener = _listen(a)
    assert _errno(_listen, a) == errno.EADDRINUSE
    listener.close()
    _listen(a).close()


def test_datagrams():
    a, b = Lan(virtual_time=True).hosts
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, runtime=a.runtime)
    two = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, runtime=b.runtime)
    two.bind(("0.0.0.0", 53))
    assert one.sendto(b"question", (b.address, 53)) == 8
    data, address = two.recvfrom(100)
    assert data == b"question" and address[0] == a.address
    two.sendto(b"long answer", address)
    assert one.recvfrom(4) == (b"long", (b.address, 53))    # the rest of a datagram is lost
    assert _errno(one.sendto, b"all", ("10.0.0.255", 53)) == errno.EACCES
    one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    one.sendto(b"all", ("10.0.0.255", 53))
    assert two.recv(100) == b"all"
    one.connect((b.address, 53))
    assert one.send(b"to my peer") == 10
    assert two.read(100) == b"to my peer"
    two.setblocking(False)
    assert _errno(two.recvfrom, 1) == errno.EAGAIN
    assert two.read(1) is None
    two.close()
    one.send(b"anybody?")
    assert _errno(one.recv, 100) == errno.ECONNREFUSED
    assert _errno(one.listen) == _errno(one.accept) == errno.EOPNOTSUPP
    one.close()


def test_requests_that_are_not_known():
    client, server = _pair()
    assert client.ioctl(FILENO, 0) < 0      # nothing that the system's poll could wait for
    assert client.fileno() == client.fileno() >= 0 and client.fileno() != server.fileno()
    assert client.ioctl(FLUSH, 0) == 0
    assert _errno(client.setsockopt, socket.SOL_SOCKET, 9999, 1) == ENOPROTOOPT
    assert _errno(client.getsockopt, socket.SOL_SOCKET, 9999) == ENOPROTOOPT
    with server:
        pass
    assert server.fileno() == -1
    assert server.ioctl(POLL, POLLIN) & POLLNVAL
    assert client.ioctl(POLL, POLLIN | POLLOUT) & POLLIN
    assert client.ioctl(CLOSE, 0) == 0
    assert _errno(client.recv, 1) == errno.EBADF
    assert _errno(socket.socket, socket.AF_INET, 3, 0, client._runtime) == errno.EINVAL


def test_looking_ahead_and_not_waiting():
    client, server = _pair()
    assert _errno(client.recv, 1, socket.MSG_DONTWAIT) == errno.EAGAIN
    assert _errno(client.recv, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == errno.EAGAIN
    server.send(b"abcdefgh")
    assert client.recv(3, socket.MSG_PEEK) == b"abc"
    assert client.recv(5, socket.MSG_PEEK) == b"abcde"
    assert client.recv(2) == b"ab"
    assert client.recv(10) == b"cdefgh"
    server.send(b"ij\nkl")
    assert client.recv(1, socket.MSG_PEEK) == b"i"
    assert client.readline() == b"ij\n" and client.ioctl(POLL, POLLIN) == POLLIN
    buf = bytearray(5)
    assert client.recv_into(buf, 1) == 1 and client.recvfrom_into(buf)[0] == 1 and buf[:1] == b"l"
    assert client.write(b"0123456789", 2) == 2 and client.write(b"0123456789", 5, 3) == 3
    assert server.recv(10) == b"01567"
    server.close()
    assert client.recv(1, socket.MSG_PEEK) == b""


def test_datagrams_looking_ahead_and_not_waiting():
    a, b = Lan(virtual_time=True).hosts
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 0, a.runtime)
    two = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 0, b.runtime)
    two.bind((b.address, 53))
    assert two.getsockname() == (b.address, 53) and one.getsockname() == ("0.0.0.0", 0)
    assert _errno(two.recv, 1, socket.MSG_DONTWAIT) == errno.EAGAIN
    assert one.sendto(b"first", 0, (b.address, 53)) == 5        # flags, as the unix port has them
    one.connect(bytes_address(b.address, 53))
    assert one.getpeername() == (b.address, 53)
    one.send(b"second")
    data, address = two.recvfrom(3, socket.MSG_PEEK)
    assert data == b"fir" and address[0] == a.address
    buf = bytearray(10)
    assert two.recvfrom_into(buf) == (5, address) and buf[:5] == b"first"
    assert two.recv_into(buf, 6) == 6 and buf[:6] == b"second"
    assert _errno(two.send, b"to whom?") == errno.EINVAL
    assert _errno(two.getpeername) == errno.ENOTCONN


def bytes_address(host, port):
    """What the platform's own getaddrinfo gives."""
    import socket as platform
    return platform.getaddrinfo(host, port)[0][-1]


def test_half_closed_connections():
    client, server = _pair()
    client.sendall(b"all I have to say")
    client.shutdown(socket.SHUT_WR)
    assert _errno(client.send, b"x") == 32      # EPIPE
    assert server.read() == b"all I have to say"
    server.sendall(b"answer")
    assert client.recv(100) == b"answer"
    server.shutdown(socket.SHUT_RDWR)
    assert server.recv(1) == client.recv(1) == b""
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 0, client._runtime)
    assert _errno(datagrams.shutdown, socket.SHUT_WR) == errno.EOPNOTSUPP


def test_options_of_connections():
    client, server = _pair()
    get, put = client.getsockopt, client.setsockopt
    for level, option, value in ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 0),
                                 (socket.IPPROTO_IP, socket.IP_TTL, 5),
                                 (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
                                 (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 2),
                                 (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1),
                                 (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
                                 (socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)):
        put(level, option, value)
        assert get(level, option) == value
        put(level, option, struct.pack("i", value))
        assert get(level, option) == value
    assert client._ip.nodelay is False and client._ip.ttl == 5
    assert get(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM
    assert get(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
    assert _errno(put, socket.IPPROTO_IP, socket.IP_TTL, 0) == errno.EINVAL
    assert _errno(put, socket.IPPROTO_IP, socket.IP_TTL, b"1") == errno.EINVAL
    assert _errno(put, socket.SOL_SOCKET, socket.SO_BROADCAST, 1) == ENOPROTOOPT
    frames = server._runtime.node.lan.frames
    server._runtime.node.interface.set_addresses(0, [])     # gone, as if unplugged
    client.settimeout(60)
    assert _errno(client.recv, 1) == errno.ETIMEDOUT
    assert client._runtime.node.lan.frames - frames >= 3    # it asked whether the peer was there
    assert client.recv(1) == b"" and _errno(client.send, b"x") == 32


def test_lingering_for_nothing_resets():
    client, server = _pair()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.send(b"lost?")
    client.close()
    assert server.ioctl(POLL, POLLIN) == POLLIN | 8 | 16    # POLLERR, POLLHUP
    assert server.recv(10) == b"lost?"
    assert server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET
    assert server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    assert server.recv(10) == b"" and server.ioctl(POLL, POLLIN) == POLLIN | 16


def test_lingering_waits_for_the_peer():
    for unplugged, timeout, least, most in ((False, None, 1, 1999), (True, None, 2000, 2001),
                                            (True, 9, 2000, 2001), (True, 0, 0, 0)):
        client, server = _pair()
        lan, tcp = client._runtime.node.lan, client._ip
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 2))
        client.settimeout(timeout)
        client.send(b"all")
        if unplugged:
            server._runtime.node.interface.set_addresses(0, [])
        began = lan.now_ms
        client.close()
        assert least <= lan.now_ms - began <= most, (unplugged, timeout, lan.now_ms - began)
        if not unplugged:
            assert not tcp.outstanding() and server.read() == b"all"
        elif timeout != 0:
            assert tcp.state == CLOSED
        client.close()


if not MICROPYTHON:         # its garbage collector calls no __del__ of a class in Python
    def test_dropped_sockets_are_closed():
        client, server = _pair()
        client.send(b"last words")
        del client
        gc.collect()
        assert server.read() == b"last words"       # and the end after them
        host = Lan(virtual_time=True).hosts[0]
        listener = _listen(host)
        another = socket.socket(runtime=host.runtime)
        assert _errno(another.bind, ("", 80)) == errno.EADDRINUSE
        del listener
        gc.collect()
        _listen(host)


def test_groups():
    a, b = Lan(virtual_time=True).hosts
    member = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 0, b.runtime)
    member.bind(("", 5353))
    group = bytes((224, 0, 0, 251))
    put = member.setsockopt
    put(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + bytes(4))
    assert b.interface.groups.get(group) == 1
    put(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, group + bytes(4))
    assert group not in b.interface.groups
    put(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + b.ip)
    assert _errno(put, socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group) == errno.EINVAL
    another = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 0, b.runtime)
    assert _errno(another.bind, ("", 5353)) == errno.EADDRINUSE
    for each in (member, another):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    another.bind(("", 5353))
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 0, a.runtime)
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
    assert sender._ip.multicast_ttl == 255
    sender.sendto(b"who is bulb?", ("224.0.0.251", 5353))


def test_bound_to_one_network():
    a, b = Lan(virtual_time=True).hosts
    a.interfaces = {bytes(range(8)): a.interface}
    client = socket.socket(runtime=a.runtime)
    name = "0001020304050607"
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name.encode() + b"\0")
    listener = _listen(b)
    client.connect((b.address, 80))
    assert client.getsockname()[0] == a.address and listener.getsockname() == ("0.0.0.0", 80)
    assert _errno(client.setsockopt, socket.SOL_SOCKET, socket.SO_BINDTODEVICE,
                  b"wlan0") == errno.ENODEV


def test_a_function_is_called_when_a_socket_becomes_readable():
    a, b = Lan(virtual_time=True).hosts
    listener = _listen(b)
    called = []
    listener.setsockopt(socket.SOL_SOCKET, 20, called.append)
    client = socket.socket(runtime=a.runtime)
    client.connect((b.address, 80))
    b.runtime.step(0)
    assert called == [listener]
    server, _ = listener.accept()
    server.setsockopt(socket.SOL_SOCKET, 20, called.append)
    client.send(b"x")
    b.runtime.step(0)
    assert called[-1] is server and server.recv(1) == b"x"
    server.setsockopt(socket.SOL_SOCKET, 20, None)
    client.send(b"y")
    b.runtime.step(0)
    assert len(called) == 2 and server.recv(1) == b"y"


def test_addresses():
    assert socket.getaddrinfo("10.0.0.1", "80")[0] == (
        socket.AF_INET, socket.SOCK_STREAM, 0, "", ("10.0.0.1", 80))
    assert socket.getaddrinfo("fe80::1", 80, 0, socket.SOCK_DGRAM)[0][:2] == (
        socket.AF_INET6, socket.SOCK_DGRAM)
    assert _errno(socket.getaddrinfo, "localhost", 80) == -2
    assert _errno(socket.getaddrinfo, "10.0.0.1", 80, socket.AF_INET6) == -2
    assert socket.inet_pton(socket.AF_INET6, "::1") == bytes(15) + b"\1"
    assert socket.inet_aton("1.2.3.4") == b"\1\2\3\4"
    assert socket.inet_ntop(socket.AF_INET, b"\1\2\3\4") == "1.2.3.4"
    assert _errno(socket.inet_aton, "1.2.3") == errno.EINVAL
    assert _errno(socket.inet_ntop, socket.AF_INET6, b"\1\2\3\4") == errno.EINVAL


if MICROPYTHON:     # CPython's select and streams know descriptors only
    def test_select_poll():
        client, server = _pair()
        poller = select.poll()
        poller.register(server, select.POLLIN)
        assert poller.poll(0) == []
        client.sendall(b"wake up")
        assert poller.poll(1000) == [(server, select.POLLIN)]
        assert server.read(7) == b"wake up"
        poller.modify(server, select.POLLIN | select.POLLOUT)
        assert poller.poll(0) == [(server, select.POLLOUT)]
        client.close()
        assert poller.poll(1000)[0][1] & select.POLLIN
        poller.unregister(server)

    def test_streams_of_asyncio():
        async def test(a, b):
            listener = _listen(b)
            listener.setblocking(False)
            client = socket.socket(runtime=a.runtime)
            client.setblocking(False)
            _errno(client.connect, (b.address, 80))
            writer = asyncio.StreamWriter(client, {})
            writer.write(b"first line\n" + bytes(20000) + b"\n")
            draining = asyncio.create_task(writer.drain())
            while True:
                await asyncio.sleep(0)
                try:
                    server, _ = listener.accept()
                    break
                except OSError as e:
                    assert e.errno == errno.EAGAIN
            server.setblocking(False)
            reader = asyncio.StreamReader(server)
            assert await reader.readline() == b"first line\n"
            assert await reader.readexactly(20001) == bytes(20000) + b"\n"
            await draining
            reader.write(b"answer")
            await reader.drain()
            reader.close()
            await reader.wait_closed()
            assert await writer.read() == b"answer"
            await writer.wait_closed()

        run(test)

    def _readable(sock):
        yield asyncio.core._io_queue.queue_read(sock)

    def test_a_loop_wakes_whoever_waits_for_a_socket_by_its_event():
        async def test(a, b):
            listener = _listen(b)
            client = socket.socket(runtime=a.runtime)
            client.setblocking(False)
            _errno(client.connect, (b.address, 80))
            await _readable(listener)
            server, _ = listener.accept()
            polls = []
            ioctl = client.ioctl
            client.ioctl = lambda request, argument: polls.append(request) or ioctl(request,
                                                                                    argument)
            stream = asyncio.StreamReader(client)
            for data in (b"woken", b"again"):
                reading = asyncio.create_task(stream.read(10))
                await asyncio.sleep(0)
                server.send(data)
                assert await reading == data and not polls
                reading = asyncio.create_task(stream.read(10))
                await asyncio.sleep(0)
                reading.cancel()            # and its place in the queue is free again
                try:
                    await reading
                    assert False
                except asyncio.CancelledError:
                    pass
            a.runtime.stop()                # nobody tells now: it has to be polled
            reading = asyncio.create_task(stream.read(10))
            await asyncio.sleep(0)
            server.send(b"polled")
            assert await reading == b"polled" and polls

        run(test)
