"""The light bulb's program: joins the virtual network, then follows the games on it.

`bulb.secret.json` beside the node's home directory configures it: `network` (ID), `bind` (UDP
address), `loopback`, `hostname` if it is to be found as HOSTNAME.local, and what bulb.Bulb needs.
Each line it prints is a JSON object with an `event`.
"""

import gc

# On a board, code is loaded into the heap and stays. This keeps room below it for what is made and
# thrown away again: the allocator looks from the bottom, and every look would pass all the code.
# What loading leaves behind is collected on the way, lest the code lies scattered; and so later,
# when joining makes more of it than the collection of each second is for.
room = bytearray(24 * 1024)
if hasattr(gc, "threshold"):
    gc.threshold(8 * 1024)

import asyncio
import json
import sys
import time

import board
import bulb
from mpcore import NIC, aio

del room
if hasattr(gc, "threshold"):
    gc.threshold(16 * 1024)

CONFIG = "bulb.secret.json"
_TICK_S = 1


def report(**facts):
    print(json.dumps(facts))


def tell(**facts):
    """As report; from when a game is followed, only `watch` collects: it meets fewer reactions."""
    if facts["event"] == "following" and hasattr(gc, "threshold"):
        gc.threshold(-1)
    report(**facts)


async def watch(nic):
    """Every second: collect garbage while nobody waits for a reaction, and tell what is new."""
    told = None
    peak = 0
    while True:
        peak = max(peak, gc.mem_alloc())
        gc.collect()
        report(event="heap", peak=peak, live=gc.mem_alloc(),
               counters={"port": nic.runtime.port.counters, "vl1": nic.node.vl1.counters})
        state = nic.status("name"), nic.status("reason"), nic.status("online"), nic.ifconfig()[0]
        if state != told:
            told = state
            report(event="network", status=state[0], reason=state[1], online=state[2],
                   address=state[3])
        await asyncio.sleep(_TICK_S)


async def main(config):
    board.connect(config)
    nic = NIC(".", bind=config["bind"], loopback=config["loopback"],
              hostname=config.get("hostname"), validate=False,
              send_ring=1024, receive_ring=2048)     # a request out, short events in
    nic.active(True)
    nic.connect(config["network"])
    asyncio.create_task(watch(nic))
    await nic.wait_connected()
    lan = aio.Datagrams(broadcast=True)
    await bulb.Bulb(config, board.led(), aio.open_connection, lan, tell).run()


report(event="started", at_ns=time.time_ns(),
       runtime="%s %d.%d.%d" % ((sys.implementation.name,) + sys.implementation.version[:3]))
with open(CONFIG) as file:
    asyncio.run(main(json.load(file)))
