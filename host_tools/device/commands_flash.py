"""`filament boards` and `filament flash`: what is plugged in, and MicroPython onto it."""

import json
from pathlib import Path

import rich_click as click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from host_tools.boards import facts as board_facts
from host_tools.boards import images, uf2
from host_tools.command import json_option, plain, say
from host_tools.device import esp_image, flashing, link, ports, tree, uf2_drive
from host_tools.device import firmware as firmwares
from host_tools.device.probe import Probe
from host_tools.device.progress import Progress


# --- boards --------------------------------------------------------------------------------


@click.command()
@click.argument("port", nargs=-1)
@click.option("--probe", is_flag=True,
              help="Ask what runs there. A program that does is interrupted and started anew.")
@json_option
def boards(port, probe, as_json):
    """List the boards that are supported, and those that are plugged in.

    PORT: look at these ports only, whatever is behind them. --probe without a PORT asks those
    that may be boards; one that says nothing costs three seconds.
    """
    known = board_facts.load()
    found = ports.plugged_in(known)
    if port:
        named = {one.device: one for one in found}
        found = [named.get(one) or ports.Port(one, "", None, None, None, [], None) for one in port]
    asked = [one.device for one in found if port or one.boards] if probe else []
    answers = ports.look_at_all(asked)
    drives = [] if port else uf2_drive.drives()
    if as_json:
        click.echo(json.dumps({
            "supported": [_facts(board) for board in known.values()],
            "ports": [one._asdict() | _answer(answers.get(one.device)) for one in found],
            "drives": [drive._asdict() | {"boards": _of_drive(known, drive)}
                       for drive in drives]}))
        return
    console = Console(width=None if Console().is_terminal else 200)
    if not port:
        console.print(_supported(known))
    shown = [one for one in found if port or one.vid is not None]
    if shown or drives:
        console.print(_plugged_in(known, shown, drives, answers))
    else:
        click.echo("\nNothing is plugged in that can be seen: does the cable carry data?")
    if others := [one.device for one in found if one not in shown]:
        click.echo(f"\nnot by USB: {', '.join(others)}")


def _facts(board):
    return {"board": board.board, "chip": board.chip, "flash_mb": _megabytes(board),
            "firmware": board.firmware and firmwares.file_name(board),
            "flashed_by": _way(board), "flash_offset": board.flash_offset,
            "mpy_arch": board.mpy_arch, "usb_ids": [list(each) for each in board.usb_ids]}


def _megabytes(board):
    return board.flash_size and board.flash_size >> 20


def _way(board):
    if board.esptool_chip is not None:
        return "esptool"
    return "UF2" if board.uf2_family is not None else None


def _answer(answer):
    if isinstance(answer, Probe):
        return {"running": {"firmware": answer.firmware, "machine": answer.machine,
                            "board": answer.board, "heap": answer.heap,
                            "address": _address(answer)}}
    return {"running": None, "trouble": str(answer)} if answer is not None else {}


def _address(probe):
    """Of the node that was provisioned there, or None."""
    return probe.identity and probe.identity.partition(":")[0]


def _of_drive(known, drive):
    return [board.board for board in known.values() if board.uf2_board == drive.board]


def _supported(known):
    rows = [(board.board, board.chip, f"{_megabytes(board)} MB", board.mpy_arch, _way(board),
             firmwares.file_name(board))
            for board in known.values() if board.firmware is not None]
    return _table("Supported", ("board", "chip", "flash", "machine code", "flashed by",
                                "firmware"), rows)


def _plugged_in(known, found, drives, answers):
    rows = []
    for one in found:
        numbers = "" if one.vid is None else f"{one.vid:04x}:{one.pid:04x}"
        may_be = "any ESP32" if one.mode == ports.ADAPTER else ", ".join(one.boards)
        answer = answers.get(one.device)
        if isinstance(answer, Probe):
            may_be = answer.board
        rows.append((one.device, one.description, numbers, may_be or "?", _said(answer, one)))
    for drive in drives:
        rows.append((drive.path, drive.model, "", ", ".join(_of_drive(known, drive)) or "?",
                     "BOOTSEL mode"))
    return _table("\nPlugged in", ("where", "what", "USB", "board", "runs"), rows)


