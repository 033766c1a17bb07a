"""Ways out for proxy and forward: over a virtual network or the platform's, and what goes along."""

import asyncio
import socket

from host_tools.desktop import names, reach
from mpcore import aio
from mpcore.vl1.inet import ip_parse, ip_text

_CHUNK = 65536


async def resolve(runtime, host):
    """The addresses (bytes) of a host; a name may be the virtual networks' or the platform's."""
    ip = reach.numeric(host)
    if ip is not None:
        return [ip]
    found = await names.resolve(runtime, host)
    if not found:
        entries = await asyncio.get_running_loop().getaddrinfo(host, 0, type=socket.SOCK_STREAM)
        found = [ip_parse(entry[4][0].partition("%")[0]) for entry in entries]
    return found


async def connect(runtime, host, port):
    """(reader, writer) of a TCP connection to the first address of a host that answers.

    Raises OSError.
    """
    failure = OSError(f"{host}: no address")
    for ip in await resolve(runtime, host):
        try:
            if reach.leads(runtime.node, ip):
                return await aio.open_connection(ip_text(ip), port, runtime=runtime)
            return await asyncio.open_connection(ip_text(ip), port)
        except OSError as error:
            failure = error
    raise failure


async def relay(one, other):
    """Pass on what two connections, (reader, writer) each, say to each other until both have
    ended. A failure of one ends both; nothing is raised for it."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_copy(one[0], other[1]))
            group.create_task(_copy(other[0], one[1]))
    except* OSError:
        abort(one[1])
        abort(other[1])
    finally:
        one[1].close()
        other[1].close()


async def _copy(reader, writer):
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


def abort(writer):
    """Drop a connection of either kind at once."""
    getattr(writer, "transport", writer).abort()
