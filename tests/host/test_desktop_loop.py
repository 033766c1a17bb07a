"""asyncio's event loop with a node in it: libraries for asyncio, unmodified, on both networks."""

import asyncio
import errno
import platform
import socket
import ssl
import subprocess
import sys
from importlib.metadata import version

import aiohttp
import httpx
import pytest
import uvicorn
from aiohttp import web

from host_tools.desktop import loop as overlay_loop
from tests.host.desktop import services
from tests.host.desktop.scene import APPS, ROOT, Scene, free_port, make_certificate, program

PATIENCE_S = 120
LOOP = "loop.run"


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    with Scene(tmp_path_factory.mktemp("loop"), ["there", "here", "other"]) as scene:
        scene.certificate, scene.key = make_certificate(scene.directory)
        with scene.start("there", "run", "--", APPS / "services.py", scene.certificate,
                         scene.key, scene.address("there"), scene.address6("there")) as server:
            server.wait_for("ready")
            yield scene


def run(scene, main):
    """main() with this process as the member "here"; what is left over by then is an error."""
    async def limited():
        loop, raised = asyncio.get_running_loop(), []
        loop.set_exception_handler(lambda _, context: raised.append(context))
        result = await asyncio.wait_for(main(), PATIENCE_S)
        assert not raised
        return result

    node = scene.node("here")
    return overlay_loop.run(limited, node["home"], [scene.id], node["bind"], PATIENCE_S, True)


def url(host, port, path="/"):
    return f"http://{host}:{port}{path}"


def test_clients(scene):
    there, own = scene.address("there"), scene.address("here")

    async def with_aiohttp():
        async with aiohttp.ClientSession() as session:
            async with session.get(url(there, services.AIOHTTP)) as answer:
                assert await answer.text() == own
            async with session.post(url(there, services.AIOHTTP), data=services.LARGE) as answer:
                assert await answer.read() == services.LARGE[::-1]
            async with session.ws_connect(url(there, services.AIOHTTP, "/ws")) as websocket:
                await websocket.send_str("over the overlay")
                assert await websocket.receive_str() == "OVER THE OVERLAY"
            at = url(f"[{scene.address6('there')}]", services.AIOHTTP)
            async with session.get(at) as answer:
                assert await answer.text() == scene.address6("here")

    async def with_httpx():
        async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
            for port in (services.UVICORN, services.HTTP, services.MICRODOT):
                assert (await client.get(url(there, port))).text == own
            answer = await client.post(url(there, services.UVICORN), content=services.LARGE)
            assert answer.content == services.LARGE[::-1]

    async def with_tls():
        context = ssl.create_default_context(cafile=scene.certificate)
        for port in (services.TLS, services.BLOCKING_TLS):
            reader, writer = await asyncio.open_connection(there, port, ssl=context,
                                                           server_hostname="filament.test")
            assert writer.get_extra_info("peername") == (there, port)
            writer.write(services.LARGE)
            received = asyncio.create_task(reader.readexactly(len(services.LARGE)))
            await writer.drain()
            assert await received == services.LARGE
            writer.close()
            await writer.wait_closed()

    async def main():
        with program("aiohttp", version("aiohttp"), LOOP, "client, server, WebSocket, IPv6"):
            await with_aiohttp()
        with program("httpx", version("httpx"), LOOP, "AsyncClient"):
            await with_httpx()
        with program("asyncio", platform.python_version(), LOOP, "streams, TLS, datagrams"):
            await with_tls()

    run(scene, main)


