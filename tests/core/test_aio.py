"""Streams and datagrams between two hosts on one virtual Ethernet."""

import asyncio
import errno

from mpcore import aio, limits
from lan import run
from support import raises


async def _fails(expected, awaitable):
    """The awaitable must raise OSError with this number."""
    try:
        await awaitable
    except OSError as e:
        assert e.errno == expected, e.errno
        return
    raise AssertionError("no error")


async def _pair(a, b):
    """(client, server): the two ends of a connection from a to b."""
    accepted = []
    came = asyncio.Event()

    async def serve(reader, writer):
        accepted.append(reader)
        came.set()

    server = await aio.start_server(serve, b.address, 80, runtime=b.runtime)
    client, _ = await aio.open_connection(b.address, 80, runtime=a.runtime)
    await came.wait()
    server.close()
    return client, accepted[0]


def test_echo():
    async def serve(reader, writer):
        while True:
            line = await reader.readline()
            if not line:
                break
            writer.write(b"you said " + line)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def test(a, b):
        async with await aio.start_server(serve, None, 80, runtime=b.runtime) as server:
            assert server.port == 80
            reader, writer = await aio.open_connection(b.address, 80, runtime=a.runtime)
            assert writer.get_extra_info("peername") == (b.address, 80)
            assert writer.get_extra_info("sockname")[0] == a.address
            assert writer.get_extra_info("cipher") is None
            for text in (b"hello\n", b"\n", b"x" * 3000 + b"\n"):
                await writer.awrite(text)
                assert await reader.readline() == b"you said " + text
            writer.write_eof()
            assert await reader.read() == b""
            await writer.aclose()

    run(test)


def test_every_way_of_reading():
    async def test(a, b):
        client, server = await _pair(a, b)
        await client.awrite(b"one\ntwo\nthree" + bytes(2000))
        assert await server.readline() == b"one\n"
        assert await server.read(2) == b"tw"
        assert await server.read(0) == b""
        assert await server.readline() == b"o\n"
        assert await server.readexactly(5) == b"three"
        buf = bytearray(100)
        assert await server.readinto(buf) == 100 and buf == bytes(100)
        assert await server.readexactly(1900) == bytes(1900)
        await client.awrite(b"rest without end of line")
        client.write_eof()
        assert await server.readline() == b"rest without end of line"
        assert await server.readline() == await server.read(10) == await server.read() == b""
        assert await server.readinto(buf) == 0
        try:
            await server.readexactly(1)
            raise AssertionError("no error")
        except EOFError:
            pass
        await client.aclose()
        await server.aclose()

    run(test)


def test_lines_are_bounded():
    async def test(a, b):
        client, server = await _pair(a, b)
        client.write(b"x" * limits.STREAM_LINE + b"\n")
        try:
            await server.readline()
            raise AssertionError("no error")
        except ValueError:
            pass
        client.abort()
        server.abort()

    run(test)


def test_large_transfer_both_ways_with_back_pressure():
    size = 300000

    def chunk(i, n):
        return bytes([(i + k) * 7 & 0xFF for k in range(n)])

    async def send(writer):
        at = 0
        while at < size:
            n = min(4999, size - at)
            await writer.awrite(chunk(at, n))
            at += n
            assert writer._backlog_bytes == 0
        writer.write_eof()

    async def receive(reader):
        at = 0
        while True:
            data = await reader.read(7001)
            if not data:
                break
            assert data == chunk(at, len(data))
            at += len(data)
        assert at == size

    async def test(a, b):
        client, server = await _pair(a, b)
        await asyncio.gather(send(client), receive(server), send(server), receive(client))
        await client.aclose()
        await server.aclose()

    run(test)


def test_writer_waits_for_a_slow_reader():
    async def test(a, b):
        client, server = await _pair(a, b)
        room = limits.TCP_SEND_RING + limits.TCP_RECEIVE_RING
        client.write(bytes(room + limits.STREAM_BACKLOG + 1))
        sending = asyncio.create_task(client.drain())
        for _ in range(100):
            await asyncio.sleep(0)
        assert client._backlog_bytes >= limits.STREAM_BACKLOG
        raises(OSError, client.write, b"more")
        assert not sending.done()
        assert len(await server.readexactly(room + limits.STREAM_BACKLOG + 1)) > room
        await sending
        client.write(b"more")
        assert await server.readexactly(4) == b"more"
        await client.aclose()
        await server.aclose()

    run(test)


def test_what_was_written_is_sent_without_drain_and_after_close():
    size = limits.TCP_SEND_RING * 5

    async def test(a, b):
        client, server = await _pair(a, b)
        data = bytearray(b"a" * size)
        client.write(data)
        for i in range(size):
            data[i] = 0         # the caller's again
        client.close()
        raises(OSError, client.write, b"more")
        assert await client.read(1) == b""
        closed = asyncio.create_task(client.wait_closed())
        assert await server.read() == b"a" * size
        await closed
        await server.aclose()

    run(test)


def test_half_close():
    async def test(a, b):
        client, server = await _pair(a, b)
        client.write(b"question")
        client.write_eof()
        raises(OSError, client.write, b"more")
        assert await server.read() == b"question"
        await server.awrite(b"answer")
        await server.aclose()
        assert await client.read() == b"answer"
        await client.aclose()

    run(test)


