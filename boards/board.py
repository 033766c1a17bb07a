"""A board with Wi-Fi, as its facts.py tells: its LED, its clock, its network.

boards/BOARD/board.py stands in for it where a board is different. An app imports it before what is
large: on an ESP32 that is when Wi-Fi gets its memory.
"""

import asyncio
import time

import facts
import machine
import network

_PATIENCE_MS = 20000
_RETRY_MS = 100
_LOOK_MS = 500
_AGAIN_MS = 15000       # an attempt to connect may take so long before there is another one


class NoLed:
    """In place of the LED of a board that has none: it only remembers."""

    def __init__(self):
        self._state = 0

    def value(self, state=None):
        """Read without an argument, set with one."""
        if state is None:
            return self._state
        self._state = 1 if state else 0


def led():
    """The board's LED, lit by value(1)."""
    if facts.LED_PIN is None:
        return NoLed()
    pin = machine.Pin(facts.LED_PIN, machine.Pin.OUT)
    return pin if facts.LED_LIT else machine.Signal(pin, invert=True)


def connect(config):
    """Join the Wi-Fi network `ssid` of the config, with its `key` or openly without one.

    Power saving is switched off: with it the chip sleeps between beacons, and a datagram waits
    for up to 100 ms and more. Raises OSError with the status when there is no connection within
    20 s.
    """
    if not config.get("ssid"):
        raise OSError("no Wi-Fi network is named: `filament provision --wifi SSID`")
    if facts.CPU_HZ is not None:
        machine.freq(facts.CPU_HZ)
    wlan = _wlan()
    if not wlan.isconnected():
        _begin(wlan, config)
    end = time.ticks_add(time.ticks_ms(), _PATIENCE_MS)
    while not wlan.isconnected():
        if time.ticks_diff(end, time.ticks_ms()) < 0:
            raise OSError("no Wi-Fi: status %d" % wlan.status())
        time.sleep_ms(_RETRY_MS)


async def watch(config, moved):
    """Connect again whenever Wi-Fi is gone, for ever; moved() is called when it is back, and when
    the board has got another address."""
    wlan = _wlan()
    address = _address(wlan)
    began = None            # when the last attempt began, None while connected
    while True:
        await asyncio.sleep_ms(_LOOK_MS)
        if wlan.isconnected():
            if began is not None or _address(wlan) != address:
                began, address = None, _address(wlan)
                moved()
        elif began is None or time.ticks_diff(time.ticks_ms(), began) > _AGAIN_MS:
            began = time.ticks_ms()
            try:
                wlan.disconnect()       # what goes on to try may be stuck
                _begin(wlan, config)
            except OSError:
                pass                    # the radio is busy; there will be another attempt


async def attend(expecting):
    """The tick remedy of boards that need one: while expecting() is true, no idle wait lets a
    packet lie until a timer's tick. Elsewhere it ends at once."""
    if facts.TICK_REMEDY != "busy turns":
        return
    while True:
        await asyncio.sleep_ms(0 if expecting() else _LOOK_MS)


def _wlan():
    wlan = network.WLAN(network.WLAN.IF_STA)
    wlan.active(True)
    wlan.config(pm=getattr(network.WLAN, facts.WIFI_POWER_SAVE))
    return wlan


def _begin(wlan, config):
    wlan.connect(config["ssid"], config.get("key"))


def _address(wlan):
    return wlan.ifconfig()[0]


# Wi-Fi and the heap, which grows, share one memory there, of which Wi-Fi takes 49 KB. Code that is
# loaded before leaves it none, and then no program can connect.
if facts.PLATFORM == "esp32":
    _wlan()
