"""Runs a program on a node of its own, after the one line that a boot.py has for it.

    micropython run.py FILE PROGRAM [ARGUMENT ...]

FILE has {"home", "bind", "network"} as JSON. Before the program starts, the line {"address": IP}
says that the node is on the network.
"""

import json
import sys
import time

import mpcore


def join(home, bind, network):
    """The NIC, connected."""
    nic = mpcore.NIC(home=home, bind=bind, loopback=True)
    nic.active(True)
    nic.connect(network)
    while not nic.isconnected():
        time.sleep_ms(2)
    return nic


def main(node, program, *arguments):
    with open(node) as file:
        nic = join(**json.load(file))
    mpcore.interpose("virtual")
    print(json.dumps({"address": nic.ipconfig("addr4")[0]}))
    sys.argv[:] = (program,) + arguments
    with open(program) as file:
        code = file.read()
    exec(compile(code, program, "exec"), {"__name__": "__main__"})


main(*sys.argv[1:])
