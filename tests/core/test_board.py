"""What boards share (boards/board.py), over a Wi-Fi chip and a clock that are made up."""

import asyncio

from tests.core import stand_ins
from tests.core.stand_ins import Module
from tests.core.support import raises

END_MS = 120000


class Done(Exception):
    pass


class World:
    """One board: its Wi-Fi chip and its time. events: [(ms, act)], in order."""

    def __init__(self, events=()):
        self.now = 0
        self.events = list(events)
        self.station = None         # the network that it is connected with
        self.reachable = True       # the access point is there
        self.address = "10.0.0.2"
        self.attempts = []
        self.settings = {}
        self.hz = 160000000
        self.slept = []

    # network.WLAN

    IF_STA, PM_NONE, PM_PERFORMANCE = 0, 7, 8

    def WLAN(self, kind):
        assert kind == self.IF_STA
        return self

    def active(self, wanted):
        assert wanted

    def config(self, **settings):
        self.settings.update(settings)

    def connect(self, ssid, key):
        self.attempts.append((self.now, ssid, key))
        if self.reachable == "busy":
            raise OSError("radio")
        if self.reachable:
            self.station = ssid

    def disconnect(self):
        self.station = None

    def isconnected(self):
        return self.station is not None

    def ifconfig(self):
        return (self.address if self.station else "0.0.0.0", "", "", "")

    def status(self):
        return -2

    # machine

    def freq(self, hz):
        self.hz = hz

    # time, and asyncio's

    def sleep_ms(self, ms):
        self.slept.append(ms)
        self.now += max(ms, 1)
        while self.events and self.events[0][0] <= self.now:
            self.events.pop(0)[1](self)
        if self.now >= END_MS:
            raise Done

    def ticks_ms(self):
        return self.now

    def ticks_add(self, ticks, ms):
        return ticks + ms

    def ticks_diff(self, a, b):
        return a - b


class Pin:
    OUT = 1

    def __init__(self, name, mode):
        self.name = name
        self.level = 0

    def value(self, level=None):
        if level is None:
            return self.level
        self.level = level


class Signal:
    def __init__(self, pin, invert):
        self.pin = pin
        self.invert = invert


def load(world, **changed):
    """boards/board.py, on this world."""
    facts = dict(PLATFORM="esp32", CPU_HZ=240000000, LED_PIN=2, LED_LIT=1,
                 WIFI_POWER_SAVE="PM_NONE", TICK_MS=10, TICK_REMEDY="busy turns")
    facts.update(changed)
    board = stand_ins.load("board", "boards", {
        "network": Module(WLAN=_Chip(world)), "facts": Module(**facts),
        "machine": Module(Pin=Pin, Signal=Signal, freq=world.freq)})

    async def sleep_ms(ms):
        world.sleep_ms(ms)

    board.time = world
    board.asyncio = Module(sleep_ms=sleep_ms)
    return board


class _Chip:
    """network.WLAN: constants, and the one interface when called."""

    IF_STA, PM_NONE, PM_PERFORMANCE = World.IF_STA, World.PM_NONE, World.PM_PERFORMANCE

    def __init__(self, world):
        self._world = world

    def __call__(self, kind):
        return self._world.WLAN(kind)


def watched(world):
    """The times at which moved() was called, until the end."""
    board = load(world)
    board.connect({"ssid": "home", "key": "topsecret"})
    moved = []
    raises(Done, lambda: asyncio.run(board.watch(
        {"ssid": "home", "key": "topsecret"}, lambda: moved.append(world.now))))
    return moved


# Connecting

def test_it_connects_without_power_saving_and_at_full_speed():
    world = World()
    load(world).connect({"ssid": "home", "key": "topsecret"})
    assert world.attempts == [(0, "home", "topsecret")]
    assert world.settings == {"pm": World.PM_NONE} and world.hz == 240000000
    load(world).connect({"ssid": "home"})
    assert len(world.attempts) == 1         # it was connected
    world = World()
    load(world, CPU_HZ=None, WIFI_POWER_SAVE="PM_PERFORMANCE").connect({"ssid": "open"})
    assert world.attempts == [(0, "open", None)] and world.hz == 160000000
    assert world.settings == {"pm": World.PM_PERFORMANCE}


def test_without_a_network_it_says_so():
    world = World()
    world.reachable = False
    error = raises(OSError, lambda: load(world).connect({"ssid": "home"}))
    assert "no Wi-Fi: status -2" in str(error) and 20000 <= world.now < 21000
    for config in ({}, {"ssid": None}):
        error = raises(OSError, lambda: load(World()).connect(config))
        assert "filament provision --wifi" in str(error)


# Staying connected

def test_nothing_is_done_while_all_is_well():
    world = World()
    assert watched(world) == [] and len(world.attempts) == 1


def test_a_network_that_comes_back_is_joined_within_seconds():
    def fall(world):
        world.station, world.reachable = None, False

    def rise(world):
        world.reachable = True

    world = World([(5000, fall), (45000, rise)])
    [moved] = watched(world)
    assert 45000 <= moved <= 62000
    assert world.attempts[1][0] <= 5500     # the first attempt comes at once
    gaps = [b[0] - a[0] for a, b in zip(world.attempts[1:], world.attempts[2:])]
    assert all([15000 <= gap <= 16500 for gap in gaps])


def test_a_short_drop_is_over_in_a_second():
    def fall(world):
        world.station = None

    moved = watched(World([(5000, fall)]))
    assert len(moved) == 1 and moved[0] <= 6500


def test_another_address_is_told():
    def lease(world):
        world.address = "10.0.0.3"

    moved = watched(World([(5000, lease)]))
    assert len(moved) == 1 and moved[0] <= 5500


def test_a_busy_radio_does_not_end_the_watch():
    def fall(world):
        world.station, world.reachable = None, "busy"

    def rise(world):
        world.reachable = True

    assert len(watched(World([(5000, fall), (30000, rise)]))) == 1


# LED and ticks

def test_the_led_is_lit_by_1_whatever_its_polarity():
    pin = load(World()).led()
    assert (pin.name, type(pin)) == (2, Pin)
    signal = load(World(), LED_PIN=8, LED_LIT=0).led()
    assert signal.pin.name == 8 and signal.invert
    none = load(World(), LED_PIN=None, LED_LIT=None).led()
    none.value(1)
    assert none.value() == 1
    none.value(0)
    assert none.value() == 0


def test_where_waits_are_ticks_none_is_idle_while_something_is_expected():
    world = World()
    raises(Done, lambda: asyncio.run(load(world).attend(lambda: world.now < 100)))
    assert world.slept[:100] == [0] * 100 and set(world.slept[101:]) == {500}
    world = World()
    asyncio.run(load(world, TICK_REMEDY=None).attend(lambda: True))
    assert world.slept == []


def test_an_esp32_gives_wifi_its_memory_before_anything_large_is_loaded():
    for platform, begun in (("esp32", True), ("rp2", False)):
        world = World()
        load(world, PLATFORM=platform)
        assert (world.settings == {"pm": world.PM_NONE}) == begun and not world.attempts
