"""A member whose aio face is measured, on either runtime: tests/interop's peer, and more.

    RUNTIME node.py '{"home": DIR, "bind": IP:PORT, "aes": false}'
"""

import asyncio
import json
import sys
import time

_ROOT = __file__.rpartition("/")[0] + "/../../.."
for part in ("tests/interop", ""):
    sys.path.insert(1, _ROOT + "/" + part)

import filament_peer
from mpcore import aio

SIZE = 64
PAUSE_MS = 3            # between pushes: a game's, not a flood
CHUNK = 8192
_LATE_S = 2


def us_since(began_ns):
    return (time.time_ns() - began_ns) // 1000


def stamp():
    """A message that says when it was sent."""
    return time.time_ns().to_bytes(8, "big") + bytes(SIZE - 8)


def age_us(message):
    """How long ago a stamp() of this machine was made."""
    return us_since(int.from_bytes(message[:8], "big"))


async def _echoes(lan, there, trips, count):
    message = bytes(SIZE)
    while len(trips) < count:
        began_ns = time.time_ns()
        lan.sendto(message, there)
        await lan.recvfrom()
        trips.append(us_since(began_ns))


class End(filament_peer.Peer):
    async def do_udp_echo(self, ip, port, count):
        """Microseconds of each round trip; those that get lost are not among them."""
        lan = aio.Datagrams(runtime=self._runtime)
        trips = []
        while len(trips) < count:
            try:        # around many, as it costs MicroPython as much as a trip
                await asyncio.wait_for(_echoes(lan, (ip, port), trips, count), _LATE_S)
            except asyncio.TimeoutError:
                pass
        lan.close()
        return trips

    async def do_tcp_echo(self, ip, port, count):
        reader, writer = await aio.open_connection(ip, port, self._runtime)
        message, trips = bytes(SIZE), []
        for _ in range(count):
            began_ns = time.time_ns()
            writer.write(message)
            await writer.drain()
            await reader.readexactly(SIZE)
            trips.append(us_since(began_ns))
        await writer.aclose()
        return trips

    async def do_tcp_push(self, ip, port, count):
        """Microseconds from each write on the other side to its arrival in this task."""
        reader, writer = await aio.open_connection(ip, port, self._runtime)
        ages = []
        for _ in range(count):
            ages.append(age_us(await reader.readexactly(SIZE)))
        writer.abort()
        return ages

    async def do_serve_pushes(self, port):
        await aio.start_server(self._push, None, port, runtime=self._runtime)

    @staticmethod
    async def _push(reader, writer):
        try:
            while True:
                writer.write(stamp())
                await writer.drain()
                await asyncio.sleep(PAUSE_MS / 1000)
        except OSError:
            writer.abort()

    async def do_rings(self, size):
        """Rings of TCP connections from now on, of those that listeners accept too; None: as
        they were."""
        tcp = self._runtime.node.stack.tcp
        if not hasattr(self, "_own_rings"):
            self._own_rings = tcp.send_ring, tcp.receive_ring
        rings = (size, size) if size else self._own_rings
        tcp.send_ring, tcp.receive_ring = rings
        for listeners in tcp.listeners.values():
            for listener in listeners:
                listener.send_ring, listener.receive_ring = rings

    async def do_serve_bulk(self, port):
        await aio.start_server(self._swallow, None, port, runtime=self._runtime)

    @staticmethod
    async def _swallow(reader, writer):
        try:
            left = int.from_bytes(await reader.readexactly(8), "big")
            while left:
                data = await reader.read(min(left, CHUNK))
                if not data:
                    raise OSError
                left -= len(data)
            writer.write(b"!")
            await writer.drain()
            await reader.read(1)
        except (OSError, EOFError):
            pass
        await writer.aclose()

    async def do_bulk(self, ip, port, size):
        """Seconds until the other side has all of so many bytes."""
        reader, writer = await aio.open_connection(ip, port, self._runtime)
        began_ns = time.time_ns()
        await writer.awrite(size.to_bytes(8, "big"))
        data = memoryview(bytes(CHUNK))
        while size:
            await writer.awrite(data[:min(size, CHUNK)])
            size -= min(size, CHUNK)
        await reader.readexactly(1)
        took_s = us_since(began_ns) / 1e6
        await writer.aclose()
        return took_s


async def main(arguments):
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    await End(**arguments).run()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
