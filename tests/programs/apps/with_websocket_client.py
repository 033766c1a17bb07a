"""async_websocket_client, which asks a socket that does not wait again and again, against web.py.

    with_websocket_client.py HOST
"""

import asyncio
import json
import sys
import time

from async_websocket_client import AsyncWebsocketClient

HOST = sys.argv[1]
MESSAGES = 20


async def main():
    ws = AsyncWebsocketClient(0)
    assert await ws.handshake("ws://%s/echo" % HOST)
    began = time.ticks_us()
    for number in range(MESSAGES):
        await ws.send("message %d" % number)
        assert await ws.recv() == "message %d" % number
    echo_ms = time.ticks_diff(time.ticks_us(), began) / 1000 / MESSAGES
    await ws.send("x" * 4000)
    assert await ws.recv() == "x" * 4000
    await ws.close()
    print(json.dumps({"works": True, "websocket_echo_ms": echo_ms}))


asyncio.run(main())
