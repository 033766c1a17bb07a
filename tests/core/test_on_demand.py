"""Modules that are dropped after use and loaded again: nothing may notice."""

import sys

from mpcore import on_demand
from mpcore.crypto import portable
from scenes import Lan

_SELDOM = ("mpcore.vl1.greeting", "mpcore.vl2.config_text", "mpcore.vl2.correspondence",
           "mpcore.vl2.credentials")


class Dropping:
    """Within `with`, everything on demand is dropped wherever code lies; then all is as before:
    other tests know the classes by identity."""

    def __enter__(self):
        names = on_demand.MODULES + on_demand.KERNELS
        self._before = on_demand.dropped
        self._modules = {name: sys.modules[name] for name in names if name in sys.modules}
        on_demand.dropped = names
        on_demand._before = on_demand._gone = ()        # what other tests have used is forgotten
        on_demand._staying.clear()
        return self

    def __exit__(self, *exc):
        on_demand.dropped = self._before
        for name in on_demand.MODULES + on_demand.KERNELS:
            on_demand.drop(name)
        for name, module in self._modules.items():
            sys.modules[name] = module
            package, _, inner = name.rpartition(".")
            setattr(sys.modules[package], inner, module)


def test_what_was_dropped_is_loaded_again():
    private, public = bytes(range(32)), portable.x25519_public(bytes(range(1, 33)))
    shared = portable.x25519(private, public)
    with Dropping():
        on_demand.make_room()
        assert not any(name in sys.modules for name in on_demand.dropped)
        assert not hasattr(sys.modules["mpcore.crypto"], "curve25519")
        assert portable.x25519(private, public) == shared
        assert "mpcore.crypto.field_kernel" in sys.modules


def test_what_was_used_since_the_last_release_stays():
    with Dropping():
        on_demand.make_room()
        on_demand.release()
        list(on_demand.load("mpcore.vl2.exchange"))
        on_demand.release()
        assert "mpcore.vl2.exchange" in sys.modules
        on_demand.release()
        assert "mpcore.vl2.exchange" not in sys.modules


def test_what_is_there_again_after_it_was_dropped_stays():
    name = "mpcore.vl1.greeting"
    with Dropping():
        on_demand.make_room()
        on_demand.release()
        list(on_demand.load(name))
        for _ in range(2):
            on_demand.release()
        assert name not in sys.modules
        list(on_demand.load(name))
        for _ in range(20):
            on_demand.release()
        assert name in sys.modules
        for _ in range(10):
            on_demand.release()
        assert name not in sys.modules


def test_room_is_made_but_of_what_is_named():
    with Dropping():
        list(on_demand.load("mpcore.vl2.exchange", "mpcore.vl1.greeting"))
        on_demand.make_room(("mpcore.vl2.exchange",))
        assert "mpcore.vl2.exchange" in sys.modules and "mpcore.vl1.greeting" not in sys.modules


def test_loading_is_sliced():
    with Dropping():
        on_demand.make_room()
        names = ("mpcore.vl2.exchange", "mpcore.vl1.greeting")
        assert len(list(on_demand.load(*names))) == 2
        assert len(list(on_demand.load(*names))) == 0


def test_a_network_is_joined_and_used_with_everything_dropped_at_each_poll():
    with Dropping():
        lan = Lan(private=True, options={"sliced": True})
        seen = set()

        def drop(now):
            seen.update([name for name in _SELDOM if name in sys.modules])
            on_demand.make_room()
            return now + 1

        lan.wire.every(drop)
        for member in lan.members:      # they are strangers until the controller lets them in
            who = member.identity.address
            assert lan.run(15000, lambda: who in lan.controller.members(lan.nwid))
            lan.controller.update_member(lan.wire.now, lan.nwid, who, {"authorized": True})
        assert lan.joined()
        a, b = lan.members
        assert lan.ping(a, b) is not None
        assert lan.network(a).config.com.agrees(lan.network(b).config.com, b.identity)
        lan.run(70000)                  # configs are refreshed
        assert lan.ping(b, a) is not None
        assert seen == set(_SELDOM)
