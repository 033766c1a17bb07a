"""The light bulb's program: joins the virtual network, then follows the games on it.

`node.secret.json` in the node's home directory, which `filament provision` writes, has what every
app needs: `network` (ID), `bind` (UDP address), `loopback`, `hostname` if it is to be found as
HOSTNAME.local, and the Wi-Fi network. `bulb.secret.json` has what bulb.Bulb needs, and may have
all of that; one of the two is needed. Each line it prints is a JSON object with an `event`.
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

import board            # first: an ESP32's Wi-Fi needs memory that code would fill
import bulb
from mpcore import NIC, aio

del room
if hasattr(gc, "threshold"):
    gc.threshold(16 * 1024)

CONFIGS = "node.secret.json", "bulb.secret.json"
_TICK_S = 1
_HEAP_TICKS = 5
_GARBAGE = 16 * 1024        # bytes that are worth a collection, which takes a Pico 20 ms

peak = live = 0             # bytes of heap in use: at most, and after the last collection


def report(**facts):
    print(json.dumps(facts))
    if facts["event"] == "led":
        collect(_GARBAGE)   # right after one reaction nobody waits for the next


def collect(least):
    """Collect garbage if there are `least` bytes of it."""
    global peak, live
    used = gc.mem_alloc()
    peak = max(peak, used)
    if used - live >= least:
        gc.collect()
        live = gc.mem_alloc()


def tell(**facts):
    """As report; from when a game is followed, garbage is collected after reactions only."""
    if facts["event"] == "following" and hasattr(gc, "threshold"):
        gc.threshold(-1)
    report(**facts)


async def watch(nic):
    """Every second: collect garbage where no reactions have, and tell what is new."""
    told = None
    ticks = 0
    while True:
        collect(2 * _GARBAGE)
        if not ticks % _HEAP_TICKS:     # seldom, as to print takes long on a board
            report(event="heap", peak=peak, live=live, free=gc.mem_free(),
                   counters={"port": nic.runtime.port.counters, "vl1": nic.node.vl1.counters})
        ticks += 1
        state = nic.status("name"), nic.status("reason"), nic.status("online"), nic.ifconfig()[0]
        if state != told:
            told = state
            report(event="network", status=state[0], reason=state[1], online=state[2],
                   address=state[3])
        await asyncio.sleep(_TICK_S)


def configured():
    """What the files of CONFIGS say together; of two the later. Raises OSError without any."""
    config = {"place": [500, 500], "radius": 150, "client": "bulb", "secret": ""}
    error = None
    found = 0
    for name in CONFIGS:
        try:
            with open(name) as file:
                config.update(json.load(file))
            found += 1
        except OSError as missing:
            error = missing
    if not found:
        raise error
    return config


async def main(config):
    board.connect(config)
    nic = NIC(".", bind=config["bind"], loopback=config["loopback"],
              hostname=config.get("hostname"), validate=False,
              send_ring=1024, receive_ring=2048)     # a request out, short events in
    nic.active(True)
    nic.connect(config["network"])
    if "allow" in config or "slots" in sys.modules:
        from mpcore import upkeep
        upkeep.start(nic, config.get("allow"))
    if hasattr(board, "watch"):         # its Wi-Fi comes and goes
        asyncio.create_task(board.watch(config, nic.moved))
    asyncio.create_task(watch(nic))
    await nic.wait_connected()
    lan = aio.Datagrams(broadcast=True)
    light = bulb.Bulb(config, board.led(), aio.open_connection, lan, tell)
    if hasattr(board, "attend"):        # an idle wait is long there
        asyncio.create_task(board.attend(light.follows))
    await light.run()


def start():
    """Runs the bulb. Call it when everything is imported: an import takes from a board's stack."""
    report(event="started", at_ns=time.time_ns(),
           runtime="%s %d.%d.%d" % ((sys.implementation.name,) + sys.implementation.version[:3]))
    asyncio.run(main(configured()))


if __name__ == "__main__":
    start()
