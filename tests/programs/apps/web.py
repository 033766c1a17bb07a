"""microdot with everything that it has: JSON, large bodies, server-sent events, websockets, TLS.

    web.py CERTIFICATE KEY      (PEM; HTTP on port 80, HTTPS on port 443)
"""

import asyncio
import json
import ssl
import sys

from microdot import Microdot
from microdot.sse import with_sse
from microdot.websocket import with_websocket

MODULE = "VALUE = 'came by mip'\n"
EVENTS = 20

app = Microdot()


@app.get("/hello/<name>")
async def hello(request, name):
    return "hello %s from %s" % (name, request.client_addr[0])


@app.post("/sum")
async def add(request):
    return {"sum": sum(request.json["terms"])}


@app.get("/large")
async def large(request):
    return b"0123456789" * 10000


@app.get("/moved")
async def moved(request):
    return "", 302, {"Location": "http://%s/hello/again" % request.headers["Host"]}


@app.get("/events")
@with_sse
async def events(request, sse):
    for i in range(EVENTS):
        await sse.send({"event": i})


@app.get("/echo")
@with_websocket
async def echo(request, ws):
    while True:
        await ws.send(await ws.receive())


@app.get("/package/package.json")
async def package(request):
    base = "http://%s/package/" % request.headers["Host"]
    return {"urls": [["parcel/__init__.py", base + "parcel.py"]], "version": "1"}


@app.get("/package/parcel.py")
async def parcel(request):
    return MODULE


async def main(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with open(certificate, "rb") as cert, open(key, "rb") as private:
        context.load_cert_chain(cert.read(), private.read())
    secure = asyncio.create_task(app.start_server(port=443, ssl=context))
    plain = asyncio.create_task(app.start_server(port=80))
    await asyncio.sleep(0)
    print(json.dumps({"serving": [80, 443]}))
    await asyncio.gather(plain, secure)


asyncio.run(main(*sys.argv[1:]))
