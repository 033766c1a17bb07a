"""One start of a member, timed; prints what happened when, in ns since 1970.

    RUNTIME joining.py FILE     {"home", "bind", "network", "host", "port"} as JSON

`began` this program's first line; `loaded` the node's code is; `ok` the network has its config;
`frame` the first authentic frame from somebody else; `stream` a byte came back from host:port.
"""

import time

MARKS = {"began": time.time_ns()}

import asyncio
import json
import sys

# Compiled modules may lie on the path: the project's own come after them.
sys.path.append(__file__.rpartition("/")[0] + "/../../..")

import mpcore
from mpcore import aio
from mpcore.nic import NIC


def mark(name):
    MARKS.setdefault(name, time.time_ns())


class Marking:
    """Notes the first frame that comes to `above`."""

    def __init__(self, above):
        self._above = above

    def receive(self, *frame):
        mark("frame")
        self._above.receive(*frame)


async def main(home, bind, network, host, port):
    mark("loaded")
    nic = NIC(home=home, bind=bind, loopback=True, remember=True)
    nic.active(True)
    nic.connect(network)
    joined = nic.node.networks[bytes.fromhex(network)]
    joined.above = Marking(joined.above)
    await nic.wait_connected()
    mark("ok")
    reader, writer = await aio.open_connection(host, port)
    writer.write(b"!")
    await writer.drain()
    await reader.readexactly(1)
    mark("stream")
    await writer.aclose()
    await asyncio.sleep(0.2)        # peers hear of the end
    nic.node.save()
    nic.active(False)
    print(json.dumps({"marks": MARKS}))


with open(sys.argv[1]) as file:
    asyncio.run(main(**json.load(file)))
