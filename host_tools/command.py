"""What the commands of `filament` have in common: options, a node's home, errors in words."""

import asyncio
import errno
import json
import signal
import sys
from pathlib import Path

import rich_click as click
from rich.console import Console

from host_tools import generate as generating, home
from mpcore.port import Port
from mpcore.vl1.world import World

_HASHES_EXPECTED = 15       # of a generation, on average (spec/identity.md 2)

# What to do about errors of the system that tell nothing of it.
_NEXT = {errno.EADDRINUSE: ": another program, such as a node, has it; name another port, or 0 "
                           "for a free one"}

console = Console(stderr=True)


class Store(Port):
    """A home directory without a socket: what the commands that run no node need."""

    def __init__(self, directory):
        super().__init__(str(directory), [])


class Group(click.RichGroup):
    """Turns what goes wrong with a user's input into one sentence and exit code 1."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except (ValueError, OSError) as error:
            raise click.ClickException(_sentence(error)) from error


def _sentence(error):
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return where + error.strerror + _NEXT.get(error.errno, "")
    return str(error) or repr(error)


def say(as_json, facts, text):
    """One JSON line for scripts or a text for people, on standard output."""
    click.echo(json.dumps(facts) if as_json else text)


def plain(text):
    """A text, lines and all, without what a terminal would obey: some comes from elsewhere."""
    return "".join(each if each.isprintable() or each in "\n\t" else "?" for each in text)


json_option = click.option("--json", "as_json", is_flag=True, help="Answer in one line of JSON.")
home_option = click.option("--home", "directory", required=True, type=click.Path(file_okay=False),
                           help="Home directory of the node, laid out as zerotier-one's.")
bind_option = click.option("--bind", default="0.0.0.0:9993", show_default=True, metavar="IP:PORT",
                           help="UDP address of the node.")
loopback_option = click.option("--loopback", is_flag=True,
                               help="Let loopback addresses be paths, as no other node does.")
planet_option = click.option("--planet", "planet_file",
                             type=click.Path(exists=True, dir_okay=False),
                             help="Planet file to start with; copied into the home directory.")


def generate_identities(count=1):
    """New identities, with progress on standard error."""
    what = "an identity" if count == 1 else f"{count} identities"
    expected = f"of about {_HASHES_EXPECTED * count} memory-hard hashes"
    if not console.is_terminal:
        console.print(f"generating {what}")
    with console.status(f"generating {what}") as status:
        return generating.generate(count, lambda found, hashes: status.update(
            f"generating {what}: {hashes} {expected}"))


def prepare_identity(store):
    """The identity in a home directory, made there when it is missing."""
    known = home.load_identity(store)
    if known is None:
        known = generate_identities()[0]
        home.save_identity(store, known)
    return known


def read_planet(path):
    try:
        world, _ = World.from_bytes(Path(path).read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return world


def prepare_home(directory, planet_file=None):
    """Give a home directory what a node needs, as far as it is missing.

    planet_file: a planet to copy into it, or None. Raises ValueError without a planet.
    """
    store = Store(directory)
    if planet_file:
        read_planet(planet_file)
        store.store(home.PLANET_FILE, Path(planet_file).read_bytes())
    home.load_planet(store)
    prepare_identity(store)


def run_until_stopped(coroutine):
    """Run a node until Ctrl-C or SIGTERM, which are the ordinary ways to stop it."""
    def stop(number, frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    sys.stdout.reconfigure(line_buffering=True)
    try:
        asyncio.run(coroutine)
    except KeyboardInterrupt:
        pass
