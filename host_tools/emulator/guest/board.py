"""The emulated board: its network is the emulator's, and a plain pin stands for the LED.

When the host asks it tells what the heap looks like, in micropython.mem_info's words.
"""

import asyncio
import gc
import time

import emulated
import micropython
from machine import Pin

emulated.install()      # before anything of the core asks for sockets

_LED = 15
_LOOK_S = 0.2


def led():
    """The pin of the board's LED."""
    return Pin(_LED, Pin.OUT)


def connect(config):
    """Bring up the physical network: wait until the cable is in."""
    while not emulated.link():
        time.sleep_ms(10)
    asyncio.create_task(_tell())


async def _tell():
    while True:
        if emulated.asked():
            gc.collect()
            micropython.mem_info()
        await asyncio.sleep(_LOOK_S)
