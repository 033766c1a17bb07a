"""Brings an app onto a board: what it has is asked, what differs is sent, checked, and started.

The app goes into the slot that is not the good one (boards/slots.py), and becomes the good one
when all of it has arrived; where there is no room for two, into the good one's place. A slot's
main is removed before anything in it is changed and written last, so a torn deployment never runs;
the next one goes on where it ended.
"""

import collections
import json
from collections import namedtuple

from host_tools.boards import facts as board_facts
from host_tools.boards import images, mpy, romfs
from host_tools.device import probe as probing
from host_tools.device import romfs_partition
from host_tools.device import tree as trees
from host_tools.device.link import TEMPORARY, BoardError, LinkError, file_of

SLOTS = ("a", "b")
STATE = "/slots.json"
ONLINE_S = 90               # from the start to the answer of a root; Wi-Fi takes some of that
_BLOCK = 4096               # of flash: what a file takes is a multiple
_DIRECTORY = 2 * _BLOCK
_SPARE = 4 * _BLOCK         # left free, for what the node stores
# {what would be found in place of another: that}
_STALE = {"/rom.py": "/rom.mpy", "/firmware_calls.py": "/firmware_calls.mpy",
          "/slots.py": "/boot.py", "/slots.mpy": "/renewal/slots.mpy"}
_KEPT = ".before-filament"  # what a boot.py or main.py is called that somebody else has written
_TAIL = 8
# A slot on trial has set a timer that resets the board.
_HOLD = """
import sys
_s = getattr(sys.modules.get("slots"), "_timer", None)
if _s:
    _s.deinit()
"""
_UNDECIDED = (None, "", "REQUESTING_CONFIGURATION")

# What there is to be done in a slot. send: {path: bytes}; copy: {path: (path on the board that has
# the same, its File)}; remove: paths, the inner ones first; kept: how many files are there.
Plan = namedtuple("Plan", "send copy remove kept")
# size: bytes of all that the board is to have; sent: those that were sent; copied and removed:
# numbers of files. changed: whether the board was changed at all. node: the address of its
# identity, or None.
Sent = namedtuple("Sent", "slot size sent files copied removed changed node")


class Steps:
    """Hears how far a deployment is; does nothing with it."""

    def step(self, text):
        """Something begins."""

    def begin(self, size):
        """So many bytes are to be sent."""

    def file(self, path):
        """They are now those of this file."""

    def sent(self, count):
        """So many of them were sent."""


# --- what is to be done -------------------------------------------------------------------------


def plan(slot, wanted, files, directories):
    """The Plan that makes a slot what is `wanted`, {path below it: bytes}.

    files, directories: of the whole board, as Link.walk tells; files elsewhere are copied from.
    """
    top = f"/{slot}/"
    elsewhere = {file: path for path, file in files.items()
                 if not path.startswith(top)}
    send, copy, kept = {}, {}, 0
    for path, data in wanted.items():
        file = file_of(data)
        if files.get(top + path) == file:
            kept += 1
        elif file in elsewhere:
            copy[top + path] = elsewhere[file], file
        else:
            send[top + path] = data
    needed = {top + path for path in wanted}
    parents = {top + path[:at] for path in wanted for at in range(len(path)) if path[at] == "/"}
    gone = [path for path in files if path.startswith(top) and path not in needed]
    empty = [path for path in directories if path.startswith(top) and path not in parents]
    remove = sorted(gone) + sorted(empty, reverse=True)
    if send or copy or remove:          # then it is written anew, when all else is there
        for path in filter(is_main, wanted):
            kept -= files.get(top + path) == file_of(wanted[path])
            copy.pop(top + path, None)
            send[top + path] = wanted[path]
    return Plan(send, copy, remove, kept)


