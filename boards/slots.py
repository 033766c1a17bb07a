"""Two places for a board's program, so that no update can brick it.

The program is in /a or in /b: a tree with `main` (which has start()) and `lib`. One of them is
known to be good; an update is written into the other, which is then put on trial:

    import slots            # boot.py; this file itself is installed over serial only
    slots.boot()            # chooses the slot and puts it in front of sys.path

    import slots            # main.py
    slots.start()           # imports the slot's main and calls its start()

A slot on trial becomes the good one by confirm(), called when the node is online. Until then it is
started at most STARTS times; when its main ends, with an exception or without, or when it is not
confirmed within `minutes` (a machine.Timer then resets the board), the good one runs again. A
timer's callback runs between bytecodes: it cannot end a call into the firmware that never returns,
after which it takes somebody to switch the board off and on.

/slots.json says all that, and is replaced atomically. Where it is missing or damaged, or calls a
slot good that has no main, what was about to replace it counts; where there is neither, the first
of a and b that has a main is good.
So whoever writes into a slot removes its main first, and last gives it its name: a slot that has
one is whole.

Without a program in either nothing is chosen, and start() says so.
"""

import json
import os
import sys

NAMES = ("a", "b")
STARTS = 2              # of a trial that nobody has confirmed
MINUTES = 5
RESTART_S = 10          # after a good program has ended: time to interrupt it over serial
_FILE = "/slots.json"
_NEW = "/slots.json.new"
_MAINS = ("/main.mpy", "/main.py")

root = os.getcwd().rstrip("/") if sys.platform in ("linux", "darwin") else ""
running = None          # the slot that boot() has chosen
_timer = None


def boot():
    """Choose the slot to run and put it in front of sys.path. Returns its name, None without one.

    A trial is only begun when that could be noted: on a full file system the good one runs.
    """
    global running
    state = _load()
    trial = state["trial"]
    running = state["good"]
    if trial is not None:
        if state["starts"] >= STARTS or not has_main(trial):
            _roll_back(state, "not confirmed after %d starts" % state["starts"])
        else:
            state["starts"] += 1
            if _written(state):
                running = trial
                _limit(state["minutes"])
    if running is not None:
        sys.path[:0] = [root + "/" + running, root + "/" + running + "/lib"]
    return running


def start():
    """Run the main of the slot that boot() has chosen, and do what is to be done if it ends."""
    if running is None:
        return print("no program in /a or /b: `filament deploy` brings one")
    imported = False
    try:
        main = __import__("main")
        imported = True
        main.start()
        error = None
    except (KeyboardInterrupt, SystemExit):     # somebody at the serial port, or a reset
        raise
    except BaseException as failure:
        error = failure
        _print(error)
    state = _load()
    if state["trial"] is not None and state["trial"] == running:
        _roll_back(state, repr(error) if error else "its main has ended")
    elif not imported and not isinstance(error, MemoryError) and has_main(_other(running)):
        # The good one is damaged: the other can only be better. One that is too large for the heap
        # is not, and two that are would take turns, with a write to the flash for each.
        state["good"] = _other(running)
        _written(state)
    elif error is None:
        return
    else:
        import time

        time.sleep(RESTART_S)
    reset()


def begin(slot, files_hash, minutes=MINUTES):
    """Have the next boot() try a slot, whose tree is complete. files_hash: text by which the
    updater knows it; minutes: that it has to come online.

    Raises ValueError for the slot that runs or is the good one, or that has no main; OSError when
    that cannot be written.
    """
    state = _load()
    if slot not in NAMES or slot in (running, state["good"]):
        raise ValueError("slot %s is in use" % slot)
    if not has_main(slot):
        raise ValueError("slot %s has no main" % slot)
    state["trial"], state["starts"], state["minutes"] = slot, 0, minutes
    state["hash"][slot] = files_hash
    state["rolled_back"] = None
    _write(state)


def confirm():
    """The slot that runs is good from now on. Returns whether it was on trial.

    Raises OSError when that cannot be written; then the trial goes on.
    """
    global _timer
    state = _load()
    if running is None or state["trial"] != running:
        return False
    state["good"], state["trial"], state["starts"] = running, None, 0
    _write(state)
    if _timer is not None:
        _timer.deinit()
        _timer = None
    return True


def state():
    """What is known: `good` and `running`, names of slots or None; `trial`, one that is not
    confirmed, and its `starts`; the `hash` of what is in each; `rolled_back`: None, or the `slot`,
    `hash` and `why` of the last trial that came to nothing."""
    found = _load()
    found["running"] = running
    return found


def spare():
    """The slot that an update may be written into."""
    return _other(running or _load()["good"] or NAMES[1])


def on_trial():
    """Does a slot run that is to be confirmed?"""
    return running is not None and _load()["trial"] == running


def has_main(slot):
    """Has a slot a program?"""
    return slot is not None and any([_exists(root + "/" + slot + name) for name in _MAINS])


def reset():
    """Reset the board; where there is none, end the program with exit code RESTART_S."""
    import machine

    if hasattr(machine, "reset"):
        machine.reset()
    sys.exit(RESTART_S)


def _other(slot):
    return NAMES[1] if slot == NAMES[0] else NAMES[0]


def _limit(minutes):
    """Reset the board in so many minutes, unless confirm() comes first."""
    global _timer
    try:
        from machine import Timer
    except ImportError:
        return
    try:
        _timer = Timer(-1)      # one that needs no hardware
    except ValueError:
        _timer = Timer(0)
    _timer.init(period=int(minutes * 60000), mode=Timer.ONE_SHOT, callback=lambda timer: reset())


def _roll_back(state, why):
    slot = state["trial"]
    state["rolled_back"] = {"slot": slot, "hash": state["hash"].get(slot), "why": why}
    state["trial"], state["starts"] = None, 0
    _written(state)             # or else, at the next boot, the same again


def _load():
    for name in _FILE, _NEW:
        try:
            with open(root + name) as file:
                state = json.loads(file.read())
            if _is_state(state):
                return state
        except (OSError, ValueError):
            pass
    good = [slot for slot in NAMES if has_main(slot)]
    return {"good": good[0] if good else None, "trial": None, "starts": 0, "minutes": MINUTES,
            "hash": {}, "rolled_back": None}


def _is_state(state):
    return (isinstance(state, dict) and isinstance(state.get("hash"), dict)
            and isinstance(state.get("starts"), int) and state["starts"] >= 0
            and isinstance(state.get("rolled_back"), (dict, type(None)))
            and isinstance(state.get("minutes"), (int, float)) and 0 < state["minutes"] < 10000
            and state.get("good") in NAMES and has_main(state["good"])
            and state.get("trial") in NAMES + (None,))


def _write(state):
    with open(root + _NEW, "w") as file:
        file.write(json.dumps(state))
        file.flush()
        if hasattr(os, "fsync"):
            os.fsync(file.fileno())
    _sync()
    os.rename(root + _NEW, root + _FILE)
    _sync()


def _written(state):
    try:
        _write(state)
    except OSError:
        return False
    return True


def _sync():
    if hasattr(os, "sync") and not hasattr(os, "fsync"):
        os.sync()


def _exists(path):
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def _print(error):
    if hasattr(sys, "print_exception"):
        sys.print_exception(error)
    else:
        import traceback

        traceback.print_exception(error)