def test_servers(scene):
    """Seen from this process by either network, and from another member."""
    own = scene.address("here")

    async def seen_from(host, port):
        async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
            return (await client.get(url(host, port))).text

    async def seen_by_another(*ports):
        code = "import sys, urllib.request as r\nfor at in sys.argv[1:]: print(r.urlopen(at)" \
               ".read().decode())"
        command = scene.filament("other", "run", "--", sys.executable, "-c", code,
                                 *(url(own, port) for port in ports))
        done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True,
                                       text=True, timeout=PATIENCE_S)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    async def main():
        open_port, uvicorn_port = free_port(), free_port()
        app = web.Application()
        app.add_routes([web.get("/", services.peer_name)])
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "0.0.0.0", open_port).start()
        only = web.TCPSite(runner, own, 0)
        await only.start()
        assert runner.addresses[-1][0] == own
        config = uvicorn.Config(services.asgi, host="0.0.0.0", port=uvicorn_port,
                                log_level="warning")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        for port in (open_port, uvicorn_port):
            for host in ("127.0.0.1", own):
                assert await seen_from(host, port) == host
        private = runner.addresses[-1][1]
        assert await seen_from(own, private) == own
        with pytest.raises(httpx.ConnectError):
            await seen_from("127.0.0.1", private)
        with pytest.raises(OSError) as raised:
            await web.TCPSite(runner, own, private).start()
        assert raised.value.errno == errno.EADDRINUSE
        found = await seen_by_another(open_port, uvicorn_port, private)
        assert found == 3 * [scene.address("other")]
        server.should_exit = True
        await serving
        await runner.cleanup()
        with pytest.raises(httpx.ConnectError):
            await seen_from(own, open_port)

    with program("uvicorn", version("uvicorn"), LOOP, "server"):
        run(scene, main)


def test_tls_server_half_close_and_reset(scene):
    own = scene.address("here")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(scene.certificate, scene.key)
    trust = ssl.create_default_context(cafile=scene.certificate)

    async def count(reader, writer):
        writer.write(b"%d" % len(await reader.read()))
        await writer.drain()
        writer.close()

    async def drop(reader, writer):
        await reader.readexactly(1)
        writer.transport.abort()

    async def main():
        async with await asyncio.start_server(services.echo, own, 0, ssl=context) as server:
            reader, writer = await asyncio.open_connection(
                *server.sockets[0].getsockname(), ssl=trust, server_hostname="filament.test")
            writer.write(b"secret")
            assert await reader.readexactly(6) == b"secret"
            writer.close()
            await writer.wait_closed()
        async with await asyncio.start_server(count, own, 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            for _ in range(4):
                writer.write(services.LARGE)
                await writer.drain()
            writer.write_eof()
            assert int(await reader.read()) == 4 * len(services.LARGE)
            writer.close()
        async with await asyncio.start_server(drop, own, 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"x")
            with pytest.raises(ConnectionResetError):
                await reader.read()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(scene.address("there"), 9)

    run(scene, main)


def test_datagrams(scene):
    class Protocol(asyncio.DatagramProtocol):
        def __init__(self):
            self.received = asyncio.Queue()

        def datagram_received(self, data, address):
            self.received.put_nowait((data, address))

    async def main():
        loop = asyncio.get_running_loop()
        there = (scene.address("there"), services.UDP)
        transport, protocol = await loop.create_datagram_endpoint(Protocol, remote_addr=there)
        transport.sendto(b"connected")
        assert await protocol.received.get() == (b"connected", there)
        transport.close()
        transport, protocol = await loop.create_datagram_endpoint(
            Protocol, local_addr=("0.0.0.0", 0))
        port = transport.get_extra_info("sockname")[1]
        for size in (1, 1400, 5000):
            transport.sendto(bytes(size), there)
            assert await protocol.received.get() == (bytes(size), there)
        for host in ("127.0.0.1", scene.address("here")):
            transport.sendto(b"to myself", (host, port))
            assert await protocol.received.get() == (b"to myself", (host, port))
        transport.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            await asyncio.sleep(0)
            again.bind(("0.0.0.0", port))

    run(scene, main)


def test_a_slow_reader_stops_the_writer(scene):
    async def main():
        accepted = asyncio.get_running_loop().create_future()

        async def hold(reader, writer):
            accepted.set_result(reader)
            await writer.wait_closed()

        async with await asyncio.start_server(hold, scene.address("here"), 0) as server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            reader = await accepted

            async def pour():
                for _ in range(50):
                    writer.write(services.LARGE)
                    await writer.drain()

            pouring = asyncio.create_task(pour())
            done, _ = await asyncio.wait([pouring], timeout=0.5)
            assert not done and writer.transport.get_write_buffer_size() <= len(services.LARGE)
            assert len(await reader.readexactly(len(services.LARGE))) == len(services.LARGE)
            pouring.cancel()
            writer.transport.abort()

    run(scene, main)
