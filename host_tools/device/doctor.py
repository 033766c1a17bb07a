"""Whether a board is fit for Filament: what a Probe of it means, in sentences."""

from dataclasses import asdict, dataclass

from host_tools.boards import facts as board_facts
from host_tools.boards import images, mpy
from host_tools.device import probe as probing

GOOD, NOTE, SLOW, UNFIT = "good", "note", "slow", "unfit"

# Bytes of heap, in all, that are needed: with the code in .mpy files 224,000 are in use on a Pico
# W's firmware when a bulb that `filament deploy` has brought has joined; games and members come
# to that. With the image in its flash one whose heap is cut down to 80,000 joins, reacts to a game
# and goes on when five members come (50,000 are in use then; with 66,000 it fails as they come);
# a session over the network takes 14,300 more (README, Figures). From a ROMFS the functions and
# dictionaries are still made in the heap: 141,000 were in use on a Pico W when its flash had no
# more than the code, with five further members.
HEAP_MPY, HEAP_MPY_ROOMY = 240_000, 400_000
HEAP_IN_PLACE = 95_000
HEAP_ROMFS = 141_000
FILES = 645_000             # bytes of flash for the code in .mpy files, each in whole blocks,
FILES_IN_PLACE = 40_000     # for what goes beside an image,
FILES_IMAGE = 265_000       # and with an image that the board has to put into its flash
MACHINE_CODE = 40_000       # bytes of it in .mpy files, where it has a memory of its own
LATE_US = 3_000             # a wait that ends so much later shows the ticks it is made of
_OTHERWISE = ("take firmware with a ROMFS partition, or freeze the code "
              "(build/boards/ARCH/manifest.py)")
_LEAST_VERSION = (1, 23)    # the first whose .mpy files are those of today's mpy-cross


@dataclass(frozen=True)
class Finding:
    """topic: a word. level: GOOD, NOTE, SLOW or UNFIT. text: what is so. mend: what to do."""

    topic: str
    level: str
    text: str
    mend: str = ""


def examine(link):
    """(Probe, [Finding]) of the board at a Link, whatever firmware it has. Raises LinkError."""
    found = probing.read(link)
    known = board_facts.load()
    facts = known.get(found.board)
    if found.name == probing.MICROPYTHON and facts and facts.flash_free:
        found = probing.read(link, facts)
    return found, judge(found, facts)


def fit(findings):
    """Whether nothing stands in the way."""
    return all(finding.level != UNFIT for finding in findings)


def judge(probe, facts):
    """The Findings of a Probe. facts: of its board in boards/, or None."""
    if probe.name != probing.MICROPYTHON:
        return [Finding("firmware", UNFIT, f"it runs {probe.firmware}, not MicroPython",
                        "put MicroPython on it: `filament flash`")]
    findings = [_firmware(probe), _board(probe, facts), _mpy(probe), _machine_code(probe, facts),
                _heap(probe, facts), _storage(probe, facts), _wifi(probe), _entropy(probe),
                _waits(probe), _frequency(probe, facts), _ours(probe)]
    return [finding for finding in findings if finding is not None]


def report(probe, findings):
    """All of it for scripts; no secret is in it."""
    return {"fit": fit(findings), "board": probe.board, "architecture": probe.architecture,
            "probe": asdict(probe), "findings": [asdict(finding) for finding in findings]}


def _kb(size):
    return f"{size / 1000:,.0f} KB"


def _firmware(probe):
    if probe.version < _LEAST_VERSION:
        return Finding("firmware", UNFIT, f"{probe.firmware} is too old",
                       "flash MicroPython 1.27 or newer: `filament flash`")
    return Finding("firmware", GOOD, f"{probe.firmware} ({probe.machine or probe.platform})")


def _board(probe, facts):
    if facts is None:
        return Finding("board", NOTE, "this board is not one of those that boards/ knows",
                       "name the nearest with `filament deploy --board`; its LED and clock may "
                       "differ")
    return Finding("board", GOOD, f"treated as {facts.board}")


def _mpy(probe):
    version, sub = probe.mpy_version
    ours = tuple(map(int, mpy.version()[1].split(".")))
    if not version:
        return Finding("code", UNFIT, "the firmware loads no .mpy files",
                       "flash MicroPython's own build for this board: `filament flash`")
    if (version, sub) != ours:
        return Finding("code", UNFIT, f"the firmware loads .mpy files of version {version}.{sub}, "
                       f"and they are compiled as {ours[0]}.{ours[1]}",
                       "flash MicroPython 1.27 or newer: `filament flash`")
    if probe.architecture is None:
        return Finding("code", UNFIT, "the firmware runs no machine code, which the ciphers need",
                       "flash MicroPython's own build for this board: `filament flash`")
    return Finding("code", GOOD, f".mpy files of version {version}.{sub}, machine code for "
                                 f"{probe.architecture}")


def _machine_code(probe, facts):
    if probe.executable is None or probe.image or probing.runs_in_place(probe, facts):
        return None
    text = f"{_kb(probe.executable)} of memory are free for machine code, which takes "
    if probe.executable >= MACHINE_CODE:
        return Finding("ciphers", GOOD, text + f"{_kb(MACHINE_CODE)}")
    return Finding("ciphers", SLOW, text + f"{_kb(MACHINE_CODE)}: what finds no room runs as "
                   "bytecode, many times slower", "reset the board, and load no machine code of "
                   "your own before Filament; `filament monitor ADDRESS` names what is slow")


