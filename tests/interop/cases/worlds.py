"""Case 11: moons, and the worlds that roots hand out."""

import time
from contextlib import contextmanager
from functools import partial

import peers
from cases.case import OURS, Case
from infrastructure import Filament, Generous, Stock
from mpcore.port import entropy
from mpcore.vl1.identity import public_of
from mpcore.vl1.world import MOON
from scene import check, together, wait_for

_HOUR_MS = 3_600_000
_TAKE_S = 30
_ORBIT_S = 60           # a real node greets the root of a moon that it wants every 28 s
_RELAY_S = 75           # a real node trusts for a minute in a root that has fallen silent


def cases(scene):
    yield Case("11", "worlds that a root hands out are taken if signed and newer, else refused",
               handed_out, [*OURS, *scene.foreign], budget_s=90)
    kinds = [Filament.kind] + [Stock.kind] * ("zerotier-one" in scene.members)
    for kind in kinds:
        yield Case("11", f"a moon whose root is a {kind} is orbited, and relays", orbited,
                   [*OURS, *scene.foreign], kind, budget_s=180)


# --- planets and moons from a root ------------------------------------------------------------


def handed_out(scene):
    """A root hands out what it should not; and then what it should, too."""
    host, root = scene.place("generous")
    secret, stranger = entropy(64), entropy(64)
    make = partial(peers.make_world, root, host.ip)
    planet, moon = make(secret), make(secret, type=MOON)
    bad, good = [make(secret, later_ms=_HOUR_MS), make(secret, later_ms=_HOUR_MS, type=MOON)], []
    for held in (planet, moon):
        revise = partial(make, type=held.type, id=held.id)
        bad += [revise(secret, later_ms=-_HOUR_MS),
                revise(stranger, later_ms=_HOUR_MS, update_key=public_of(secret))]
        good.append(revise(secret, later_ms=_HOUR_MS))
    names = [f"{kind}-follower" for kind in (*OURS, *scene.foreign)]
    scene.add_service("generous", Generous.kind, "root", planet, [moon])
    service = scene.services["generous"]
    figures = {}
    try:
        service.offer(*bad)
        for name in names:
            scene.add(name, planet, [moon])
        for name in names:
            scene.online(name)
            check(_holds(scene, name, planet, moon), f"{name} has taken what it should not")
            if name.startswith(OURS):
                counters = scene.members[name].call("status")["counters"]["vl1"]
                figures[f"{name}_refused"] = counters["worlds_refused"]
        figures["offers"] = service.counters()["offers"]
        check(figures["offers"] >= len(names), "nobody was offered anything")
        service.offer(*bad, *good)
        for name in names:
            scene.restart(name)
        for name in names:
            scene.online(name)
            wait_for(f"{name} has the newer planet and moon",
                     lambda: _holds(scene, name, *good), _TAKE_S)
    finally:
        for name in names:
            scene.remove(name)
        scene.remove_service("generous")
    return figures


def _holds(scene, name, planet, moon):
    """Whether these are the worlds that a node holds, as far as it tells."""
    held = scene.members[name].call("worlds")
    moons = {} if name.startswith("libzt") else {moon.id.hex(): moon.timestamp}
    return held == {"planet": planet.timestamp, "moons": moons}


# --- orbiting ---------------------------------------------------------------------------------


def orbited(scene, kind):
    """All orbit a moon; then its root is the only one whom they can reach, and relays."""
    service = f"moon-{kind}"
    host, root = scene.place(service)
    moon = peers.make_world(root, host.ip, type=MOON, id=bytes(3) + root.address)
    # Real nodes keep to the paths that they have, dead or not; to these there are none yet.
    fresh = [f"{runtime}-{service}" for runtime in OURS]
    names = [*scene.foreign, *fresh]
    figures = {}
    scene.add_service(service, kind, "root", moons=[moon])
    for name in fresh:
        scene.add(name)
    try:
        together(*(partial(scene.enrol, name) for name in fresh))
        for name in names:
            # One after the other: a real root hears one stranger of a network in two seconds.
            figures[f"{name}_s"] = _orbit(scene, name, service, moon)
        pairs = [tuple(fresh), *((name, other) for name in fresh for other in scene.foreign)]
        with _only(scene, names, host):
            if "zerotier-one" in names:
                # It would trust in the root of the planet for minutes, as it was faster.
                scene.restart("zerotier-one")
            times = together(*(partial(scene.first_ping, *pair, _RELAY_S) for pair in pairs))
        for (one, other), ms in zip(pairs, times):
            figures[f"{one}_{other}_relayed_ms"] = ms
        for name in names:
            scene.members[name].call("deorbit", moon=moon.id.hex())
            check(not scene.members[name].call("worlds")["moons"], f"{name} keeps the moon")
        if "zerotier-one" in names:
            scene.enrol("zerotier-one")
    finally:
        for name in fresh:
            scene.remove(name)
        scene.remove_service(service)
    return figures


def _orbit(scene, name, service, moon):
    """Seconds until a member has the moon, or greets the moon's root if it does not tell."""
    member = scene.members[name]
    began = time.monotonic()
    member.call("orbit", moon=moon.id.hex(), seed=scene.services[service].address)
    wait_for(f"{name} greets the moon's root",
             lambda: member.address in scene.services[service].peers(), _ORBIT_S)
    if member.kind != "libzt":
        wait_for(f"{name} has the moon", lambda: moon.id.hex() in member.call("worlds")["moons"],
                 _ORBIT_S)
    return round(time.monotonic() - began, 1)


@contextmanager
def _only(scene, names, host):
    """These members receive from nobody but one host."""
    for name in names:
        scene.members[name].host.block_all_but(host)
    try:
        yield
    finally:
        for name in names:
            scene.members[name].host.unblock()