def _table(title, head, rows):
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in head:
        table.add_column(column, overflow="fold")
    for row in rows:        # some of it comes from boards
        table.add_row(*(Text(plain(cell)) for cell in row))
    return table


def _said(answer, port):
    if answer is None:
        return port.mode if port.mode in ("MicroPython", "boot loader") else "?"
    if isinstance(answer, link.Silent):
        return "nothing answers"
    if isinstance(answer, link.LinkError):      # what is so; the rest is what to do, and too long
        return str(answer).removeprefix(f"{port.device}: ").partition("; ")[0]
    parts = [answer.firmware, answer.machine]
    if answer.heap:
        parts.append(f"{answer.heap[0]:,} bytes free")
    if address := _address(answer):
        parts.append(f"node {address}")
    return ", ".join(parts)


# --- flash ---------------------------------------------------------------------------------


@click.command()
@click.argument("port", required=False)
@click.option("--board", "name", required=True, metavar="BOARD",
              help="What board it is; `filament boards` lists them.")
@click.option("--firmware", "file", type=click.Path(), metavar="FILE",
              help=f"MicroPython for this board; without it {firmwares.VERSION} is taken from "
                   "the cache or from micropython.org.")
@click.option("--erase", is_flag=True,
              help="ESP32: erase all of the flash first, with the files and the identity there.")
@click.option("--check", is_flag=True,
              help="ESP32: write nothing, only compare the flash with the firmware.")
@click.option("--drive", type=click.Path(), metavar="DIRECTORY",
              help="RP2: where the board's BOOTSEL drive is mounted.")
@click.option("--image", type=click.Path(), metavar="FILE",
              help="Pico W, ESP32: another image of Filament for the board's flash than this "
                   "program's own, such as one that `make boards` has made.")
@click.option("--no-image", is_flag=True, help="Pico W, ESP32: write MicroPython alone.")
@click.option("--baud", default=flashing.BAUD, show_default=True, type=click.IntRange(9600),
              help="ESP32: speed while it is written.")
@click.option("--mirror", default=firmwares.SITE, show_default=True, metavar="URL",
              help="Where firmware is fetched from.")
@json_option
def flash(port, name, file, erase, check, drive, image, no_image, baud, mirror, as_json):
    """Put MicroPython onto the board at PORT, and verify that it is there.

    A Pico W and an ESP32 also get the image of Filament's code from which it runs in the flash,
    as their heaps are too small for it. Files on the board stay, unless --erase is said. An RP2
    needs no PORT when it was plugged in with its BOOTSEL button held. Examples:

        filament flash /dev/ttyUSB0 --board esp32
        filament flash --board rp2_pico_w

    Whatever goes wrong, the same command again starts anew: the boot loader is in the chip's ROM.
    """
    board = _board(name)
    esp32 = board.esptool_chip is not None
    for option, given, of_esp32 in (("--erase", erase, True), ("--check", check, True),
                                    ("--drive", drive, False)):
        if given and esp32 is not of_esp32:
            raise ValueError(f"{option} is not for {name}, which is flashed by {_way(board)}")
    if image is not None and board.flash_free is None:
        raise ValueError(f"--image is not for {name}: no place in its flash is known for one")
    if image is not None and no_image:
        raise ValueError("say --image or --no-image, not both")
    if esp32:
        if port is None:
            raise ValueError(f"name the port of the {name}: {_candidates(name)}")
        link.check_port(port)       # before a firmware is fetched for nothing
    elif port is not None and drive is not None:
        raise ValueError("name the port or the drive, not both")
    with Progress() as progress:
        found = _firmware(board, file, mirror, progress)
        beside = None if no_image else _image(board, found, image, progress)
    if image is None and beside is not None:
        image = images.file_name(board)
    if not as_json:
        _introduce(board, found)
        if beside is None and board.flash_free is not None:
            click.echo("  Filament's code does not go into the flash with it" + (
                "" if no_image else f": it would not run there with another firmware than "
                f"MicroPython {firmwares.VERSION} of {firmwares.DATE}"))
    with Progress() as progress:
        if esp32:
            told = _flash_esp32(board, port, found, beside, erase, check, baud, progress)
        else:
            told = _flash_rp2(board, port, drive, found, beside, progress)
    facts = {"board": name, "port": port, "firmware": found.source, "version": found.version,
             "sha256": found.sha256, "bytes": len(found.content), "image": image} | told
    say(as_json, facts, _conclusion(board, facts))


