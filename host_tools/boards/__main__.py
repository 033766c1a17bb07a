"""`make boards`: Filament compiled for boards, listed, packed, and weighed.

Below build/boards, for each architecture that a board in boards/ has:
  ARCH/mpcore/…          .mpy files, to be copied to /lib; mpcore/__init__.mpy has all that is
                         always loaded, joined (bundles.py)
  ARCH/package.json      all of them for `mpremote mip install`; core.json, dns.json, … for sets
  ARCH/frozen/mpcore/…   the sources of the same
  ARCH/manifest.py       freezes those into firmware of your own
  ARCH/filament.romfs    an image for `mpremote romfs deploy`, the bulb's program in it: with
                         boards/board.py, facts.py and a main.py of `import start_bulb` and
                         `start_bulb.start()` on the board's file system it starts
  ARCH/BOARD/            for a board whose firmware has no ROMFS, but a place for it in its flash:
    filament.uf2         the same, to be copied onto the drive that the board is in BOOTSEL mode,
    filament.bin         or, for an ESP32, written by `filament flash --image`,
    fs/                  and what to copy onto its file system (mpremote fs cp -r): the code then
                         runs from flash, with stock firmware; not with --plain
    names.json           of the image, for host_tools.boards.names --names
sizes.json, sizes.md     what each module and set takes
names.json               what the names in the .mpy files were before they were made short; a
                         traceback from a board is translated by
                         python -m host_tools.boards.names < TRACEBACK

Modules are joined and names are short unless --plain: a board's heap has little room for them
(bundles.py and names.py say how).
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from host_tools import unix_port
from host_tools.boards import facts as board_facts
from host_tools.boards import images, listings, mpy, names, sets, sizes
from host_tools.boards.compiling import compiled, file_of, files_of, platforms, program

OUTPUT = unix_port.ROOT / "build" / "boards"
_HEAP = "8M"
_LEVELS = ("-O0", "-O1", "-O2", "-O3")


def build(boards, image_sets, output, plain=False):
    """Write everything of the boards' architectures; returns the facts for sizes.json.

    plain: leave names and constants as they are.
    """
    facts = {"version": listings.version(), "mpy_cross": mpy.version()[0],
             "mpy": mpy.version()[1], "romfs_sets": list(image_sets), "architectures": {}}
    for architecture, platform in platforms(boards).items():
        of_boards = [board.board for board in boards if board.mpy_arch == architecture]
        facts["architectures"][architecture] = {"boards": of_boards, **_build(
            architecture, platform, image_sets, output / architecture, plain)}
        for board in boards:
            if board.mpy_arch == architecture and board.flash_free and not plain:
                _build_in_flash(board, image_sets, output / architecture / board.board)
    facts["import_heap"] = _import_heap(output, facts["architectures"], plain)
    facts["names"] = {} if plain else _names(*list(platforms(boards).items())[0])
    (output / "sizes.json").write_text(json.dumps(facts, indent=1) + "\n")
    (output / "sizes.md").write_text(sizes.markdown(facts))
    if not plain:
        (output / names.FILE).write_text(json.dumps(
            {platform: program(platform).names for platform in sorted(
                set(platforms(boards).values()))}, indent=1) + "\n")
    return facts


def _names(architecture, platform):
    """{set: {"plain": [names, bytes], "short": [names, bytes]}} of names that firmware lacks."""
    return {name: {kind: names.taken(
                compiled(architecture, platform, plain=plain)[module]
                for module in files_of(platform, (name,), plain))
                for kind, plain in (("plain", True), ("short", False))}
            for name in sets.ROOTS}


def _build(architecture, platform, image_sets, directory, plain):
    contents = compiled(architecture, platform, plain=plain)
    files = {module: file_of(module)[:-3] + ".mpy" for module in contents}
    image = images.for_partition(architecture, platform, image_sets, plain)

    _write_anew(directory, {files[module]: content for module, content in contents.items()})
    sources = directory / "frozen"
    _write_anew(sources, {} if plain else {
        file_of(module): text.encode() for module, text in program(platform).texts.items()},
        "**/*.py")
    (directory / "filament.romfs").write_bytes(image)
    (directory / "manifest.py").write_text(listings.manifest(
        {name: [file_of(module) for module in files_of(platform, (name,), plain)]
         for name in sets.ROOTS}, sets.sets(platform), platform,
        _from(directory, unix_port.ROOT if plain else sources),
        (images.APP, images.APP_FILES),
        _from(directory, unix_port.ROOT / "boards" / "apps" / images.APP)))
    kind = {"mpy": mpy.version()[1], "arch": architecture}
    for name, chosen in {"package": tuple(sets.ROOTS),
                         **{name: (name,) for name in sets.ROOTS}}.items():
        (directory / f"{name}.json").write_text(listings.package(
            [files[module] for module in files_of(platform, chosen, plain)], **kind))
    return {"romfs": len(image), "sets": {
        name: sizes.of_set(sets.sets(platform)[name].needs, {
            module: contents[module] for module in files_of(platform, (name,), plain)})
        for name in sets.ROOTS}}


def _build_in_flash(board, image_sets, directory):
    (directory / "fs").mkdir(parents=True, exist_ok=True)
    (directory / images.file_name(board)).write_bytes(images.in_flash(board, image_sets))
    (directory / names.FILE).write_text(json.dumps(
        {board.platform: program(board.platform, True).names}, indent=1) + "\n")
    files = images.loader(board) | {name: text.encode() for name, text in {
        "boot.py": images.boot(board), "main.py": images.MAIN,
        "board.py": board_facts.program(board).read_text(),
        "facts.py": board_facts.constants(board)}.items()}
    for name, content in files.items():
        (directory / "fs" / name).write_bytes(content)


def _write_anew(directory, files, pattern="mpcore/**/*.mpy"):
    """Write files; those of modules that are gone are removed."""
    for stale in set(directory.glob(pattern)) - {directory / name for name in files}:
        stale.unlink()
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)


def _from(directory, target):
    return Path(os.path.relpath(target, directory)).as_posix()


def _import_heap(output, architectures, plain):
    """{place: {module: bytes}} of the unix port's heap that a node's code takes at import, by the
    modules of the .mpy files."""
    if "x64" not in architectures:
        return {}
    script = "host_tools/boards/import_heap.py"
    sources = sets.loaded("linux", sets.ROOTS["core"])
    files = sources if plain else sets.ROOTS["core"]
    found = {name: json.loads(subprocess.run(
                unix_port.command(_HEAP, script, where, *modules), cwd=directory,
                capture_output=True, text=True, check=True).stdout)
             for name, directory, where, modules in (
                ("source", unix_port.ROOT, ".", sources), (".mpy", output / "x64", ".", files),
                ("ROMFS", output / "x64", "filament.romfs", files))}
    if not plain:           # the package loads what the sources load one by one
        found["source"] = dict.fromkeys(files, 0) | {
            files[0]: sum(found["source"].values())}
    return found


def _compare_options(boards):
    """Bytes of all modules at each of mpy-cross's levels."""
    return sizes.Table("All modules: bytes of .mpy files at levels of optimisation",
                       ("set", *_LEVELS), [
        (architecture, *(f"{sum(map(len, every.values())):,}" for every in (
            compiled(architecture, platform, [level], plain=True) for level in _LEVELS)))
        for architecture, platform in platforms(boards).items()])


