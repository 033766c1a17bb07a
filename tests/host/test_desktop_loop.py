"""asyncio's event loop with a node in it: libraries for asyncio, unmodified, on both networks."""

import asyncio
import errno
import platform
import ssl
import subprocess
import sys
from importlib.metadata import version

import httpx
import pytest
import uvicorn
from aiohttp import web

from host_tools.desktop import loop as overlay_loop
from tests.host.desktop import checks, services
from tests.host.desktop.checks import PATIENCE_S
from tests.host.desktop.scene import ROOT, free_port, program, with_services

LOOP = "loop.run"


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    with with_services(tmp_path_factory.mktemp("loop")) as scene:
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


def test_clients(scene):
    async def main():
        with program("aiohttp", version("aiohttp"), LOOP, "client, server, WebSocket, IPv6"):
            await checks.with_aiohttp(scene)
        with program("httpx", version("httpx"), LOOP, "AsyncClient"):
            await checks.with_httpx(scene)
        with program("asyncio", platform.python_version(), LOOP, "streams, TLS, datagrams"):
            await checks.with_tls(scene)
            await checks.with_datagrams(scene)

    run(scene, main)


def test_servers(scene):
    """Seen from this process by either network, and from another member."""
    own = scene.address("here")

    async def seen_from(host, port):
        async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
            return (await client.get(checks.url(host, port))).text

    async def seen_by_another(*ports):
        code = "import sys, urllib.request as r\nfor at in sys.argv[1:]: print(r.urlopen(at)" \
               ".read().decode())"
        command = scene.filament("other", "run", "--", sys.executable, "-c", code,
                                 *(checks.url(own, port) for port in ports))
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
