"""A peer that is a Filament node, on CPython or MicroPython.

    micropython -X heapsize=16M filament_peer.py '{"home": DIR, "bind": IP:PORT, "aes": false}'
"""

import asyncio
import json
import sys
import time

_HERE = __file__.rpartition("/")[0]
sys.path.insert(1, _HERE)
sys.path.insert(1, _HERE + "/../..")

for part in ("boards/unix", "boards/apps/bulb"):
    sys.path.insert(1, _HERE + "/../../" + part)

import board
import bulb
from exchange import CHUNK, LATE_S, content, datagram
from host_tools import echo
from host_tools.daemon import Daemon
from mpcore import aio, dns
from mpcore.vl1 import inet


def _ms_since(began_ns):
    return (time.time_ns() - began_ns) / 1000000


class Capture:
    """Notes every frame on its way to `above`."""

    def __init__(self, above, captured):
        self._above = above
        self._captured = captured

    def receive(self, now, source_mac, destination_mac, ethertype, buf, off, n):
        self._captured.append([ethertype, bytes(memoryview(buf)[off:off + n]).hex()])
        self._above.receive(now, source_mac, destination_mac, ethertype, buf, off, n)


class Peer:
    """The verbs of exchange.py over one Daemon."""

    def __init__(self, home, bind, aes):
        self._daemon = Daemon(home, bind, report=lambda **facts: None, aes=aes)
        self._runtime = self._daemon.runtime
        self._connections = {}
        self._heard = {}
        self._joined = {}
        self._tasks = []

    async def run(self):
        """Answer requests until standard input ends."""
        self._tasks.append(asyncio.create_task(self._daemon.run()))
        requests = await _standard_input()
        while True:
            line = await requests.readline()
            if not line:
                return
            self._tasks.append(asyncio.create_task(self._answer(json.loads(line))))

    async def _answer(self, request):
        number, verb = request.pop("id"), request.pop("do")
        try:
            said = {"id": number, "result": await getattr(self, "do_" + verb)(**request)}
        except Exception as error:
            said = {"id": number, "error": "%s: %r" % (verb, error)}
        print(json.dumps(said))
        self._tasks.remove(asyncio.current_task())

    async def do_status(self):
        status = self._daemon.status()
        status["counters"] = self._daemon.counters()
        return status

    async def do_join(self, nwid):
        self._daemon.join(bytes.fromhex(nwid))

    async def do_leave(self, nwid):
        self._daemon.node.leave(self._runtime.now(), bytes.fromhex(nwid))

    async def do_network(self, nwid):
        network = self._daemon.node.networks[bytes.fromhex(nwid)]
        addresses = [] if network.config is None else network.config.static_ips
        return {"status": network.status, "addresses": [inet.ip_text(ip) for ip, _ in addresses],
                "mtu": network.mtu}

    async def do_orbit(self, moon, seed):
        self._daemon.orbit(bytes.fromhex(moon), bytes.fromhex(seed))

    async def do_deorbit(self, moon):
        self._daemon.deorbit(bytes.fromhex(moon))

    async def do_worlds(self):
        return {"planet": self._daemon.node.vl1.upstreams.planet.timestamp,
                "moons": {moon["id"]: moon["timestamp"] for moon in self._daemon.moons()
                          if not moon["waiting"]}}

    async def do_peer(self, address):
        """Protocol version of another node, and the endpoints of the paths to it."""
        peer = self._daemon.node.vl1.peers[bytes.fromhex(address)]
        now = self._runtime.now()
        return {"version": peer.version, "direct": peer.direct(now),
                "paths": [inet.text(path.endpoint) for path in peer.paths
                          if not path.expired(now)]}

    async def do_ping(self, ip, size=16, timeout_ms=1000):
        answered = asyncio.Event()
        ms = []

        def on_reply(now, source, sequence, data):
            if data == bytes(size):
                ms.append(_ms_since(began_ns))
            answered.set()

        began_ns = time.time_ns()
        self._daemon.node.stack.echo(self._runtime.now(), inet.ip_parse(ip),
                                     began_ns // 1000 & 0xFFFF, 1, bytes(size), on_reply)
        self._runtime.kick()
        try:
            await asyncio.wait_for(answered.wait(), timeout_ms / 1000)
        except asyncio.TimeoutError:
            pass
        return ms[0] if ms else None

    async def do_serve(self, port, ip=None):
        self._tasks.append(await echo.serve(port, self._runtime))

    async def do_udp(self, ip, port, sizes, timeout_ms=2000, attempts=1):
        missing = []
        lan = aio.Datagrams(runtime=self._runtime)
        for size in sizes:
            for _ in range(attempts):
                if await self._echoed(lan, ip, port, size, timeout_ms):
                    break
            else:
                missing.append(size)
        lan.close()
        return missing

    @staticmethod
    async def _echoed(lan, ip, port, size, timeout_ms):
        data = datagram(size)
        lan.sendto(data, (ip, port))
        end_ns = time.time_ns() + timeout_ms * 1000000
        try:
            while True:
                left_s = max(0, end_ns - time.time_ns()) / 1e9
                if await asyncio.wait_for(lan.recvfrom(), left_s) == (data, (ip, port)):
                    return True
        except asyncio.TimeoutError:
            return False

    async def do_open(self, ip, port):
        began_ns = time.time_ns()
        stream, _ = await aio.open_connection(ip, port, self._runtime)
        number = len(self._connections) + 1
        self._connections[number] = stream
        return {"connection": number, "ms": _ms_since(began_ns)}

    async def do_transfer(self, connection, size, start=0):
        stream = self._connections[connection]
        began_ns = time.time_ns()
        sending = asyncio.create_task(self._send(stream, size, start))
        received = 0
        intact = True
        while received < size:
            try:
                data = await asyncio.wait_for(stream.read(CHUNK), LATE_S)
            except asyncio.TimeoutError:
                raise OSError("%d bytes came back, then nothing" % received)
            if not data:
                raise OSError("closed after %d bytes" % received)
            intact = intact and data == content(start + received, len(data))
            received += len(data)
        await sending
        return {"intact": intact, "ms": _ms_since(began_ns)}

    @staticmethod
    async def _send(stream, size, start):
        for at in range(0, size, CHUNK):
            await stream.awrite(content(start + at, min(CHUNK, size - at)))

    async def do_close(self, connection):
        await self._connections[connection].aclose()

    async def do_listen(self, port, group=None):
        lan = aio.Datagrams(None, port, runtime=self._runtime)
        if group is not None:
            lan.join(group)
            self._joined[port] = lan, group
        self._heard[port] = []
        self._tasks.append(asyncio.create_task(self._hear(lan, self._heard[port])))

    @staticmethod
    async def _hear(lan, heard):
        while True:
            heard.append((await lan.recvfrom())[0].decode())

    async def do_leave_group(self, port):
        lan, group = self._joined.pop(port)
        lan.leave(group)

    async def do_heard(self, port):
        return self._heard[port]

    async def do_say(self, ip, port, text):
        lan = aio.Datagrams(broadcast=True, runtime=self._runtime)
        lan.sendto(text.encode(), (ip, port))
        lan.close()

    async def do_answer_for(self, hostname):
        self._daemon.answer_for(hostname)
        self._runtime.kick()

    async def do_resolve(self, name):
        try:
            return [inet.ip_text(ip) for ip in await dns.resolve(self._runtime, name, 4)]
        except OSError:
            return []

    async def do_capture(self, nwid):
        nwid = bytes.fromhex(nwid)
        self._captured = []
        self._daemon.node.networks[nwid].above = Capture(
            self._daemon.node.interfaces[nwid], self._captured)

    async def do_captured(self):
        return self._captured

    async def do_transmit(self, nwid, source_mac, destination_mac, frames):
        network = self._daemon.node.networks[bytes.fromhex(nwid)]
        room = network.headroom
        for ethertype, payload in frames:
            payload = bytes.fromhex(payload)
            network.transmit(self._runtime.now(), bytes.fromhex(destination_mac), ethertype,
                             bytearray(room) + payload, room, len(payload))
        self._runtime.kick()

    async def do_bulb(self, config):
        """Follow games; `reactions` tells how fast."""
        lan = aio.Datagrams(broadcast=True, runtime=self._runtime)
        self._reactions = []
        self._tasks.append(asyncio.create_task(bulb.Bulb(
            config, board.led(), self._open_connection, lan, self._react).run()))

    async def _open_connection(self, host, port):
        return await aio.open_connection(host, port, self._runtime)

    def _react(self, event, set_ns=None, changed_ns=None, **facts):
        if event == "led" and changed_ns is not None:
            self._reactions.append((set_ns - changed_ns) / 1000000)

    async def do_reactions(self):
        """Milliseconds from each change in the game to the bulb's LED, as far as there are any."""
        return self._reactions


async def _standard_input():
    if sys.implementation.name == "micropython":
        return asyncio.StreamReader(sys.stdin)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def main(arguments):
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    await Peer(**arguments).run()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
