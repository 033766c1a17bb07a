"""What a board tells of itself, for people far away. Loaded when somebody asks."""

import gc
import os
import sys

from mpcore import VERSION, fallback
from mpcore.vl1 import inet
from mpcore.vl1.peer import UNKNOWN_LATENCY_MS


def of(nic, uptime_s):
    """The facts of a NIC, its node and the heap, as JSON can hold them.

    Of each of the `peers`: its address, its role, whether packets go to it directly, the path that
    they take (text or None), and its latency (ms or None). `datagrams`: of the UDP sockets.
    `drops`: what was dropped or limited, by cause, of all floors. `heap`: bytes, None on CPython.
    `bytecode`: modules whose machine code has found no room.
    """
    node, now = nic.node, nic.runtime.now()
    counters = nic.runtime.port.counters
    drops = dict(node.vl1.counters)
    drops.update(node.stack.counters)
    for name in "send_failed", "receive_failed":
        if counters[name]:
            drops[name] = counters[name]
    return {
        "address": nic.config("address"), "online": nic.status("online"),
        "network": {"id": nic.config("network"), "name": nic.config("ssid"),
                    "status": nic.status("name"), "address": nic.ifconfig()[0]},
        "uptime_s": uptime_s, "filament": "%d.%d.%d" % VERSION, "firmware": _firmware(),
        "peers": [_peer(node.vl1, now, peer) for peer in node.vl1.peers.values()],
        "datagrams": {"sent": counters["sent"], "received": counters["received"]},
        "drops": drops, "heap": _heap(), "bytecode": fallback.kernels}


def _peer(vl1, now, peer):
    path = peer.best_path(now)
    latency_ms = peer.latency_ms(now)
    return {"address": peer.address.hex(), "role": "ROOT" if vl1.is_upstream(peer.address) else
            "LEAF", "direct": peer.direct(now),
            "path": None if path is None else inet.text(path.endpoint),
            "latency_ms": None if latency_ms == UNKNOWN_LATENCY_MS else latency_ms}


def _heap():
    if not hasattr(gc, "mem_free"):
        return None
    return {"used": gc.mem_alloc(), "free": gc.mem_free()}


def _firmware():
    if hasattr(os, "uname") and sys.implementation.name == "micropython":
        facts = os.uname()
        return "%s; %s" % (facts[4], facts[3])
    return sys.version
