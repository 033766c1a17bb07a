"""microdot serving on one host of a virtual Ethernet, a client on the other, in either runtime.

    RUNTIME microdot_session.py REPOSITORY DIRECTORY-OF-MICRODOT

Run by test_microdot.py; exits with 0 only when everything was served.
"""

import asyncio
import json
import sys

sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests/core"]
sys.path.append(sys.argv[2])

from microdot import Microdot
from microdot.sse import with_sse
from lan import run
from mpcore import aio

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


@app.get("/events")
@with_sse
async def events(request, sse):
    for i in range(EVENTS):
        await sse.send({"event": i})
        await asyncio.sleep(0)


async def request(a, b, text):
    """(first line, rest of the response after its headers)"""
    reader, writer = await aio.open_connection(b.address, 80, runtime=a.runtime)
    await writer.awrite(text.encode())
    status = await reader.readline()
    while await reader.readline() != b"\r\n":
        pass
    body = await reader.read()
    await writer.aclose()
    return status, body


async def main(a, b):
    server = await aio.start_server(app.handle_request, None, 80, runtime=b.runtime)

    status, body = await request(a, b, "GET /hello/bulb HTTP/1.0\r\nHost: b\r\n\r\n")
    assert status == b"HTTP/1.0 200 OK\r\n", status
    assert body == b"hello bulb from 10.0.0.1", body

    terms = json.dumps({"terms": list(range(1000))})
    status, body = await request(
        a, b, "POST /sum HTTP/1.0\r\nContent-Type: application/json\r\n"
        "Content-Length: %d\r\n\r\n%s" % (len(terms), terms))
    assert status == b"HTTP/1.0 200 OK\r\n" and json.loads(body) == {"sum": 499500}, body

    status, body = await request(a, b, "GET /large HTTP/1.0\r\n\r\n")
    assert body == b"0123456789" * 10000

    status, body = await request(a, b, "GET /nowhere HTTP/1.0\r\n\r\n")
    assert status.startswith(b"HTTP/1.0 404 "), status

    reader, writer = await aio.open_connection(b.address, 80, runtime=a.runtime)
    await writer.awrite(b"GET /events HTTP/1.0\r\n\r\n")
    while await reader.readline() != b"\r\n":
        pass
    for i in range(EVENTS):
        line = await reader.readline()
        assert line[:6] == b"data: " and json.loads(line[6:]) == {"event": i}, line
        assert await reader.readline() == b"\n"
    assert await reader.read() == b""
    await writer.aclose()
    server.close()


run(main)
print("served")
