"""Sizes of what was built, as facts, as tables on a terminal, and as Markdown."""

from collections import namedtuple

from rich.table import Table as RichTable

from host_tools.boards import mpy, sets

Table = namedtuple("Table", "title head rows")


def of_set(needs, contents):
    """Facts of a set that needs others, of {module: content of its .mpy}."""
    sizes = {module: {"mpy": len(content), "native": mpy.native_size(content)}
             for module, content in contents.items()}
    return {"needs": list(needs), "mpy": sum(size["mpy"] for size in sizes.values()),
            "native": sum(size["native"] for size in sizes.values()), "modules": sizes}


def tables(facts):
    """The Tables of what __main__.build tells: sets, native code, every module."""
    architectures = facts["architectures"]
    yield Table("Sets: bytes of .mpy files (of the machine code in them)",
                ("set", *architectures),
                [*((name, *(_both(kind["sets"][name]) for kind in architectures.values()))
                   for name in sets.ROOTS),
                 ("all", *(_both({part: sum(one[part] for one in kind["sets"].values())
                                  for part in ("mpy", "native")})
                           for kind in architectures.values())),
                 ("ROMFS: " + ", ".join(facts["romfs_sets"]) + ", bulb",
                  *(f"{kind['romfs']:,}" for kind in architectures.values()))])
    modules = {}
    for architecture, kind in architectures.items():
        for name, found in kind["sets"].items():
            for module, size in found["modules"].items():
                modules.setdefault((name, module), {})[architecture] = size
    yield Table("Machine code: bytes that lie in RAM (ESP32: in IRAM) once a module is loaded, "
                "unless it is frozen", ("module", *architectures),
                [(module, *(f"{size[each]['native']:,}" if each in size else ""
                            for each in architectures))
                 for (_, module), size in modules.items()
                 if any(one["native"] for one in size.values())])
    order = list(sets.ROOTS)
    yield Table("Modules: bytes of each .mpy file", ("set", "module", *architectures),
                [(name, module, *(f"{size[each]['mpy']:,}" if each in size else ""
                                  for each in architectures))
                 for (name, module), size in sorted(
                     modules.items(), key=lambda item: (order.index(item[0][0]), item[0][1]))])
    if names := facts["names"]:
        yield Table("Names: how many of them firmware lacks, and their bytes, before and after "
                    "they are made short", ("set", "before", "after"),
                    [(name, *(f"{number:,} ({size:,})" for number, size in taken.values()))
                     for name, taken in names.items()])
    if heap := facts["import_heap"]:
        yield Table("Heap: bytes that `import mpcore.nic, mpcore.aio` takes on the unix port "
                    "(64-bit words), by where it is imported from", ("module", *heap),
                    [("all", *(f"{sum(taken.values()):,}" for taken in heap.values())),
                     *((module, *(f"{taken[module]:,}" for taken in heap.values()))
                       for module in sorted(heap[".mpy"], key=heap[".mpy"].get, reverse=True))])


def _both(size):
    return f"{size['mpy']:,} ({size['native']:,})" if size["native"] else f"{size['mpy']:,}"


def rich_table(table):
    """A Table for rich to print."""
    made = RichTable(title=table.title, title_justify="left")
    for number, name in enumerate(table.head):
        made.add_column(name, justify="left" if _is_text(table, number) else "right")
    for row in table.rows:
        made.add_row(*row)
    return made


def markdown(facts):
    """All tables as one text."""
    parts = [f"# Filament {facts['version']} for boards\n\nmpy-cross {facts['mpy_cross']}, .mpy "
             f"format {facts['mpy']}. Written by `make boards`.\n"]
    return "\n".join([*parts, *map(markdown_table, tables(facts))])


def markdown_table(table):
    """A Table as text."""
    rules = ("---" if _is_text(table, number) else "--:" for number in range(len(table.head)))
    return f"## {table.title}\n\n" + "".join(
        f"| {' | '.join(row)} |\n" for row in (table.head, rules, *table.rows))


def _is_text(table, column):
    return table.head[column] in ("set", "module")
