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
_LOOK_MS = 1000
_HEAP_MS = 5000
_GARBAGE = 8 * 1024         # bytes that are worth a collection, which takes a Pico 20 ms ...
_MOST = 128 * 1024          # allocated since, for one at once, or what stays would be scattered
_SELDOM = 3                 # looks, after which it is asked how much there is


def report(**facts):
    print(json.dumps(facts))


class Watch:
    """Collects garbage, and tells what is new of the network and the heap.

    All of that is done right after a reaction, when nobody waits for the next, and one thing at a
    time; by itself only where there has been none for a while. Even to ask how much of the heap is
    in use takes a Pico 6 ms, so that is done when there may be enough garbage.
    """

    def __init__(self, nic):
        self._nic = nic
        self._told = None
        self._looked_ms = self._heap_ms = time.ticks_add(time.ticks_ms(), -_HEAP_MS)
        self._peak = self._live = 0     # bytes of heap in use: at most, after a collection
        self._full = True               # there is garbage to be collected
        self._count = self._pause = 0   # looks since the last collection, and until it is asked

    def begin(self):
        """The node is on its network: tell so, and how full the heap is."""
        self._collect()
        self._measure()
        self._tell_heap()
        self._tell_network()

    def tell(self, **facts):
        """As report; from when a game is followed, garbage is collected here, if that comes soon
        enough."""
        if facts["event"] == "following" and hasattr(gc, "threshold"):
            gc.threshold(_MOST)
        report(**facts)
        if facts["event"] == "led":
            self._look()

    async def run(self):
        while True:
            if time.ticks_diff(time.ticks_ms(), self._looked_ms) >= 2 * _LOOK_MS:
                self._look()
            await asyncio.sleep_ms(_LOOK_MS)

    def _look(self):
        """Do what is due first."""
        now = time.ticks_ms()
        self._count += 1
        self._pause -= 1
        if self._full:
            self._collect()
        elif self._pause <= 0:
            self._measure()
        elif time.ticks_diff(now, self._heap_ms) >= _HEAP_MS:   # to print takes long on a board
            self._tell_heap()
        elif time.ticks_diff(now, self._looked_ms) >= _LOOK_MS:
            self._tell_network()

    def _collect(self):
        gc.collect()
        self._full = False
        self._live = self._pause = 0

    def _measure(self):
        """Find out how much garbage there is, and so when there will be enough."""
        used = gc.mem_alloc()
        self._peak = max(self._peak, used)
        if not self._live or used < self._live:
            self._live, self._count, self._pause = used, 0, _SELDOM
            return
        garbage = used - self._live
        if garbage >= _GARBAGE:
            self._full = True
        else:
            self._pause = min(_SELDOM, self._count * (_GARBAGE - garbage) // max(garbage, 1))

    def _tell_heap(self):
        self._heap_ms = time.ticks_ms()
        report(event="heap", peak=self._peak, live=self._live, free=gc.mem_free(),
               counters={"port": self._nic.runtime.port.counters,
                         "vl1": self._nic.node.vl1.counters})

    def _tell_network(self):
        """Report how the network is, if that is news."""
        self._looked_ms = time.ticks_ms()
        nic = self._nic
        state = nic.status("name"), nic.status("reason"), nic.status("online"), nic.ifconfig()[0]
        if state != self._told:
            self._told = state
            report(event="network", status=state[0], reason=state[1], online=state[2],
                   address=state[3])


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
    watch = Watch(nic)
    asyncio.create_task(watch.run())
    await nic.wait_connected()
    watch.begin()
    lan = aio.Datagrams(broadcast=True)
    light = bulb.Bulb(config, board.led(), aio.open_connection, lan, watch.tell)
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
