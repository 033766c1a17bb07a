"""Section idle: what a node sends and receives that has nothing to do, in virtual time."""

from host_tools.bench.section import Result, Table, at_most
from tests.core.idle import DAY_HOURS, HOUR_MS, Meter, mb_a_day, reach
from tests.core.scenes import Lan

ABOUT = ("Datagrams and bytes of a node with a root, a controller and other members, with all of "
         "which it spoke an hour before; IP and UDP headers included. Simulated: nodes are real, "
         "time and wire are not, so the figures are the same on every machine.")

PROFILES = {"normal": ({}, 5), "low_bandwidth": ({"low_bandwidth": True}, 1)}
_PEERS = (0, 1, 3, 8)
_AIMED_AT = 3           # of them, by the target
_MEMBERS = 2            # index of the first identity that is neither root's nor controller's


def idle(options, peers, hours, rest_ms=HOUR_MS):
    """The Meter of `hours` of a node with these options of Node, and `peers` normal members."""
    lan = Lan(members=0)
    node = lan.start_member(_MEMBERS, **options)
    for i in range(peers):
        lan.start_member(_MEMBERS + 1 + i)
    if not lan.joined():
        raise RuntimeError("the simulated members did not join")
    for other in lan.members[1:]:
        reach(lan, node, other)
    lan.run(rest_ms)
    meter = Meter(lan.wire, node.port.endpoint)
    lan.run(int(hours * HOUR_MS))
    return meter


def measure(options):
    hours = 0.1 if options.quick else 6
    table = Table("idle", ["profile", "other members", "datagrams/h", "bytes/h", "MB/day"])
    result = Result([table], figures={"idle": []})
    for profile, (settings, most_mb) in PROFILES.items():
        for peers in _PEERS[1:2] if options.quick else _PEERS:
            options.say(f"{profile}, {peers} other members")
            meter = idle(settings, peers, hours)
            row = {"profile": profile, "members": peers,
                   "datagrams_h": round(meter.datagrams / hours),
                   "bytes_h": round(meter.bytes / hours), "mb_day": mb_a_day(meter, hours)}
            result.figures["idle"].append(row)
            table.rows.append(list(row.values()))
            if peers == _AIMED_AT:
                result.targets.append(at_most(
                    f"idle, {profile}, {peers} other members", most_mb, row["mb_day"], "MB/day"))
    result.notes.append(f"A day is {DAY_HOURS} hours like those measured. For how long a "
                        "low_bandwidth node may not be reached: docs/low-bandwidth.md. Measured "
                        "elsewhere: zerotier-one 9.1 to 9.6 MB a day, libzt 6.8 to 8.3.")
    return result