def test_many_clients():
    async def serve(reader, writer):
        name = await reader.readline()
        await asyncio.sleep(0)
        await writer.awrite(name * 100)
        await writer.aclose()

    async def ask(host, server, name):
        reader, writer = await aio.open_connection(server, 80, runtime=host.runtime)
        await writer.awrite(name)
        answer = await reader.read()
        assert answer == name * 100
        await writer.aclose()

    async def test(a, b, c):
        server = await aio.start_server(serve, "0.0.0.0", 80, runtime=c.runtime)
        asks = [ask(host, c.address, b"%d\n" % i) for i in range(4) for host in (a, b)]
        await asyncio.gather(*asks)
        server.close()
        await server.wait_closed()
        assert not server._tasks
        await _fails(errno.ECONNREFUSED, ask(a, c.address, b"late\n"))

    run(test, 3)


def test_refused_unreachable_and_malformed():
    async def test(a, b):
        async def connect(address):
            await aio.open_connection(address, 81, runtime=a.runtime)

        await _fails(errno.ECONNREFUSED, connect(b.address))
        await _fails(errno.EHOSTUNREACH, connect("192.168.1.1"))
        await _fails(-2, connect("bulb.example"))
        assert not a.stack.tcp.connections

    run(test)


def test_failing_callback_resets_the_connection():
    async def serve(reader, writer):
        await reader.readline()
        raise asyncio.CancelledError

    async def test(a, b):
        server = await aio.start_server(serve, None, 80, runtime=b.runtime)
        reader, writer = await aio.open_connection(b.address, 80, runtime=a.runtime)
        await writer.awrite(b"go\n")
        await _fails(errno.ECONNRESET, reader.read(1))
        await _fails(errno.ECONNRESET, writer.awrite(b"more"))
        await _fails(errno.ECONNRESET, writer.drain())
        writer.close()
        await writer.wait_closed()
        server.close()
        assert not server._tasks

    run(test)


def test_timeout_of_a_read_leaves_the_stream_usable():
    async def test(a, b):
        client, server = await _pair(a, b)
        for _ in range(3):
            try:
                await asyncio.wait_for(client.readline(), 0.01)
                raise AssertionError("no timeout")
            except asyncio.TimeoutError:
                pass
        await server.awrite(b"at last\n")
        assert await client.readline() == b"at last\n"
        await client.aclose()
        await server.aclose()

    run(test)


def test_cancelled_connect_leaves_nothing():
    async def test(a, b):
        b.interface.set_addresses(0, [])    # deaf
        task = asyncio.create_task(aio.open_connection(b.address, 80, runtime=a.runtime))
        await asyncio.sleep(0)
        assert a.stack.tcp.connections
        task.cancel()
        try:
            await task
            raise AssertionError("not cancelled")
        except asyncio.CancelledError:
            pass
        assert not a.stack.tcp.connections

    run(test)


def test_abort_wakes_who_waits():
    async def test(a, b):
        client, server = await _pair(a, b)
        reading = asyncio.create_task(client.read(1))
        await asyncio.sleep(0)
        client.abort()
        assert await reading == b""
        await _fails(errno.ECONNRESET, server.read(1))
        server.close()

    run(test)


def test_datagrams_and_broadcast():
    async def test(a, b, c):
        sockets = [aio.Datagrams(port=5000, runtime=host.runtime) for host in (a, b, c)]
        one = aio.Datagrams(broadcast=True, runtime=a.runtime)
        one.sendto(b"to one", (b.address, 5000))
        assert await sockets[1].recvfrom() == (b"to one", (a.address, one.port))
        for address in ("255.255.255.255", "10.0.0.255"):
            one.sendto(b"who is there", (address, 5000))
            for socket in sockets[1:]:
                assert await socket.recvfrom() == (b"who is there", (a.address, one.port))
                socket.sendto(b"me", (a.address, one.port))
            answers = [await one.recvfrom(), await one.recvfrom()]
            assert sorted(answers) == [(b"me", (b.address, 5000)), (b"me", (c.address, 5000))]
        for n in range(4):      # by turns: which host was the last one does not matter
            at = 1 + n % 2
            one.sendto(b"%d" % n, ((b, c)[n % 2].address, 5000))
            assert await sockets[at].recvfrom() == (b"%d" % n, (a.address, one.port))
            sockets[at].sendto(b"so", (a.address, one.port))
            assert await one.recvfrom() == (b"so", ((b, c)[n % 2].address, 5000))
        assert raises(OSError, sockets[0].sendto, b"", ("10.0.0.255", 5000)).errno == errno.EACCES
        raises(ValueError, one.sendto, b"", ("localhost", 5000))
        waiting = asyncio.create_task(one.recvfrom())
        await asyncio.sleep(0)
        one.close()
        await _fails(errno.EBADF, waiting)

    run(test, 3)


def test_no_runtime_is_an_error():
    async def test(a, b):
        await _fails(errno.ENODEV, aio.open_connection("10.0.0.2", 80))

    run(test)
