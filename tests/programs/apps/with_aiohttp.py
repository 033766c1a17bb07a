"""aiohttp's client against web.py: requests, a stream of events, a websocket.

    with_aiohttp.py HOST
"""

import asyncio
import json
import sys
import time

import aiohttp

HOST = sys.argv[1]
MESSAGES = 50


async def main():
    async with aiohttp.ClientSession("http://" + HOST) as session:
        async with session.get("/hello/bulb") as response:
            assert response.status == 200
            assert (await response.text()).startswith("hello bulb from 10.73.1.")
        async with session.post("/sum", json={"terms": [1, 2, 3]}) as response:
            assert await response.json() == {"sum": 6}
        async with session.get("/large") as response:
            assert await response.read() == b"0123456789" * 10000
        async with session.get("/events") as response:
            events = (await response.read()).decode().split("\n\n")
            assert [json.loads(each[6:])["event"] for each in events if each] == list(range(20))
        async with session.ws_connect("ws://%s/echo" % HOST) as ws:
            began = time.ticks_us()
            for number in range(MESSAGES):
                await ws.send_str("message %d" % number)
                assert await ws.receive_str() == "message %d" % number
            echo_ms = time.ticks_diff(time.ticks_us(), began) / 1000 / MESSAGES
            await ws.send_str("x" * 4000)
            assert await ws.receive_str() == "x" * 4000
    print(json.dumps({"works": True, "websocket_echo_ms": echo_ms}))


asyncio.run(main())