def _board(name):
    known = board_facts.load()
    supported = [board.board for board in known.values() if board.firmware is not None]
    if name not in supported:
        raise ValueError(f"there is no board {name}: there are {', '.join(supported)}")
    return known[name]


def _candidates(name):
    found = [one for one in ports.plugged_in(board_facts.load()) if name in one.boards]
    return ", ".join(f"{one.device} ({one.description})" for one in found) or (
        "none of the ports looks like one; `filament boards` lists them")


def _firmware(board, file, mirror, progress):
    if file is not None:
        return firmwares.from_file(file, board)
    name = firmwares.file_name(board)
    return firmwares.obtain(board, mirror, tell=lambda done, size: progress.tell(
        f"fetching {name}", 100 * done / size if size else None))


def _introduce(board, found):
    if found.version is None:
        click.echo(f"firmware for {board.board}, of no version that is known")
    else:
        click.echo(f"MicroPython {found.version} of {found.date} for {board.board}")
    click.echo(f"  from     {found.source}\n  SHA-256  {found.sha256}")
    if found.version not in (None, firmwares.VERSION):
        click.echo(f"  Filament is tested with {firmwares.VERSION}.")


def _image(board, found, file, progress):
    """The bytes that are to be in the flash beside this firmware: those of a file, or of the image
    that this program has for the board, None if that is not for this firmware."""
    if board.flash_free is None:
        return None
    fits = _shows_images(board, found)
    if file is None:
        if not fits:
            return None
        progress.tell("compiling Filament for the board's flash", None)
        return tree.image(board)
    try:
        content = Path(file).read_bytes()
        images.check(content, board)
        if not fits and board.firmware_calls is not None:
            raise ValueError(f"only MicroPython {firmwares.VERSION} of {firmwares.DATE}, without "
                             "PSRAM, can show it to the processor")
        return content
    except ValueError as error:
        raise ValueError(f"{file} is no image for this {board.board}: {error}") from error


def _shows_images(board, found):
    """Can code run in the flash with this firmware? An ESP32 has to be told by it; elsewhere the
    board itself looks at each start, so that this only says what is known to work."""
    if board.firmware_calls is not None:
        return esp_image.build(found.content, board) == board.firmware_calls.build
    return (found.version, found.date) == (firmwares.VERSION, firmwares.DATE)


def _flash_esp32(board, port, found, image, erase, check, baud, progress):
    pieces = {board.flash_offset: found.content}
    if image is not None:
        pieces[board.flash_free[0]] = image
    tool = flashing.Esptool(board, port, baud, progress.tell)
    chip = tool.identify()
    flashing.check_fit(found.content, board, chip, port)
    if check:
        tool.compare(pieces)
    else:
        tool.write(pieces, erase)
    return {"chip": chip.chip, "mac": chip.mac, "flash_size": chip.flash_size,
            "offset": board.flash_offset, "erased": erase, "written": not check, "verified": True}


def _flash_rp2(board, port, drive, found, image, progress):
    # In one file: the drive goes away after the first.
    content = found.content if image is None else uf2.join(found.content, image)

    def plugged_in():
        return [one.device for one in ports.plugged_in({board.board: board}) if one.boards]

    shown = uf2_drive.flash(board, content, port, drive, progress.tell, plugged_in=plugged_in)
    return {"written": True, "verified": shown is not None, "runs_at": shown}


def _conclusion(board, facts):
    if board.esptool_chip is not None:
        megabytes = f"{facts['flash_size'] >> 20} MB of flash, " if facts["flash_size"] else ""
        done = "written and verified" if facts["written"] else "the flash holds it"
        beside = "" if facts["image"] is None else \
            f", and the image from {board.flash_free[0]:#x}"
        return (f"{done}: {facts['bytes']:,} bytes from {facts['offset']:#x}{beside}\n"
                f"{facts['chip']}, {megabytes}MAC {facts['mac']}\n"
                f"next: filament doctor {facts['port']}")
    if facts["runs_at"] is None:
        return ("written; the board has restarted, and no port has shown up yet\n"
                "next: filament boards --probe")
    return (f"written; MicroPython is at {facts['runs_at']}\n"
            f"next: filament doctor {facts['runs_at']}")
