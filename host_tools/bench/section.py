"""What a section of the bench hands back, and how that is shown.

A section is a module beside this one with

    ABOUT                   one or two sentences for people: what is measured, how far to trust it
    measure(options)        -> Result; options: see Options. Raises Skipped.

and its name in __main__.SECTIONS.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich import table as rich_table


class Skipped(Exception):
    """Why this machine cannot measure a section."""


@dataclass
class Options:
    """How to measure: `rounds` interleaved rounds; `quick`: so few of each thing that only the
    shape of the result means anything; `instructions`: count those too, which takes minutes.
    `directory`: for what is made meanwhile. say(text): progress."""

    directory: Path
    rounds: int = 3
    quick: bool = False
    instructions: bool = False
    say: object = lambda text: None


@dataclass
class Table:
    """Rows of text and numbers under their columns; None is a cell with nothing in it."""

    title: str
    columns: list
    rows: list = field(default_factory=list)


@dataclass
class Target:
    """What is to be reached, in words, and what was: met is None where nothing was measured."""

    what: str
    target: str
    reached: str
    met: bool | None


@dataclass
class Result:
    tables: list = field(default_factory=list)
    targets: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    figures: dict = field(default_factory=dict)      # what the tables were made of, for programs

    def facts(self):
        return asdict(self)


def at_most(what, limit, reached, unit):
    return _judged(what, "≤", limit, reached, unit, lambda: reached <= limit)


def at_least(what, limit, reached, unit):
    return _judged(what, "≥", limit, reached, unit, lambda: reached >= limit)


def _judged(what, sign, limit, reached, unit, holds):
    if reached is None:
        return Target(what, f"{sign} {limit:g} {unit}", "not measured", None)
    return Target(what, f"{sign} {limit:g} {unit}", f"{shown(reached)} {unit}", holds())


def shown(value):
    """A number as a table has it."""
    if value is None:
        return ""
    if not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def verdict(target):
    return {True: "met", False: "MISSED", None: "?"}[target["met"]]


def markdown(facts):
    """The document of what __main__ writes as JSON."""
    lines = ["# Bench", "", f"Written by `make bench`, {facts['when']}, on {facts['machine']}.",
             "Wall time on a shared machine is noise: compare within one table only, where all "
             "was measured in turns.", ""]
    targets = [(name, target) for name, section in facts["sections"].items()
               for target in section.get("targets", ())]
    if targets:
        lines += markdown_table(["what", "target", "reached", ""], [
            [target["what"], target["target"], target["reached"], verdict(target)]
            for _, target in targets])
    for name, section in facts["sections"].items():
        lines += [f"## {name}", "", section["about"], ""]
        if "skipped" in section:
            lines += [f"Skipped: {section['skipped']}", ""]
        for table in section.get("tables", ()):
            lines += [f"**{table['title']}**", "",
                      *markdown_table(table["columns"], table["rows"])]
        lines += [line for note in section.get("notes", ()) for line in (note, "")]
    return "\n".join(lines).rstrip() + "\n"


def markdown_table(columns, rows):
    lines = [columns, ["---"] * len(columns), *rows]
    return ["| " + " | ".join(shown(cell) for cell in row) + " |" for row in lines] + [""]


def show(console, name, section):
    """One section on a terminal."""
    console.print(f"\n[bold]{name}[/bold]  {section['about']}", highlight=False)
    if "skipped" in section:
        console.print(f"[yellow]skipped:[/yellow] {section['skipped']}")
    for table in section.get("tables", ()):
        drawn = rich_table.Table(*table["columns"], title=table["title"], title_justify="left")
        for row in table["rows"]:
            drawn.add_row(*(shown(cell) for cell in row))
        console.print(drawn)
    for note in section.get("notes", ()):
        console.print(note, highlight=False)
    for target in section.get("targets", ()):
        style = {True: "green", False: "red", None: "yellow"}[target["met"]]
        console.print(f"[{style}]{verdict(target):>6}[/{style}]  {target['what']}: "
                      f"{target['reached']}, target {target['target']}", highlight=False)