def _heap(probe, facts):
    if probe.heap is None:
        return None
    total = probe.heap[1]
    text = f"{_kb(total)} of heap, {_kb(probe.heap[0])} of it free now"
    if probe.largest:
        text += f", the largest piece {_kb(probe.largest)}"
    if facts is not None and facts.heap_connected and facts.heap_connected < total:
        total = facts.heap_connected
        text += f"; {_kb(total)} in all once Wi-Fi is connected"
    total *= 32 / probe.word            # on 64 bits the same objects are twice as large
    in_flash = probing.runs_in_place(probe, facts)
    if probe.image and facts and facts.flash_free and not in_flash:
        return Finding("heap", UNFIT, f"{text}; there is an image of the code in its flash, and "
                       "a firmware that it is not for",
                       f"flash both anew: {images.way_into_flash(facts)}")
    if probe.romfs or probe.image or in_flash:
        in_place, needed = (
            ("from the image in its flash", HEAP_IN_PLACE) if probe.image else
            ("from its flash, where `filament deploy` puts it", HEAP_IN_PLACE) if in_flash else
            ("from a ROMFS partition", HEAP_ROMFS))
        if total >= needed:
            return Finding("heap", GOOD, f"{text}; the code runs {in_place}, so that is enough")
        return Finding("heap", UNFIT, f"{text}; even with the code {in_place} a node needs "
                       f"{_kb(needed)}", "take a board with more memory, or with PSRAM")
    if total >= HEAP_MPY_ROOMY:
        return Finding("heap", GOOD, f"{text}; code and node fit into it")
    if total >= HEAP_MPY:
        return Finding("heap", SLOW, f"{text}; the code in .mpy files takes most of it, so a "
                       "second game or some members more may be too many", _OTHERWISE)
    return Finding("heap", UNFIT, f"{text}; the code in .mpy files needs {_kb(HEAP_MPY)}",
                   f"take a board with PSRAM and its firmware, or {_OTHERWISE}")


def _storage(probe, facts):
    if probe.flash is None:
        return Finding("files", UNFIT, "the board has no file system",
                       "flash it anew: `filament flash`")
    free, total = probe.flash
    text = f"{_kb(free)} of {_kb(total)} are free for files"
    if "a" in probe.there:
        return Finding("files", GOOD, text + ", an app of ours is among them")
    needed = (FILES_IN_PLACE if probe.romfs or probe.image
              else FILES_IMAGE if probing.runs_in_place(probe, facts) else FILES)
    if free < needed:
        return Finding("files", UNFIT, f"{text}, and {_kb(needed)} are needed",
                       "remove files from the board, or flash it anew with its flash erased")
    return Finding("files", GOOD, text)


def _wifi(probe):
    if probe.platform == "linux":
        return Finding("network", GOOD, "the network is this machine's")
    if probe.wifi is None:
        return Finding("network", UNFIT, "the firmware has no Wi-Fi",
                       "take a board with Wi-Fi, and its own firmware (a Pico's knows of none)")
    if not probe.wifi.get("connected"):
        return Finding("network", GOOD, "it has Wi-Fi, not connected now")
    text = f"it has Wi-Fi, connected as {probe.wifi.get('address')}"
    if probe.wifi.get("power_save"):
        return Finding("network", SLOW, f"{text}; its power saving makes packets wait for the "
                       "next beacon, 100 ms and more", "what `filament deploy` puts there "
                       "switches it off; in a program of your own: wlan.config(pm=wlan.PM_NONE)")
    return Finding("network", GOOD, text)


def _entropy(probe):
    if not probe.entropy or len(set(probe.entropy)) == 1:
        return Finding("randomness", UNFIT, "os.urandom gives the same twice, or nothing: who "
                       "guesses it can pretend to be this board",
                       "flash MicroPython's own build for this board: `filament flash`")
    return Finding("randomness", NOTE, "two draws of os.urandom differ; whether they repeat after "
                   "power-on cannot be told from here (in an emulator they may)")


def _waits(probe):
    if not probe.late:
        return None
    median, most = probe.late[len(probe.late) // 2], probe.late[-1]
    text = f"waits of some ms end {median / 1000:.1f} ms late, at most {most / 1000:.1f}"
    if median < LATE_US:
        return Finding("waits", GOOD, text)
    return Finding("waits", SLOW, f"{text}: an idle board sees a packet that much later",
                   "what `filament deploy` puts there does not idle while a stream is open; "
                   "firmware built with CONFIG_FREERTOS_HZ=1000 has no such ticks")


def _frequency(probe, facts):
    if not probe.frequency:
        return None
    text = f"the processor runs at {probe.frequency / 1e6:.0f} MHz"
    fastest = facts.cpu_hz if facts else None
    if fastest and probe.frequency < fastest:
        return Finding("clock", SLOW, f"{text}, and can run at {fastest / 1e6:.0f}",
                       "what `filament deploy` puts there sets that; in a program of your own: "
                       f"machine.freq({fastest})")
    return Finding("clock", GOOD, text)


def _ours(probe):
    parts = []
    if probe.identity:
        parts.append(f"the identity of {probe.identity.partition(':')[0]}")
    if probe.node:
        parts.append(f"settings for network {probe.node.get('network')}")
    parts += [f"an app in /{name}" for name in probe.there if name in ("a", "b")]
    if probe.image:
        parts.append("an image of the code in its flash")
    if not parts:
        return Finding("filament", NOTE, "nothing of Filament is on it",
                       "`filament provision`, then `filament deploy`")
    mend = "" if probe.identity and probe.node else "`filament provision`"
    mend = mend or ("" if {"a", "b"} & set(probe.there) else "`filament deploy`")
    return Finding("filament", NOTE, "it has " + ", ".join(parts), mend)
