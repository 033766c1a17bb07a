"""A small HTTP/1.1 client for one request at a time, and a reader of Server-Sent Events.

Runs over any asyncio streams: `connect(host, port)` returns a reader and a writer.
"""

import json

_MAX_BODY = 4096


class Response:
    """A response whose body is read line by line, or as a whole when it is JSON.

    status: the HTTP status code. lines: how many lines have come so far, comments and headers
    included, so that somebody can tell a silent server from a dead one. `close()` it when done.
    """

    def __init__(self, reader, writer):
        self._reader = reader
        self._writer = writer
        self.status = self.lines = 0
        self._length = None
        self._chunked = False
        self._rest = b""

    async def _head(self):
        version, _, status = (await self._line()).partition(b" ")
        if not version.startswith(b"HTTP/1."):
            raise ValueError("not an HTTP answer")
        self.status = int(status[:3])
        while True:
            name, _, value = (await self._line()).partition(b":")
            if not name:
                return self
            name, value = name.lower(), value.strip().lower()
            if name == b"content-length":
                self._length = int(value)
            elif name == b"transfer-encoding":
                self._chunked = value == b"chunked"

    async def _line(self):
        line = await self._reader.readline()
        if not line.endswith(b"\n"):
            raise EOFError("connection closed by the server")
        self.lines += 1
        return line.rstrip()

    async def _chunk(self):
        size = int((await self._line()).split(b";")[0], 16)
        if not 0 <= size <= _MAX_BODY:
            raise ValueError("the server sends %d bytes at once" % size)
        data = await self._reader.readexactly(size)
        await self._line()
        return data

    async def line(self):
        """The body's next line without its end. EOFError when the body is over."""
        if not self._chunked:
            return await self._line()
        while b"\n" not in self._rest:
            chunk = await self._chunk()
            if not chunk:
                raise EOFError("connection closed by the server")
            self._rest += chunk
            if len(self._rest) > _MAX_BODY:
                raise ValueError("the server sends a line without end")
        line, _, self._rest = self._rest.partition(b"\n")
        return line.rstrip()

    async def json(self):
        """The whole body as JSON."""
        if self._chunked:
            body = chunk = await self._chunk()
            while chunk and len(body) <= _MAX_BODY:
                chunk = await self._chunk()
                body += chunk
        elif self._length is not None and self._length <= _MAX_BODY:
            body = await self._reader.readexactly(self._length)
        else:
            body = await self._reader.read(_MAX_BODY)
        return json.loads(body)

    async def event(self):
        """The next event: its name and its data as JSON. EOFError when the stream is over."""
        name, data = "message", b""
        while True:
            line = await self.line()
            if len(data) > _MAX_BODY:
                raise ValueError("the server sends an event without end")
            if line.startswith(b"data:"):
                data += line[5:]
            elif line.startswith(b"event:"):
                name = line[6:].strip().decode()
            elif not line and data:
                return name, json.loads(data)

    async def close(self):
        self._writer.close()
        await self._writer.wait_closed()


async def request(connect, host, port, method, target, token=None, body=None):
    """Send one request and read the head of the answer.

    token: bearer token, or None. body: object to send as JSON, or None. Returns a Response;
    raises OSError when the connection fails, EOFError when it ends too early, ValueError when
    the answer is not HTTP.
    """
    head = "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n" % (method, target, host)
    if token is not None:
        head += "Authorization: Bearer %s\r\n" % token
    content = b"" if body is None else json.dumps(body).encode()
    if content:
        head += "Content-Type: application/json\r\nContent-Length: %d\r\n" % len(content)
    reader, writer = await connect(host, port)
    response = Response(reader, writer)
    try:
        writer.write(head.encode() + b"\r\n" + content)
        await writer.drain()
        return await response._head()
    except BaseException:
        await response.close()
        raise
