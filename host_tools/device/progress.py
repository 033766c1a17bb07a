"""How far something is that takes more than a second, told on standard error."""

from rich.markup import escape
from rich.progress import (BarColumn, DownloadColumn, Progress as Bars, TaskProgressColumn,
                           TextColumn, TimeElapsedColumn, TransferSpeedColumn)

from host_tools.command import console, plain

_STEP = 10          # percent between two lines


class _Shown:
    """Bars on a terminal, as a context; `bars` is None elsewhere. console: rich's, standard error
    by default."""

    columns = ()
    transient = False

    def __init__(self, console=console):
        self._console = console
        self.bars = None
        self._task = None

    def __enter__(self):
        if self._console.is_terminal:
            self.bars = Bars(TextColumn("{task.description}"), BarColumn(),
                             *(column() for column in self.columns), TimeElapsedColumn(),
                             console=self._console, transient=self.transient)
            self._task = self.bars.add_task("", total=None)
            self.bars.start()
        return self

    def __exit__(self, *error):
        if self.bars is not None:
            self.bars.stop()

    def update(self, **what):
        """What the bar shows from now on; nothing where there is none."""
        if self.bars is not None:
            self.bars.update(self._task, **what)

    def line(self, text):
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


class Progress(_Shown):
    """A bar on a terminal; elsewhere a line for each thing that begins, and for every tenth of
    it."""

    columns = (TaskProgressColumn,)
    transient = True
    _told = (None, -1)

    def tell(self, what, percent=None):
        """what: what is being done. percent: how much of it is done, None where nobody knows."""
        if self.bars is not None:
            known = {"total": None} if percent is None else {"total": 100, "completed": percent}
            return self.update(description=what, **known)
        step = -1 if percent is None else int(percent) // _STEP
        if (what, step) != self._told:
            self._told = (what, step)
            self.line(what if percent is None else f"{what}: {step * _STEP} %")


class Transfer(_Shown):
    """How far a deployment is: a bar of bytes on a terminal, else a line for each step."""

    columns = (DownloadColumn, TransferSpeedColumn)

    def step(self, text):
        """Something begins."""
        if self.bars is None:
            self.line(plain(text))
        self.update(description=escape(plain(text)))

    def begin(self, size):
        """So many bytes are to be sent."""
        self.update(total=size, completed=0)

    def file(self, path):
        """They are now those of this file."""
        self.update(description=escape(plain(path)))

    def sent(self, count):
        """So many of them were sent."""
        self.update(advance=count)
