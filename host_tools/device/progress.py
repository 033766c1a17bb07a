"""How far something is that takes more than a second, told on standard error."""

from rich.markup import escape
from rich.progress import (BarColumn, DownloadColumn, Progress as Bars, TextColumn,
                           TimeElapsedColumn, TransferSpeedColumn)

from host_tools.command import console, plain

_STEP = 10          # percent between two lines


class Progress:
    """A bar on a terminal; elsewhere a line for each thing that begins, and for every tenth of it.

    console: rich's, standard error by default.
    """

    def __init__(self, console=console):
        self._console = console
        self._bars = self._task = None
        self._told = (None, -1)

    def __enter__(self):
        if self._console.is_terminal:
            self._bars = Bars(TextColumn("{task.description}"), BarColumn(), TextColumn(
                "{task.percentage:>3.0f} %"), TimeElapsedColumn(), console=self._console,
                transient=True)
            self._task = self._bars.add_task("", total=None)
            self._bars.start()
        return self

    def __exit__(self, *error):
        if self._bars is not None:
            self._bars.stop()

    def tell(self, what, percent=None):
        """what: what is being done. percent: how much of it is done, None where nobody knows."""
        if self._bars is not None:
            known = {"total": None} if percent is None else {"total": 100, "completed": percent}
            self._bars.update(self._task, description=what, **known)
            return
        step = -1 if percent is None else int(percent) // _STEP
        if (what, step) != self._told:
            self._told = (what, step)
            self._console.print(what if percent is None else f"{what}: {step * _STEP} %",
                                highlight=False)


class Transfer:
    """How far a deployment is: a bar of bytes on a terminal, else a line for each step."""

    def __init__(self, console=console):
        self._console = console
        self._bars = self._task = None

    def __enter__(self):
        if self._console.is_terminal:
            self._bars = Bars(TextColumn("{task.description}"), BarColumn(), DownloadColumn(),
                              TransferSpeedColumn(), TimeElapsedColumn(), console=self._console)
            self._task = self._bars.add_task("", total=None)
            self._bars.start()
        return self

    def __exit__(self, *error):
        if self._bars is not None:
            self._bars.stop()

    def step(self, text):
        """Something begins."""
        if self._bars is not None:
            self._bars.update(self._task, description=escape(plain(text)))
        else:
            self._console.print(plain(text), highlight=False, markup=False, soft_wrap=True)

    def begin(self, size):
        """So many bytes are to be sent."""
        if self._bars is not None:
            self._bars.update(self._task, total=size, completed=0)

    def file(self, path):
        """They are now those of this file."""
        if self._bars is not None:
            self.step(path)

    def sent(self, count):
        """So many of them were sent."""
        if self._bars is not None:
            self._bars.advance(self._task, count)
