"""What tshark's expert analysis says about a capture, with all checksums verified."""

import subprocess
from collections import Counter

from bench import STATION_MAC, Unmet

_CHECKSUMS = [f"{protocol}.check_checksum:TRUE" for protocol in ("ip", "tcp", "udp")]
_CHAT = 2097152             # severities are bits; this one only tells what goes on

# What may be remarked about a good line. Windows fill, as they are small; a listener that is not
# there resets.
_HARMLESS = ("This frame initiates the connection closing",
             "This frame undergoes the connection closing",
             "TCP window specified by the receiver is now completely full",
             "TCP Zero Window segment", "TCP Zero Window Probe", "ACK to a TCP Zero Window Probe",
             "TCP keep-alive segment", "ACK to a TCP keep-alive segment", "Connection reset (RST)")
# A sum of 0 is written in its other form by the kernel, which calculates it so for all protocols.
_KERNELS = "TCP Checksum 0xffff instead of 0x0000"
# What a packet can be accused of apart from its place in a conversation.
_BROKEN = ("Malformed", "Bad checksum", "Bad length", "Dissector bug", "Short segment",
           "IPv4 total length", "IPv6 payload length", "Length of")
# Errors quote what they are about, broken as it may be.
_NO_QUOTES = "!(icmp.type == 3) && !(icmpv6.type == 1)"


def _fields(capture, shown, *fields):
    """The rows of fields of the frames that a filter shows; a field's values are in a list."""
    command = ["tshark", "-n", "-r", str(capture), "-Y", shown, "-T", "fields",
               "-E", "aggregator=|"]
    for option in _CHECKSUMS:
        command += ["-o", option]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, text=True, capture_output=True)
    if done.returncode:
        raise Unmet(f"tshark: {done.stderr}")
    return [[value.split("|") for value in line.split("\t")] for line in done.stdout.splitlines()]


def remarks(capture, shown="eth"):
    """Counter of (who: "station" or "kernel", message) of all that is more than talk."""
    found = Counter()
    for (source,), severities, messages in _fields(
            capture, f"_ws.expert && ({shown})", "eth.src", "_ws.expert.severity",
            "_ws.expert.message"):
        who = "station" if source == STATION_MAC else "kernel"
        for severity, message in zip(severities, messages):
            if int(severity) > _CHAT:
                found[who, message] += 1
    return found


def needless(found):
    """The remarks that there should not be about a good line."""
    return _listed({(who, message): n for (who, message), n in found.items()
                    if not message.startswith(_HARMLESS)
                    and not (who == "kernel" and message.startswith(_KERNELS))})


def broken(capture):
    """The remarks about what the station sent that say it is broken."""
    found = remarks(capture, f"eth.src == {STATION_MAC} && {_NO_QUOTES}")
    return _listed({key: n for key, n in found.items() if key[1].startswith(_BROKEN)})


def retransmitted(capture):
    """How many segments were sent again, by whom."""
    count = Counter()
    for (source,), in _fields(capture, "tcp.analysis.retransmission", "eth.src"):
        count["station" if source == STATION_MAC else "kernel"] += 1
    return dict(count)


def ack_ms(capture):
    """Median and largest time until the station acknowledged data, in ms."""
    times = sorted(float(value[0]) * 1000 for value, in _fields(
        capture, f"tcp.analysis.ack_rtt && tcp.len == 0 && eth.src == {STATION_MAC}",
        "tcp.analysis.ack_rtt"))
    return {"median": round(times[len(times) // 2], 2), "max": round(times[-1], 1)}


def _listed(found):
    return [f"{who}: {message} ({n} times)" for (who, message), n in sorted(found.items())]
