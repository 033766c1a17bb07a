"""MicroPython's unix port as a board: the host's network, and a stand-in for a LED's pin."""


class Pin:
    """As much of machine.Pin as a LED needs; this port has no pins."""

    def __init__(self):
        self._state = 0

    def value(self, state=None):
        """Read without an argument, set with one."""
        if state is None:
            return self._state
        self._state = 1 if state else 0


def led():
    """The pin of the board's LED."""
    return Pin()


def connect(config):
    """Bring up the physical network; here the host has done that."""
