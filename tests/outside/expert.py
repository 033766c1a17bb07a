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


class Capture:
    """What of a capture is worth a remark or tells a time; tshark reads it once.

    shown: a display filter of what is looked at.
    """

    def __init__(self, path, shown="eth"):
        self.remarks = Counter()        # (who: "station" or "kernel", message) -> how often
        self._acked_ms = []
        for who, severities, messages, ack_s, length in _rows(path, shown):
            for severity, message in zip(severities, messages):
                if severity and int(severity) > _CHAT:
                    self.remarks[who, message] += 1
            if who == "station" and ack_s != [""] and length == ["0"]:
                self._acked_ms.append(float(ack_s[0]) * 1000)

    def times(self, message):
        """How often there is a remark that begins like this, by whom it is caused."""
        count = Counter()
        for (who, remark), n in self.remarks.items():
            if remark.startswith(message):
                count[who] += n
        return dict(count)

    def ack_ms(self):
        """Median and largest time until the station acknowledged data without an answer."""
        times = sorted(self._acked_ms)
        return {"median": round(times[len(times) // 2], 2), "max": round(times[-1], 1)}

    def needless(self):
        """The remarks that there should not be about a good line."""
        return self._list(lambda who, message: not message.startswith(_HARMLESS)
                          and not (who == "kernel" and message.startswith(_KERNELS)))

    def broken(self):
        """The remarks that what the station sent is broken."""
        return self._list(lambda who, message: who == "station" and message.startswith(_BROKEN))

    def _list(self, wanted):
        return [f"{who}: {message} ({n} times)" for (who, message), n
                in sorted(self.remarks.items()) if wanted(who, message)]


def _rows(path, shown):
    """(who, ...) of the frames with anything to tell; a field's values are in a list."""
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "aggregator=|",
               "-Y", f"({shown}) && (_ws.expert || tcp.analysis.ack_rtt)"]
    for option in _CHECKSUMS:
        command += ["-o", option]
    for field in ("eth.src", "_ws.expert.severity", "_ws.expert.message",
                  "tcp.analysis.ack_rtt", "tcp.len"):
        command += ["-e", field]
    done = subprocess.run(command, text=True, capture_output=True)
    if done.returncode:
        raise Unmet(f"tshark: {done.stderr}")
    for line in done.stdout.splitlines():
        source, *fields = line.split("\t")
        yield ("station" if source == STATION_MAC else "kernel",
               *(field.split("|") for field in fields))


def broken(path):
    """What is wrong with what the station sent, whatever it was sent."""
    return Capture(path, f"eth.src == {STATION_MAC} && {_NO_QUOTES}").broken()