def _image_sets(text):
    names = [name for name in sets.ROOTS if name in text.split(",")]
    if unknown := set(text.split(",")) - set(names):
        raise argparse.ArgumentTypeError(
            f"no set {', '.join(sorted(unknown))}; there are {', '.join(sets.ROOTS)}")
    return names if "core" in names else ["core", *names]


def main():
    known = board_facts.load()
    parser = argparse.ArgumentParser(
        prog="python -m host_tools.boards", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="sets:\n" + "\n".join(f"  {name:8}{sets.PURPOSES[name]}" for name in sets.ROOTS))
    parser.add_argument("--board", action="append", choices=known, metavar="BOARD",
                        help=f"only what this one needs; any of {', '.join(known)}")
    parser.add_argument("--romfs", type=_image_sets, default=listings.USUAL, metavar="SETS",
                        help="sets in the images (default: %s)" % ",".join(listings.USUAL))
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="DIR")
    parser.add_argument("--plain", action="store_true",
                        help="keep names, constants and line numbers")
    parser.add_argument("--json", action="store_true", help="print sizes.json")
    parser.add_argument("--compare-options", action="store_true",
                        help="build nothing; print what mpy-cross's levels would save, --plain")
    arguments = parser.parse_args()
    boards = [known[name] for name in arguments.board or known]
    console = Console()

    def show(*tables):
        for table in tables:
            if console.is_terminal:
                console.print(sizes.rich_table(table))
            else:
                print(sizes.markdown_table(table))

    try:
        if arguments.compare_options:
            return show(_compare_options(boards))
        facts = build(boards, arguments.romfs, arguments.output, arguments.plain)
    except (OSError, ValueError) as error:
        sys.exit(f"boards: {error}")
    if arguments.json:
        print(json.dumps(facts))
    else:
        show(*sizes.tables(facts))
        print(f"written: {arguments.output}")


if __name__ == "__main__":
    main()
