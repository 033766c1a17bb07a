"""What keeps a board up over the virtual network: a REPL for chosen members, a status, and the
word that an update has come online (boards/slots.py).

    upkeep.start(nic, config.get("allow"))      # in a program's main; costs nothing if not wanted
"""

import sys

PORT = 2323             # TCP, of the REPL on the board's virtual address

running = None          # the Upkeep that start() has made


def start(nic, allow=()):
    """Begin the upkeep of a NIC in the running asyncio loop, where there is any to do: for the
    node addresses (10 digits each) that may use the REPL, or when a slot is on trial.

    Returns the Upkeep, None where there is nothing to do. Raises ValueError for what is no
    address, OSError when the port is taken.
    """
    global running
    slots = sys.modules.get("slots")
    if not (allow or (slots and slots.on_trial())):
        return None
    from mpcore.upkeep.service import Upkeep

    running = Upkeep(nic, PORT, allow or (), slots)
    running.start()
    return running
