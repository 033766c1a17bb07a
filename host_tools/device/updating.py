"""Brings an app onto a board over the virtual network, so that nothing can brick it.

The slot that does not run (boards/slots.py) is made equal to what is wanted: files that the board
has somewhere are copied there, only others are sent, and the hash of each is checked. Then it is
put on trial and the board is reset. The trial ends by the board's own doing, whatever becomes of
us: its node comes online, or what ran before runs again.
"""

import time
from collections import namedtuple

from host_tools.boards import images, listings, romfs
from host_tools.device import deploy as deploying
from host_tools.device import probe as probing
from host_tools.device import romfs_partition
from host_tools.device import tree as trees
from host_tools.device.link import BoardError, LinkError

MINUTES = 5             # that the new program has to come online
STARTS = 2              # as slots.py starts a trial
_PAUSE_S = 1
_BLOCK = 4096           # of flash
_BOOT_S = 60            # beyond what the trials take
_RENEWAL = "/renewal/image.mpy"
_KEPT = 32768           # bytes of an image, in one file
_COPY_S = 60
_COPY = """
from uctypes import bytearray_at
with open({path!r}, "wb") as f:
    f.write(bytearray_at({start}, {size}))
"""
_ASK = "import json, slots\nprint(json.dumps(slots.state()))"

# What has become of an update. confirmed: whether it runs now; why: else what the board says, None
# where there was nothing to be done. The rest is as in deploy.Sent.
Updated = namedtuple("Updated", "slot size sent files copied removed changed confirmed why")


def update(way, app=trees.APP, board_name=None, steps=deploying.Steps(), minutes=MINUTES,
           wait=True):
    """Update the board at a Way (overlay_link.py). Returns an Updated, whose `confirmed` is None
    without `wait`.

    minutes: that the new program has to come online. Raises LinkError; ValueError for an app or a
    board that cannot be.
    """
    with way.open() as link:
        done = _prepare(link, app, board_name, steps, minutes)
        if not done.changed:
            return done
        steps.step("restarting")
        link.restart()
    if not wait:
        return done
    return _outcome(way, done, steps, 60 * STARTS * minutes + _BOOT_S)


def _prepare(link, app, board_name, steps, minutes):
    probe, board = deploying.board_for(link, board_name)
    state = _state(link)
    if state["trial"] is not None:
        raise LinkError(f"{link.target}: slot {state['trial']} is still on trial; wait until it "
                        "is online or rolled back, and repeat this")
    running = state["running"]
    target = deploying.SLOTS[1] if running == deploying.SLOTS[0] else deploying.SLOTS[0]
    steps.step(f"compiling for {board.board}")
    wanted, pieces = _wanted(link, probe, board, app)
    digest = trees.digest(wanted)
    size = sum(map(len, wanted.values()))
    steps.step("asking the board for what it has")
    link.sweep(f"/{target}")
    files, directories = deploying.listing(link)
    there = deploying.without_image(link, probe, running, files, directories)
    if not pieces and not deploying.undone(deploying.plan(running, wanted, *there)):
        return Updated(running, size, 0, len(wanted), 0, 0, False, True, None)
    what = deploying.plan(target, wanted, files, directories)
    to_keep = {}
    if pieces and f"/{running}/{images.CRC}" not in files:
        to_keep = _parts(probing.image_in_flash(probe)[0])
    _check_room(link, what, files, to_keep)
    if to_keep:
        steps.step("keeping the core that runs, "
                   f"{sum(size for _, size in to_keep.values()) // 1000} KB, to come back to")
        _keep_image(link, board, running, probe, to_keep)
    if pieces:
        steps.step("the core is another: its image goes with the app")
    steps.begin(sum(map(len, what.send.values())))
    deploying.fill(link, target, what, files, steps)
    deploying.check(link, target, wanted)
    link.run(f"import slots\nslots.begin({target!r}, {digest!r}, {minutes!r})")
    return Updated(target, size, sum(map(len, what.send.values())), len(wanted), len(what.copy),
                   len(what.remove), True, None, None)


