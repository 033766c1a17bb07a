"""What is tried with libraries for asyncio, by whichever loop runs: against services.py at the
member "there", as the member "here"."""

import asyncio
import ssl

import aiohttp
import httpx

from tests.host.desktop import services

PATIENCE_S = 120


def url(host, port, path="/"):
    return f"http://{host}:{port}{path}"


async def with_aiohttp(scene):
    there = scene.address("there")
    async with aiohttp.ClientSession() as session:
        async with session.get(url(there, services.AIOHTTP)) as answer:
            assert await answer.text() == scene.address("here")
        async with session.get(url(there, services.AIOHTTP, "/large")) as answer:
            assert await answer.read() == services.LARGE
        async with session.post(url(there, services.AIOHTTP), data=services.LARGE) as answer:
            assert await answer.read() == services.LARGE[::-1]
        async with session.ws_connect(url(there, services.AIOHTTP, "/ws")) as websocket:
            await websocket.send_str("over the overlay")
            assert await websocket.receive_str() == "OVER THE OVERLAY"
        at = url(f"[{scene.address6('there')}]", services.AIOHTTP)
        async with session.get(at) as answer:
            assert await answer.text() == scene.address6("here")


async def with_httpx(scene):
    there = scene.address("there")
    async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
        for port in (services.UVICORN, services.HTTP, services.MICRODOT):
            assert (await client.get(url(there, port))).text == scene.address("here")
        bodies = [services.LARGE[:size] for size in (1, 1000, 100000)]
        answers = await asyncio.gather(*(client.post(url(there, services.UVICORN), content=body)
                                         for body in bodies))
        assert [answer.content for answer in answers] == [body[::-1] for body in bodies]


async def with_tls(scene):
    there = scene.address("there")
    context = ssl.create_default_context(cafile=scene.certificate)
    for port in (services.TLS, services.BLOCKING_TLS):
        reader, writer = await asyncio.open_connection(there, port, ssl=context,
                                                       server_hostname="filament.test")
        assert writer.get_extra_info("peername") == (there, port)
        assert writer.get_extra_info("sockname")[0] == scene.address("here")
        writer.write(services.LARGE)
        received = asyncio.create_task(reader.readexactly(len(services.LARGE)))
        await writer.drain()
        assert await received == services.LARGE
        writer.close()
        await writer.wait_closed()


class Received(asyncio.DatagramProtocol):
    """Keeps what comes in `queue`."""

    def __init__(self):
        self.queue = asyncio.Queue()

    def datagram_received(self, data, address):
        self.queue.put_nowait((data, address))


async def with_datagrams(scene):
    loop = asyncio.get_running_loop()
    there = (scene.address("there"), services.UDP)
    for options in ({"remote_addr": there}, {"local_addr": ("0.0.0.0", 0)}):
        transport, protocol = await loop.create_datagram_endpoint(Received, **options)
        for size in (1, 1400, 5000):
            transport.sendto(bytes(size), there)
            assert await protocol.queue.get() == (bytes(size), there)
        if "local_addr" in options:
            port = transport.get_extra_info("sockname")[1]
            for host in ("127.0.0.1", scene.address("here")):
                transport.sendto(b"to myself", (host, port))
                assert await protocol.queue.get() == (b"to myself", (host, port))
        transport.close()
