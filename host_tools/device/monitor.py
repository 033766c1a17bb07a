"""What goes on on a board: its log, and its node's status, asked over the virtual network or heard
at a serial port, where the board's program says it by itself (boards/apps/bulb/main.py)."""

import binascii
import json
import time

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from host_tools.command import plain
from host_tools.device.link import LinkError

# Asks for the log since the last time, in hexadecimal, and the status.
_ASK = ("import json\nfrom binascii import hexlify\nfrom mpcore import upkeep\n"
        "print(json.dumps([hexlify(session.log()).decode(), upkeep.running.status()]))")
_LOG_LINES = 200
_SHOWN = 12             # lines of the log in the live view
_ASK_S = 10
_UNTOLD = "nothing was said of the network yet"     # by a program that tells only what is new


class Watch:
    """The log and the status of a board. `status`: the last one, None before."""

    def __init__(self, link):
        self._link = link
        self._rest = b""
        self.status = None

    def look(self):
        """Ask the board; returns the lines of its log since the last time. Raises LinkError."""
        said = self._link.ask(_ASK, _ASK_S)
        try:
            log, status = said
            self._rest += binascii.unhexlify(log)
            if not isinstance(status, dict):
                raise ValueError(status)
        except (ValueError, TypeError) as error:
            raise LinkError(f"{self._link.target}: the board's answer makes no sense; does it run "
                            "the same version of Filament?") from error
        self.status = status
        *lines, self._rest = self._rest.split(b"\n")
        return [plain(line.decode(errors="replace").rstrip("\r\n")) for line in lines]


