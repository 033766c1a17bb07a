"""The live view: the map, the bulb, and how fast it reacts."""

import re
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from host_tools.demo.scene import BULB_PLACE, BULB_RADIUS, GAMES
from host_tools.demo.world import SIZE

_WIDTH, _HEIGHT = 56, 22
_PICTURE = 118, 32       # columns and rows of a picture that is saved
_COLOURS = ("cyan", "magenta", "green", "blue")
_BARS = "▁▂▃▄▅▆▇█"
_LAST_WORDS = 12
_SHOWN_MS = 20          # a bar of full height


def render(scene):
    """The whole picture of a Scene at this moment."""
    layout = Layout()
    layout.split_row(Layout(_map(scene), name="map", size=_WIDTH + 4), Layout(name="side"))
    layout["side"].split_column(Layout(_bulb(scene), size=7), Layout(_figures(scene), size=11),
                                Layout(_log(scene)))
    return layout


def save(scene, path):
    """Write the picture of this moment as SVG."""
    console = Console(record=True, width=_PICTURE[0], height=_PICTURE[1], file=StringIO())
    console.print(render(scene))
    svg = console.export_svg(title="filament demo")
    # A picture fetches nothing: the reader's own fixed-width font will do.
    Path(path).write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL))


def _map(scene):
    cells = [[(" ", "")] * _WIDTH for _ in range(_HEIGHT)]
    for row in range(_HEIGHT):
        for column in range(_WIDTH):
            x, y = (column + 0.5) * SIZE / _WIDTH, (row + 0.5) * SIZE / _HEIGHT
            if (x - BULB_PLACE[0]) ** 2 + (y - BULB_PLACE[1]) ** 2 <= BULB_RADIUS ** 2:
                cells[row][column] = ("·", "yellow" if scene.led else "bright_black")
    _put(cells, *BULB_PLACE, "●", "bold yellow" if scene.led else "bright_black")
    for colour, game in zip(_COLOURS, GAMES):
        for player in scene.positions.get(game, {"players": ()})["players"]:
            _put(cells, player["x"], player["y"], player["name"][0].upper(), f"bold {colour}")
    lines = [Text.assemble(*row) for row in cells]
    legend = Text("  ").join(Text(game, colour) for colour, game in zip(_COLOURS, GAMES))
    return Panel(Text("\n").join(lines), title="the games", subtitle=legend)


def _put(cells, x, y, character, style):
    row = min(int(y * _HEIGHT / SIZE), _HEIGHT - 1)
    cells[row][min(int(x * _WIDTH / SIZE), _WIDTH - 1)] = (character, style)


def _bulb(scene):
    style = "bold black on yellow" if scene.led else "white on grey23"
    word = Text("\n  ON   \n" if scene.led else "\n  off  \n", style, justify="center")
    return Panel(word, title="the bulb", style=style)


def _figures(scene):
    figures = scene.figures
    table = Table.grid(padding=(0, 2))
    rows = [("reactions", len(figures.reactions_ms))]
    rows += [(name, _ms(figures.percentile(percent)))
             for name, percent in (("p50", 50), ("p99", 99), ("max", 100))]
    rows += [("joined in", _ms(figures.join_ms)),
             ("heap peak", f"{figures.heap_peak_bytes // 1024} KiB"),
             ("datagrams", f"{figures.datagrams}, {figures.relayed} relayed")]
    for name, value in rows:
        table.add_row(name, str(value))
    table.add_row("lately", _sparkline(figures.reactions_ms[-24:]))
    return Panel(table, title=f"change → LED, {figures.runtime or 'starting'}")


def _sparkline(reactions_ms):
    top = len(_BARS) - 1
    return "".join(_BARS[min(int(ms * top / _SHOWN_MS), top)] for ms in reactions_ms)


def _ms(value):
    return "-" if value is None else f"{value:.1f} ms"


def _log(scene):
    return Panel(Text("\n").join(Text(line, overflow="ellipsis", no_wrap=True)
                                 for line in scene.log[-_LAST_WORDS:]), title="what happened")