def room(wanted):
    """Bytes of flash that {path: bytes} takes, at most."""
    parents = {path[:at] for path in wanted for at in range(len(path)) if path[at] == "/"}
    return sum(-(-len(data) // _BLOCK) * _BLOCK for data in wanted.values()) + (
        len(parents) + 1) * _DIRECTORY


def state_of(text):
    """The state in a slots.json, or in None: the good slot's name or None, and what else it says.

    A file that makes no sense counts as none, as on the board.
    """
    try:
        state = json.loads(text or "")
        if isinstance(state, dict) and state.get("good") in (None, *SLOTS) and \
                isinstance(state.get("hash"), dict):
            return state | {"good": state.get("good")}
    except (ValueError, TypeError, RecursionError):
        pass
    return {"good": None, "hash": {}}


def is_main(path):
    """Is this what a slot's program begins with?"""
    return path.rpartition("/")[2] in (f"{trees.MAIN}.py", f"{trees.MAIN}.mpy")


def target_of(good, wanted, files, free):
    """The slot to write into: the one that is not good, or the good one where there is no room for
    two. Raises ValueError when there is no room for one either.

    free: bytes of the file system; those of what is in the slot now count as free too.
    """
    other = SLOTS[1] if good == SLOTS[0] else SLOTS[0]
    for slot in (other, good) if good else (SLOTS[0],):
        held = {path: bytes(file.size) for path, file in files.items()
                if path.startswith(f"/{slot}/")}
        if room(wanted) + _SPARE <= free + sum(
                -(-len(data) // _BLOCK) * _BLOCK for data in held.values()):
            return slot
    raise ValueError(f"the board's file system is too small: {room(wanted) // 1000} KB are needed "
                     f"and {free // 1000} KB are free; remove what is not needed there")


# --- doing it -----------------------------------------------------------------------------------


def board_for(link, name=None):
    """(Probe, Facts) of the board at a Link. name: of a board in boards/, where it is not to be
    told by what the board says. Raises LinkError, ValueError when they do not fit."""
    probe = probing.board(link)
    known = board_facts.load()
    if name is None and probe.board is None:
        raise ValueError(f"{link.target}: {probe.machine or probe.firmware} is none of the boards "
                         f"that are known; name the nearest with --board: {', '.join(known)}")
    board = known[name or probe.board]
    if probe.architecture != board.mpy_arch:
        raise ValueError(f"{link.target}: this board runs code for {probe.architecture}, and "
                         f"{board.board} for {board.mpy_arch}; name another with --board")
    ours = tuple(map(int, mpy.version()[1].split(".")))
    if probe.mpy_version != ours:
        raise ValueError(f"{link.target}: {probe.firmware} cannot load what mpy-cross "
                         f"{mpy.version()[0]} compiles; `filament flash` puts a newer one there")
    return probe, board


def deploy(link, app=trees.APP, board_name=None, steps=Steps()):
    """Make the board at a Link have an app and what belongs to it. Returns a Sent.

    Raises LinkError; ValueError for an app or a board that cannot be.
    """
    probe, board = board_for(link, board_name)
    link.run(_HOLD)
    steps.step(f"compiling for {board.board}")
    image, pieces = image_for(link, probe, board)
    wanted = trees.tree(board, app, image=image) | pieces
    if pieces:
        steps.step("with it goes the core as an image for the board's flash")
    sent = 0
    if probe.romfs and image is None:
        wanted, sent = _into_romfs(link, probe, wanted, steps)
    top = trees.top(board, in_flash=image is not None)
    steps.step("asking the board for what it has")
    files, directories = listing(link)
    torn = [path for path in files if path.endswith(TEMPORARY)]
    if torn:
        link.remove(*torn)
        files = {path: file for path, file in files.items() if path not in torn}
    state = state_of(link.read(STATE))
    good = state["good"]
    there = (files, directories) if pieces else without_image(link, probe, good, files,
                                                              directories)
    target, what = good, good and plan(good, wanted, *there)
    if what is None or undone(what):
        target = _target(link, board, good, wanted, files, pieces)
        what = plan(target, wanted, files, directories)
    size = sum(map(len, what.send.values()))
    steps.step(f"sending {len(what.send)} files, {size:,} bytes, into slot {target}")
    steps.begin(size)
    fill(link, target, what, files, steps)
    if undone(what):
        check(link, target, wanted)
    changed = _install(link, top, steps) or bool(torn) or undone(what) or bool(sent)
    changed = _choose(link, state, target, trees.digest(wanted)) or changed
    return Sent(target, sum(map(len, wanted.values())),
                sent + sum(map(len, what.send.values())), len(wanted), len(what.copy),
                len(what.remove), changed, probe.identity and probe.identity.partition(":")[0])


def _target(link, board, good, wanted, files, pieces):
    try:
        return target_of(good, wanted, files, link.free()[0])
    except ValueError as error:
        if not pieces:
            raise
        size = sum(map(len, pieces.values()))
        raise ValueError(f"{error}; {size // 1000} KB of it are the core, which "
                         f"{images.way_into_flash(board)} brings without them") from error


def undone(what):
    """Whether there is anything to do in a Plan."""
    return bool(what.send or what.copy or what.remove)


def listing(link):
    """({path: File}, directories) of all slots."""
    files, directories = {}, []
    for slot in SLOTS:
        there, inner = link.walk(f"/{slot}")
        files |= there
        directories += inner
    return files, directories


def fill(link, slot, what, files, steps):
    """Carry out a Plan; the slot's main last."""
    if not undone(what):
        return
    mains = [path for path in files if path.startswith(f"/{slot}/{trees.MAIN}.")]
    if mains:
        link.remove(*mains)
    if what.remove:
        steps.step(f"removing {len(what.remove)} from /{slot}")
        link.remove(*what.remove)
    if what.copy:
        steps.step(f"copying {len(what.copy)} files on the board")
    for path, (source, file) in what.copy.items():
        link.copy(source, path, file)
    for path, data in sorted(what.send.items(), key=lambda item: is_main(item[0])):
        steps.file(path)
        link.write(path, data, steps.sent)


def check(link, slot, wanted):
    """Look whether all has arrived. Raises LinkError."""
    files, directories = link.walk(f"/{slot}")
    if undone(plan(slot, wanted, files, directories)):
        raise LinkError(f"{link.target}: what is on the board is not what was sent; repeat this")


def _install(link, top, steps):
    """Put what belongs at the top of the file system there; whether anything was to be done."""
    there = link.files([*top, *_STALE])
    link.remove(*(path + TEMPORARY for path in top))
    missing = {path: data for path, data in top.items()
               if there.get(path) != file_of(data)}
    stale = [path for path, other in _STALE.items() if path in there and other in top]
    for path, data in missing.items():
        if path in there and path.endswith(".py") and b"slots" not in link.read(path):
            steps.step(f"{path} of somebody else is {path + _KEPT} now")
            link.rename(path, path + _KEPT)
        steps.step(path)
        link.write(path, data)
    if stale:
        link.remove(*stale)
    return bool(missing or stale)


def _choose(link, state, slot, digest):
    """Make a slot the good one, its content known by a hash; whether it was not."""
    wanted = {"good": slot, "trial": None, "starts": 0, "minutes": state.get("minutes", 5),
              "hash": state["hash"] | {slot: digest}, "rolled_back": state.get("rolled_back")}
    if wanted == state:
        return False
    link.write(STATE, json.dumps(wanted).encode())
    return True


# --- code that is not in files ------------------------------------------------------------------


def image_for(link, probe, board):
    """(the images.Build of what the program will have in the board's flash, None without; the part
    of its tree by which the board puts that there, empty where it has it). Raises LinkError where
    the image in the flash is not for its firmware."""
    if not probing.runs_in_place(probe, board):
        if probe.image:
            raise LinkError(f"{link.target}: there is an image in the board's flash, and a "
                            "firmware that it is not for; flash both anew: "
                            f"{images.way_into_flash(board)}")
        return None, {}
    build = trees.build(board)
    found = _mounted(link, board) if probe.image else None
    if found is None or found.core != build.core:
        return build, trees.pieces(board)
    return found, {}


def _mounted(link, board):
    """The Build of the image that is in the board's flash; None where that cannot be used."""
    loader = trees.loader(board)
    if link.files(loader) != {path: file_of(data) for path, data in loader.items()}:
        if not link.serial:         # it belongs to the image that runs
            return None
        for path, data in loader.items():
            link.write(path, data)
    try:
        # An earlier loader may have tried, in vain.
        anew = [f"for n in {tuple(name[1:-4] for name in loader)}: sys.modules.pop(n, None)"]
        mounting = "".join(f" {line}\n" for line in anew + images.mounting(board))
        link.run(f"import sys\nif '/rom' not in sys.path:\n{mounting}")
        # On its own, as what is compiled before has other names for the same (rom.py).
        return images.Build(*link.ask(f"import json\nfrom {images.BUILD} import CORE, APP\n"
                                      "print(json.dumps([CORE, APP]))"))
    except (BoardError, TypeError):
        return None


def without_image(link, probe, slot, files, directories):
    """The listing without the image in a slot, where the flash has the same: it does no harm, and
    is what an update could come back to."""
    image = probing.image_in_flash(probe)
    if None in (slot, image) or link.read(f"/{slot}/{images.CRC}") != image[1]:
        return files, directories
    top = f"/{slot}/{images.OF_SLOT}"
    return ({path: file for path, file in files.items() if not path.startswith(top)},
            [path for path in directories if path + "/" != top])


def _into_romfs(link, probe, wanted, steps):
    """Put the core into the board's ROMFS partition, if it fits. Returns what remains for files,
    and how many bytes were sent."""
    core = {path: data for path, data in wanted.items() if path.startswith(trees.LIB)}
    image = romfs.image(core)
    if len(image) > probe.romfs[0]:
        steps.step(f"the ROMFS partition is too small for the core ({len(image):,} bytes)")
        return wanted, 0
    rest = {path: data for path, data in wanted.items() if path not in core}
    if romfs_partition.has(link, image):
        return rest, 0
    steps.step(f"writing the core into the ROMFS partition ({len(image):,} bytes)")
    romfs_partition.write(link, image)
    if not romfs_partition.has(link, image):
        raise LinkError(f"{link.target}: the ROMFS partition does not have what was written; "
                        "repeat this")
    return rest, len(image)


# --- does it run --------------------------------------------------------------------------------


# online: whether a root answers, and the network's state is settled. status, address: of the
# network, or None. free: bytes of heap, or None. said: the last lines that were printed. reached:
# whether a root answers at all.
Running = namedtuple("Running", "online status address free said reached")


def start(link, timeout_s=ONLINE_S, tell=lambda text: None):
    """Restart the board, and listen until its program says that it is online, has failed, or
    timeout_s are over. Returns a Running."""
    link.restart()
    return follow(link.lines(timeout_s), tell)


def follow(lines, tell=lambda text: None):
    """The Running of the lines that a program prints: JSON objects with an "event", of which
    "network" has `status`, `online` and `address`, and "heap" has `free`; a traceback ends it."""
    status = address = free = None
    said = collections.deque(maxlen=_TAIL)
    failing = reached = False
    for line in lines:
        said.append(line)
        facts = _event(line)
        if facts is None:
            if failing and line and not line.startswith(" "):
                break               # the exception itself
            failing = failing or line.startswith("Traceback")
        elif facts["event"] == "heap":
            free = facts.get("free", free)
        elif facts["event"] == "network":
            status, address = facts.get("status"), facts.get("address")
            tell(f"network {status}")
            reached = bool(facts.get("online"))
            if reached and status not in _UNDECIDED:
                return Running(True, status, address, free, list(said), True)
    return Running(False, status, address, free, list(said), reached)


def _event(line):
    """The JSON object in a line that has an "event", or None."""
    try:
        facts = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return facts if isinstance(facts, dict) and "event" in facts else None