def _wanted(link, probe, board, app):
    """(the tree for a slot, the part of it that is an image for the board's flash). Without the
    core where the board has that in its flash: nothing there is written to from here, as the board
    runs from it."""
    image, pieces = deploying.image_for(link, probe, board)
    if pieces and not probe.image:
        pieces, image = {}, None        # it runs from files, and was not made to find an image
    if pieces and not link.files([_RENEWAL]):
        raise LinkError(f"{link.target}: the core in its flash is of another version, and what is "
                        "on the board cannot replace it; over serial `filament deploy PORT` can")
    wanted = trees.tree(board, app, image=image) | pieces
    if probe.romfs and image is None:
        core = trees.core(board, listings.USUAL)
        content = romfs.image(core)
        if romfs_partition.has(link, content):
            return {path: data for path, data in wanted.items() if path not in core}, {}
    return wanted, pieces


def _parts(size):
    """{path below a slot: (where it begins, bytes)} of an image of so many bytes that is kept."""
    return {f"{images.OF_SLOT}{number:02}": (at, min(_KEPT, size - at))
            for number, at in enumerate(range(0, size, _KEPT))}


def _keep_image(link, board, slot, probe, parts):
    """Copy the image that runs into its slot, as renewal/image.py takes it: all of it or nothing,
    as the board would miss the room."""
    top = f"/{slot}/{images.OF_SLOT}"
    start = images.addresses(board)[0]
    try:
        link.make_directory(top[:-1])
        for path, (at, size) in parts.items():
            link.run(_COPY.format(start=start + at, size=size, path=f"/{slot}/{path}"), _COPY_S)
        for path, file in link.files(trees.loader(board)).items():
            link.copy(path, top + path[1:], file)
        link.write(f"/{slot}/{images.CRC}", probing.image_in_flash(probe)[1])
    except BoardError:
        link.remove(top[:-1])
        raise


def _check_room(link, what, files, to_keep):
    """Raises LinkError where what is to come would not fit beside what stays: a file that is
    replaced goes only when the new one is there. to_keep: _parts() that are kept besides."""
    coming = dict(what.send)
    coming.update((path, bytes(file.size)) for path, (_, file) in what.copy.items())
    coming.update((path, bytes(size)) for path, (_, size) in to_keep.items())
    needed = deploying.room(coming)
    free = link.free()[0] + sum(files[path].size // _BLOCK * _BLOCK for path in what.remove
                                if path in files)
    if needed > free:
        raise LinkError(
            f"{link.target}: there is no room for a second program beside the one that runs "
            f"({needed // 1000} KB are needed, {free // 1000} KB are free); remove what is not "
            "needed there, or deploy over serial, which needs one place")


def _state(link):
    try:
        return link.ask(_ASK)
    except BoardError as error:
        if error.name == "ImportError":
            raise LinkError(f"{link.target}: this board has no slots: deploy to it over serial "
                            "once, with `filament deploy PORT`") from error
        raise


def _outcome(way, done, steps, patience_s):
    """Wait until the trial has ended, one way or the other."""
    end = time.monotonic() + patience_s
    told = None
    while time.monotonic() < end:
        time.sleep(_PAUSE_S)
        try:
            with way.open() as link:
                state = _state(link)
            text = "it has started, and is not online yet"
        except LinkError:
            state, text = None, "waiting for it to come online"
        if state is not None and state["trial"] is None:
            rolled_back = state["rolled_back"]
            if state["good"] == done.slot and rolled_back is None:
                return done._replace(confirmed=True)
            return done._replace(confirmed=False,
                                 why=(rolled_back or {}).get("why") or "no reason was noted")
        if text != told:
            steps.step(text)
            told = text
    raise LinkError(f"{way.target}: the board has not come back within {patience_s // 60:.0f} "
                    "minutes: is it on, and does its network's root answer? What ran before runs "
                    "again by now, if the new program did not come online")
