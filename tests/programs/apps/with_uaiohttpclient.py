"""uaiohttpclient, whose coroutines are generators, against web.py.

    with_uaiohttpclient.py HOST
"""

import asyncio
import json
import sys

import uaiohttpclient

HOST = sys.argv[1]


async def get(path):
    response = await uaiohttpclient.request("GET", "http://" + HOST + path)
    assert response.status == 200
    data = await response.read()
    response.content.close()
    return data


async def main():
    greeting = await get("/moved")
    assert greeting.startswith(b"hello again from 10.73.1."), greeting
    bodies = await asyncio.gather(*(get("/large") for _ in range(3)))
    assert bodies == [b"0123456789" * 10000] * 3
    print(json.dumps({"works": True}))


asyncio.run(main())
