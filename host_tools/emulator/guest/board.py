"""The emulated board: its network is the emulator's, and a plain pin stands for the LED."""

import time

import emulated
from machine import Pin

emulated.install()      # before anything of the core asks for sockets

_LED = 15


def led():
    """The pin of the board's LED."""
    return Pin(_LED, Pin.OUT)


def connect(config):
    """Bring up the physical network: wait until the cable is in."""
    while not emulated.link():
        time.sleep_ms(10)
