"""Raspberry Pi Pico W: Wi-Fi by its CYW43439, at which the LED hangs too."""

import time

import network
from machine import Pin

_PATIENCE_MS = 20000
_RETRY_MS = 100


def led():
    """The pin of the board's LED."""
    return Pin("LED", Pin.OUT)


def connect(config):
    """Join the Wi-Fi network `ssid` of the config, with its `key` or openly without one.

    Power saving is switched off: with it the chip sleeps between beacons, and a datagram waits
    for up to 100 ms and more. Raises OSError with the status when there is no connection within
    20 s.
    """
    wlan = network.WLAN(network.WLAN.IF_STA)
    wlan.active(True)
    wlan.config(pm=network.WLAN.PM_NONE)
    if not wlan.isconnected():
        wlan.connect(config["ssid"], config.get("key"))
    end = time.ticks_add(time.ticks_ms(), _PATIENCE_MS)
    while not wlan.isconnected():
        if time.ticks_diff(end, time.ticks_ms()) < 0:
            raise OSError("no Wi-Fi: status %d" % wlan.status())
        time.sleep_ms(_RETRY_MS)
