"""Section board: cycles and milliseconds on an emulated Pico W with stock firmware."""

import shutil

from host_tools.bench.section import Result, Skipped, Table, at_most
from host_tools.emulator import cycles, lockstep, provisions, reacting

ABOUT = ("Stock MicroPython 1.27.0 of the Pico W in an emulator, with its own heap, the code in its "
         "flash beside the firmware. Cycles as the emulator counts them, at 125 MHz: they repeat "
         "exactly, but there are no pipeline stalls, no misses of the flash cache and no radio. "
         "The network around the board is simulated, in lockstep with its clock. Reactions are "
         "from a datagram's arrival; what the board did meanwhile, collecting garbage too, counts.")

_MS = reacting.HZ / 1000
_SECONDS, _QUICK_SECONDS = 300, 4
_ECHOES, _QUICK_ECHOES = 200, 4
_MOST_MS, _MOONSHOT_MS = 10, 5
_MOST_JOIN_MS = 5000
_MOST_HEAP, _MOST_GROWTH = 40_000, 2_000
_PROBE_MS = 20              # between the pings that a waking board is sent


def provided():
    """Raises Skipped where the emulator is not installed."""
    try:
        provisions.runner()
    except provisions.Missing as missing:
        raise Skipped(str(missing)) from missing
    if shutil.which("node") is None:
        raise Skipped("node is missing: `make setup` installs it")


def echoes(directory, count, say):
    """{"udp", "tcp": quantiles; "cold_ms", "warm_ms": from power on to the first ping answered,
    without and with peers and config in storage}."""
    installed = lockstep.prepare(directory, program="echo")
    with lockstep.Play(directory, installed) as play:
        play.wait_for("serving")
        play.ping(play.lan.members[0], play.address(), _PROBE_MS)
        cold_ms = play.now_ms
        say("echoes")
        found = {"udp": reacting.quantiles(play.echo_udp(count)),
                 "tcp": reacting.quantiles(play.echo_tcp(count)), "cold_ms": cold_ms}
        play.run(lockstep.STORED_MS)
        address = play.address()
        say("wakes")
        play.power_cycle()
        play.ping(play.lan.members[0], address, _PROBE_MS)
        return found | {"warm_ms": play.now_ms}


def measure(options):
    provided()
    options.say("kernels")
    kernels = cycles.measure()
    found = echoes(options.directory / "echo", _QUICK_ECHOES if options.quick else _ECHOES,
                   options.say)
    bulb = reacting.measure(options.directory / "bulb",
                            _QUICK_SECONDS if options.quick else _SECONDS, say=options.say)
    return summary(kernels, found, bulb)


def summary(kernels, found, bulb):
    """The Result of what was measured."""
    times = Table("reactions, ms from the datagram's arrival",
                  ["what", "count", "p50", "p99", "max", "cycles, p50"])
    for name, each in (
            ("datagram in, pin set", bulb["reactions"]),
            ("the same, with more members", bulb["reactions_peers"]),
            ("TCP segment in, application awake, segment out", found["tcp"]),
            ("datagram in, application awake, datagram out", found["udp"])):
        times.rows.append([name, each["count"], each["p50_ms"], each["p99_ms"], each["max_ms"],
                           each["p50_cycles"]])
    heap = Table("heap of 205,568 bytes, after collections",
                 ["when", "used", "free", "largest free block"])
    for name, each in (
            ("joined", bulb["joined"]),
            *((f"reacting, {each['s']} s", each) for each in bulb["reacting"]),
            *((f"with {reacting.FURTHER} more members, {each['s']} s", each)
              for each in bulb["reacting_peers"])):
        heap.rows.append([name, each["used"], each["free"], each["largest_free"]])
    reaction = bulb["reactions"]["p99_ms"]
    return Result(
        [Table("kernels", ["what", "cycles", "ms"],
               [[name, count, round(count / _MS, 2)] for name, count in kernels.items()]),
         times,
         Table("from power on, board ms", ["what", "ms"], [
             ["a member of the network", bulb["joined_ms"]],
             ["follows a game's stream", bulb["following_ms"]],
             ["first ping answered, nothing known", found["cold_ms"]],
             ["first ping answered, peers and config in storage", found["warm_ms"]]]),
         heap],
        [at_most("board: datagram in, pin set, p99", _MOST_MS, reaction, "ms"),
         at_most("board: the same, moonshot", _MOONSHOT_MS, reaction, "ms"),
         at_most("board: joined, from power on", _MOST_JOIN_MS, bulb["joined_ms"], "ms"),
         at_most("board: heap in use, reacting, code in flash", _MOST_HEAP,
                 bulb["reacting"][-1]["used"], "B"),
         at_most("board: growth of that while it reacts", _MOST_GROWTH,
                 reacting.growth(bulb["reacting"]), "B")],
        figures={"kernels": kernels, "echo": found, "bulb": bulb})
