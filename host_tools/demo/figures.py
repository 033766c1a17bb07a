"""What the demonstration measures."""

import math


class Figures:
    """Collects reactions: from a player's change of position to the LED's."""

    def __init__(self):
        self.reactions_ms = []
        self.join_ms = None
        self.heap_peak_bytes = 0
        self.runtime = None
        self.datagrams = 0
        self.relayed = 0

    def percentile(self, percent):
        """The smallest reaction that at least `percent` of all do not exceed; None of none."""
        ordered = sorted(self.reactions_ms)
        if not ordered:
            return None
        return round(ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)], 3)

    def as_dict(self):
        """The content of build/demo.json."""
        return {"reactions": len(self.reactions_ms), "p50_ms": self.percentile(50),
                "p99_ms": self.percentile(99), "max_ms": self.percentile(100),
                "bulb_runtime": self.runtime, "bulb_heap_peak_bytes": self.heap_peak_bytes,
                "join_ms": None if self.join_ms is None else round(self.join_ms, 1),
                "datagrams": self.datagrams, "relayed": self.relayed}

    def summary(self):
        """One line for people."""
        if not self.reactions_ms:
            return "The bulb has not reacted to anybody."
        return (f"{len(self.reactions_ms)} reactions of the bulb on {self.runtime}: "
                f"p50 {self.percentile(50):.1f} ms, p99 {self.percentile(99):.1f} ms, "
                f"max {self.percentile(100):.1f} ms; it joined in {self.join_ms / 1000:.1f} s, "
                f"heap peak {self.heap_peak_bytes // 1024} KiB; "
                f"{self.datagrams} datagrams, {self.relayed} relayed by the root")
