"""Ways out for proxy and forward: over a virtual network or the platform's."""

import asyncio
import errno
import socket

from host_tools.desktop import names, reach
from host_tools.desktop.app.filament_sockets import addresses
from mpcore import aio
from mpcore.vl1.inet import ip_text

_CHUNK = 65536


async def resolve(runtime, host):
    """The addresses (bytes) of a host; a name may be the virtual networks' or the platform's."""
    ip = addresses.parse(host)
    if ip is not None:
        return [ip]
    found = await names.resolve(runtime, host)
    if not found:
        entries = await asyncio.get_running_loop().getaddrinfo(host, 0, type=socket.SOCK_STREAM)
        found = [addresses.parse(entry[4][0]) for entry in entries]
    return found


async def connect(runtime, host, port, inside=True):
    """(reader, writer) of a TCP connection to the first address of a host that answers.

    inside: whether addresses that only this machine itself reaches may be it. Raises OSError.
    """
    failure = OSError(f"{host}: no address")
    for ip in await resolve(runtime, host):
        try:
            if not inside and is_inside(ip):
                raise OSError(errno.EACCES, f"{host} is of this machine")
            if reach.leads(runtime.node, ip):
                return await aio.open_connection(ip_text(ip), port, runtime=runtime)
            return await asyncio.open_connection(ip_text(ip), port)
        except OSError as error:
            failure = error
    raise failure


def is_inside(ip):
    """Is an address (4 or 16 bytes) this machine's own, which nobody else reaches?"""
    return addresses.is_local(ip) or not any(ip)


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
