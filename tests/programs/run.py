"""Runs a program on a node of its own, with the node's sockets in the place of the platform's.

    micropython run.py '{"home": DIR, "bind": IP:PORT, "network": ID}' PROGRAM [ARGUMENT ...]

Before the program starts, the line {"address": IP} says that the node is on the network.
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
    nic = join(**json.loads(node))
    if hasattr(mpcore, 'interpose'):
        mpcore.interpose()
    else:
        from mpcore import socket
        sys.modules['socket'] = sys.modules['usocket'] = socket
    print(json.dumps({"address": nic.ipconfig("addr4")[0]}))
    sys.argv[:] = (program,) + arguments
    with open(program) as file:
        code = file.read()
    exec(compile(code, program, "exec"), {"__name__": "__main__"})


main(*sys.argv[1:])
