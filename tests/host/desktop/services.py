"""Servers of other people's making, none of which knows of Filament.

    python services.py CERTIFICATE KEY HOST HOST6

HOST, HOST6: addresses to serve at, the latter with aiohttp only.
"""

import asyncio
import json
import socket
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import uvicorn
from aiohttp import WSMsgType, web
from microdot import Microdot

HTTP, AIOHTTP, UVICORN, TLS, BLOCKING_TLS, UDP, MICRODOT = range(8001, 8008)
LARGE = bytes(range(256)) * 8192        # 2 MB


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(LARGE if self.path == "/large" else self.client_address[0].encode())

    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(data[::-1])

    def log_message(self, *arguments):
        pass


async def peer_name(request):
    return web.Response(text=request.remote)


async def large(request):
    return web.Response(body=LARGE)


async def reverse(request):
    return web.Response(body=(await request.read())[::-1])


async def websocket(request):
    answers = web.WebSocketResponse()
    await answers.prepare(request)
    async for message in answers:
        if message.type == WSMsgType.TEXT:
            await answers.send_str(message.data.upper())
    return answers


async def asgi(scope, receive, send):
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body[::-1] or scope["client"][0].encode()})


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


class EchoDatagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data, address)


def blocking_tls(context, host):
    listener = socket.create_server((host, BLOCKING_TLS))
    with context.wrap_socket(listener, server_side=True) as server:
        while True:
            peer, _ = server.accept()
            with peer:
                while data := peer.recv(65536):
                    peer.sendall(data)


async def main(certificate, key, host, host6):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    for target, arguments in ((ThreadingHTTPServer((host, HTTP), Handler).serve_forever, ()),
                              (blocking_tls, (context, host))):
        threading.Thread(target=target, args=arguments, daemon=True).start()
    app = web.Application(client_max_size=1 << 24)
    app.add_routes([web.get("/", peer_name), web.get("/large", large), web.post("/", reverse),
                    web.get("/ws", websocket)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, [host, host6], AIOHTTP).start()
    server = uvicorn.Server(uvicorn.Config(asgi, host=host, port=UVICORN, log_level="warning"))
    serving = asyncio.create_task(server.serve())
    micro = Microdot()
    micro.get("/")(lambda request: request.client_addr[0])
    others = asyncio.create_task(micro.start_server(host, MICRODOT))
    await asyncio.start_server(echo, host, TLS, ssl=context)
    await asyncio.get_running_loop().create_datagram_endpoint(
        EchoDatagrams, local_addr=(host, UDP))
    while not server.started:
        await asyncio.sleep(0.01)
    print(json.dumps({"ready": True}), flush=True)
    await asyncio.wait([serving, others])


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
