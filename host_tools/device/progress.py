"""How far something is that takes more than a second, told on standard error."""

from rich.progress import BarColumn, Progress as Bars, TextColumn, TimeElapsedColumn

from host_tools.command import console

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
