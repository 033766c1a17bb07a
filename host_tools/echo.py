"""TCP and UDP echo services on a node's virtual addresses (RFC 862)."""

import asyncio

from mpcore import aio

_CHUNK = 2048


async def serve(port, runtime):
    """Echo on `port`; the services go on while the loop runs."""
    await aio.start_server(_echo_stream, None, port, runtime=runtime)
    datagrams = aio.Datagrams(None, port, runtime=runtime)
    return asyncio.create_task(_echo_datagrams(datagrams))


async def _echo_stream(reader, writer):
    try:
        while True:
            data = await reader.read(_CHUNK)
            if not data:
                break
            writer.write(data)
            await writer.drain()
    except OSError:
        pass        # the other end is gone, and with it whoever could be told
    await writer.aclose()


async def _echo_datagrams(datagrams):
    while True:
        data, address = await datagrams.recvfrom()
        try:
            datagrams.sendto(data, address)
        except OSError:
            pass    # no way back to the sender: UDP loses it
