"""Events from within the stack, answered when it has finished."""


class Turn:
    """Call it as often as there is reason to: `act` is run once, in the loop's next turn."""

    def __init__(self, loop, act):
        self._loop = loop
        self._act = act
        self._due = False

    def __call__(self):
        if not self._due:
            self._due = True
            self._loop.call_soon(self._run)

    def _run(self):
        self._due = False
        self._act()
