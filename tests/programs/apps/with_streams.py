"""MicroPython's own asyncio streams against web.py's events and websocket, byte by byte as sent.

    with_streams.py HOST
"""

import asyncio
import json
import sys


async def main(host):
    reader, writer = await asyncio.open_connection(host, 80)
    writer.write(b"GET /events HTTP/1.0\r\nHost: web\r\n\r\n")
    await writer.drain()
    assert b" 200 " in await reader.readline()
    while await reader.readline() != b"\r\n":
        pass
    for i in range(20):
        line = await reader.readline()
        assert line[:6] == b"data: " and json.loads(line[6:]) == {"event": i}, line
        assert await reader.readline() == b"\n"
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()

    reader, writer = await asyncio.open_connection(host, 80)
    writer.write(b"GET /echo HTTP/1.1\r\nHost: web\r\nUpgrade: websocket\r\n"
                 b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                 b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    await writer.drain()
    assert b" 101 " in await reader.readline()
    accepted = False
    while True:
        line = await reader.readline()
        if line == b"\r\n":
            break
        accepted = accepted or b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in line
    assert accepted
    mask, text = b"\1\2\3\4", b"over the air"
    writer.write(b"\x81" + bytes([0x80 | len(text)]) + mask
                 + bytes([text[i] ^ mask[i % 4] for i in range(len(text))]))
    await writer.drain()
    assert await reader.readexactly(2 + len(text)) == b"\x81" + bytes([len(text)]) + text
    writer.close()
    print(json.dumps({"works": True, "events": 20}))


asyncio.run(main(sys.argv[1]))
