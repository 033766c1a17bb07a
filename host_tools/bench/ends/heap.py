"""What a node needs of a MicroPython heap, step by step; prints one JSON line.

    micropython heap.py FILE HOST PORT

FILE has {"home", "bind", "network"} as JSON. HOST:PORT is an echo on the network. The figures are
of code compiled from source, on words of 64 bits; a board that loads .mpy files has about half.
"""

import gc
import json
import sys

sys.path.insert(1, __file__.rpartition("/")[0] + "/../../..")

CONNECTIONS = 4


def used():
    gc.collect()
    return gc.mem_alloc()


def main(node, host, port):
    steps = []
    before = used()

    def step(name, share=1):
        nonlocal before
        steps.append([name, (used() - before) // share])
        before = used()

    import mpcore
    step("import mpcore")
    from mpcore import nic as loaded
    step("import mpcore.nic")
    with open(node) as file:
        node = json.load(file)
    nic = loaded.NIC(home=node["home"], bind=node["bind"], loopback=True)
    nic.active(True)
    step("active node")
    nic.connect(node["network"])
    while not nic.isconnected():
        nic.runtime.step(100)
    step("joined network")
    from mpcore import socket
    step("import mpcore.socket")
    held = []
    for _ in range(CONNECTIONS):
        held.append(socket.socket())
        held[-1].connect((host, int(port)))
        held[-1].send(b"x")
        held[-1].recv(1)
        if len(held) == 1:
            step("first connection")
    step("each further connection", CONNECTIONS - 1)
    print(json.dumps({"heap": steps}))


main(*sys.argv[1:])
