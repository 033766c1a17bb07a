"""Two places for a board's program, so that no update can brick it.

The program is in /a or in /b: a tree with `main` (which has start()) and `lib`. One of them is
known to be good; an update is written into the other, which is then put on trial:

    import slots            # boot.py
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

A program may be for one image of the core in the board's flash only: then its slot has that image,
too, and renewal/image.py puts it there. On such a board this module is in the image; that has one
of its own, as it has to do without.
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
IMAGE = "/.image"       # in a slot: a directory that an app cannot have
_CRC = "/crc"           # in that, of the image; it comes last
_ON_TRIAL = "/image.on.trial"       # is there while an image is; rom.py counts its starts in it
_MAINS = ("/main.mpy", "/main.py")

root = os.getcwd().rstrip("/") if sys.platform in ("linux", "darwin") else ""
running = None          # the slot that boot() has chosen
_timer = None


def boot(mounted=None):
    """Choose the slot to run and put it in front of sys.path. Returns its name, None without one.

    mounted: the CRC-32 of the image in flash. A trial is only begun when that could be noted: on a
    full file system the good one runs. Raises OSError when the chosen one is for another image.
    """
    global running
    state = load()
    trial = state["trial"]
    running = state["good"]
    if trial is not None:
        if state["starts"] >= STARTS or not has_main(trial):
            roll_back(state, "not confirmed after %d starts" % state["starts"])
        else:
            state["starts"] += _is_for(trial, mounted)
            if _written(state):
                running = trial
    if running is not None:
        if not _is_for(running, mounted):
            raise OSError("slot %s is for another image" % running)
        if running == state["trial"]:
            _limit(state["minutes"])
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
    state = load()
    if state["trial"] is not None and state["trial"] == running:
        roll_back(state, repr(error) if error else "its main has ended")
    elif not imported and not isinstance(error, MemoryError) and has_main(_other(running)) and \
            image(_other(running)) in (None, image(running)):
        # The good one is damaged: the other can only be better. One that is too large for the heap
        # is not, and two that are would take turns, with a write to the flash for each; with
        # another image, that would be all of one.
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

    Raises ValueError for the slot that runs or is the good one, that has no main, or has an image
    where the one that runs has none to come back to; OSError when that cannot be written.
    """
    state = load()
    if slot not in NAMES or slot in (running, state["good"]):
        raise ValueError("slot %s is in use" % slot)
    if not has_main(slot):
        raise ValueError("slot %s has no main" % slot)
    if image(slot) is not None:
        if running is not None and image(running) is None:
            raise ValueError("slot %s has no image" % running)
        with open(root + _ON_TRIAL, "w"):
            pass
    state["trial"], state["starts"], state["minutes"] = slot, 0, minutes
    state["hash"][slot] = files_hash
    state["rolled_back"] = None
    _write(state)


def confirm():
    """The slot that runs is good from now on. Returns whether it was on trial.

    Raises OSError when that cannot be written; then the trial goes on.
    """
    global _timer
    state = load()
    if running is None or state["trial"] != running:
        return False
    state["good"], state["trial"], state["starts"] = running, None, 0
    _write(state)
    end_of_trial()
    if _timer is not None:
        _timer.deinit()
        _timer = None
    return True


def state():
    """What is known: `good` and `running`, names of slots or None; `trial`, one that is not
    confirmed, and its `starts`; the `hash` of what is in each; `rolled_back`: None, or the `slot`,
    `hash` and `why` of the last trial that came to nothing."""
    found = load()
    found["running"] = running
    return found


def load():
    """What is noted: as state(), without what runs."""
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


def spare():
    """The slot that an update may be written into."""
    return _other(running or load()["good"] or NAMES[1])


def on_trial():
    """Does a slot run that is to be confirmed?"""
    return running is not None and load()["trial"] == running


def has_main(slot):
    """Has a slot a program?"""
    return slot is not None and any([_exists(root + "/" + slot + name) for name in _MAINS])


def image(slot):
    """The CRC-32 of the image that a slot's program is for; None where it takes any."""
    try:
        with open(root + "/" + slot + IMAGE + _CRC) as file:
            return int(file.read(), 16)
    except (OSError, ValueError):
        return None


def roll_back(state, why):
    """End the trial that a state of load() tells of, which is changed, too: the good slot is to
    run."""
    slot = state["trial"]
    state["rolled_back"] = {"slot": slot, "hash": state["hash"].get(slot), "why": why}
    state["trial"], state["starts"] = None, 0
    if _written(state):         # or else, at the next boot, the same again
        end_of_trial()


def end_of_trial():
    """No image is on trial any more; returns whether one was."""
    try:
        os.remove(root + _ON_TRIAL)
    except OSError:
        return False
    return True


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


def _is_for(slot, mounted):
    return mounted is None or image(slot) in (None, mounted)


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