class SerialWatch:
    """The same at a serial port, where the program is not interrupted: nothing is asked. Events
    that it prints as JSON make the status.

    timeout_s, on_silence: as of Link.lines.
    """

    def __init__(self, link, timeout_s, on_silence=None):
        self._lines = link.lines(timeout_s, on_silence)
        self.status = None

    def look(self):
        """The next line. Raises LinkError, StopIteration when there is none within the time."""
        line = next(self._lines)
        self._hear(line)
        return [plain(line.rstrip("\r\n"))]

    def _hear(self, line):
        try:
            facts = json.loads(line)
            event = facts["event"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return
        status = self.status or {"peers": [], "drops": {}, "datagrams": {}, "heap": None,
                                 "network": {}, "online": None}
        if event == "network":
            status["online"] = facts.get("online")
            status["network"] = {"status": facts.get("status"), "address": facts.get("address")}
        elif event == "heap":
            counters = facts.get("counters")
            counters = counters if isinstance(counters, dict) else {}
            port = counters.get("port") or {}
            status["heap"] = {"used": facts.get("live"), "free": facts.get("free")}
            status["datagrams"] = {name: port.get(name) for name in ("sent", "received")}
            status["drops"] = counters.get("vl1") or {}
        else:
            return
        self.status = status


# --- how it is shown ----------------------------------------------------------------------------


def sentence(status):
    """A status in one line."""
    network = status.get("network") or {}
    heap = status.get("heap") or {}
    datagrams = status.get("datagrams") or {}
    peers = status.get("peers") or []
    direct = sum(bool(peer.get("direct")) for peer in peers)
    drops = status.get("drops") or {}
    parts = ["online" if status.get("online") else "offline",
             f"{network.get('status') or 'no network'} {network.get('address') or ''}".strip()]
    if status.get("online", False) is None:
        parts = [_UNTOLD]
    if peers:
        parts.append(f"{len(peers)} peers, {direct} direct")
    if heap.get("free") is not None:
        parts.append(f"heap {heap['free']:,} free")
    if datagrams.get("sent") is not None:
        parts.append(f"datagrams {datagrams['received']:,} in {datagrams['sent']:,} out")
    if drops:
        parts.append("drops " + " ".join(f"{cause}={count}"
                                         for cause, count in sorted(drops.items())))
    if kernels := _kernels(status):
        parts.append(f"no room for the machine code of {kernels}, which is slower so")
    return "; ".join(parts)


def picture(name, status, log):
    """A status and the last of a log, for a terminal."""
    if status is None:
        return Group(Text(f"{name}: nothing heard yet"), *map(Text, log[-_SHOWN:]))
    network, heap = status.get("network") or {}, status.get("heap") or {}
    facts = Table.grid(padding=(0, 2))
    for title, value in (
            ("board", f"{name}  {status.get('address') or ''}  {status.get('firmware') or ''}"),
            ("network", f"{network.get('id') or ''} {network.get('name') or ''} "
                        f"{network.get('status') or '-'} {network.get('address') or ''}"),
            ("root", _UNTOLD if status.get("online", False) is None else
             "answers" if status.get("online") else "does not answer"),
            ("up", _duration(status.get("uptime_s"))),
            ("heap", "-" if heap.get("free") is None else
             f"{heap['free']:,} bytes free, {heap['used']:,} used"),
            ("datagrams", "  ".join(f"{count:,} {way}" for way, count in
                                    (status.get("datagrams") or {}).items()
                                    if isinstance(count, int)) or "-"),
            ("dropped", "  ".join(f"{cause} {count}" for cause, count in
                                  sorted((status.get("drops") or {}).items())) or "nothing"),
            ("bytecode", _kernels(status) and f"{_kernels(status)}: no room for machine code"),
            ("slot", _slot(status.get("slots")))):
        if not value:
            continue
        facts.add_row(Text(title, style="bold"), Text(value.strip()))
    parts = [facts]
    if status.get("peers"):
        peers = Table("peer", "role", "way", "path", "latency", box=None, padding=(0, 2))
        for peer in status["peers"]:
            latency = peer.get("latency_ms")
            peers.add_row(*(Text(str(text)) for text in (
                peer.get("address"), peer.get("role"),
                "direct" if peer.get("direct") else "relayed", peer.get("path") or "-",
                "-" if latency is None else f"{latency} ms")))
        parts += [Text(), peers]
    return Group(*parts, Text(), *(Text(line, style="dim") for line in log[-_SHOWN:]))


def _kernels(status):
    """Modules whose machine code has found no room, as text, empty without any."""
    return ", ".join(str(name).rpartition(".")[2] for name in status.get("bytecode") or [])


def _duration(seconds):
    if seconds is None:
        return "-"
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"


def _slot(slots):
    if not slots or slots.get("running") is None:
        return "-"
    text = slots["running"]
    if slots.get("trial"):
        text += f", {slots['trial']} on trial"
    if slots.get("rolled_back"):
        text += f"; {slots['rolled_back'].get('slot')} was rolled back: " \
                f"{slots['rolled_back'].get('why')}"
    return text


def follow(watch, name, console, tell_json=None, pause_s=1, rounds=None):
    """Show a board until interrupted: as a live picture on a terminal, else as lines.

    tell_json(facts): takes everything as objects in place of that: {"log": line} and {"status":
    {...}}. rounds: after so many looks it ends. Raises LinkError, OSError.
    """
    log, told = [], None
    live = None
    if tell_json is None and console.is_terminal:
        live = Live(console=console, auto_refresh=False)
        live.start()
    try:
        while rounds is None or rounds > 0:
            lines = watch.look()
            log = (log + lines)[-_LOG_LINES:]
            if live is not None:
                live.update(picture(name, watch.status, log), refresh=True)
            else:
                for line in lines:
                    tell_json({"log": line}) if tell_json else console.out(line, highlight=False)
                told = _tell(watch.status, told, console, tell_json)
            if rounds is not None:
                rounds -= 1
            if rounds != 0:
                time.sleep(pause_s)
    finally:
        if live is not None:
            live.stop()


def _tell(status, told, console, tell_json):
    """Tell a status if more than its counters is another."""
    if status is None:
        return told
    essence = [status.get("online"), status.get("network"),
               sorted((str(peer.get("address")), bool(peer.get("direct")))
                      for peer in status.get("peers") or [])]
    if tell_json is not None:
        tell_json({"status": status})
    elif essence != told:
        console.out(sentence(status), highlight=False)
    return essence
