"""`filament repl`, `monitor`, and `deploy` to an address: a board over the virtual network."""

import json
import sys
import threading
from pathlib import Path

import rich_click as click
from rich.console import Console

from host_tools import home
from host_tools.command import json_option, loopback_option, plain, say
from host_tools.device.progress import Transfer

_ONCE_S = 15            # a board tells of its heap every few seconds

_WAY_OPTIONS = (
    click.option("--home", "directory", default=None, type=click.Path(file_okay=False),
                 help="Go by a node of ours with this home directory; without it, by the network "
                      "of this machine (a stock ZeroTier that has joined)."),
    click.option("--join", "networks", multiple=True, metavar="NWID",
                 help="With --home: join a network, beside those that the home has joined."),
    click.option("--bind", default="0.0.0.0:0", show_default=True, metavar="IP:PORT",
                 help="With --home: UDP address of that node; port 0 takes a free one."),
    loopback_option)


def way_options(command):
    """The options of a command that goes to a board over a virtual network."""
    for option in reversed(_WAY_OPTIONS):
        command = option(command)
    return command


def way_to(address, directory, networks, bind, loopback):
    """The overlay_link.Way that these options describe."""
    from host_tools.device import overlay_link
    if directory is None:
        return overlay_link.way(address)
    if not Path(directory, home.SECRET).exists():
        raise ValueError(
            f"{directory} is no node's home yet: `filament node --home {directory} --planet "
            "net/planet --join NETWORK` makes it one, and `filament authorize` lets that in")
    return overlay_link.way(address, directory, bind=bind, networks=networks, loopback=loopback,
                            tell=lambda text: click.echo(text, err=True))


def is_port(target):
    """Is this a serial port of this machine rather than an address?"""
    return "://" in target or target.startswith(("/", "COM")) or Path(target).exists()


@click.command()
@click.argument("address")
@way_options
@click.option("--listen", default=None, metavar="HOST:PORT",
              help="Serve the REPL there to other programs, such as mpremote, until Ctrl-C.")
@click.option("--terminal", is_flag=True,
              help="Serve it at a pseudo-terminal, as `mpremote repl` needs it.")
def repl(address, listen, terminal, **options):
    """A REPL on the board at ADDRESS of the virtual network; Ctrl-] leaves it.

    The board's node.secret.json must have this node's address in `allow`. Its program goes on, and
    what it prints is seen. Where standard input is no terminal, what comes there is run. Examples:

        filament repl 10.147.17.53 --home me
        filament repl 10.147.17.53 --home me --listen 127.0.0.1:2323
        mpremote connect socket://127.0.0.1:2323 ls
        echo "print(1)" | filament repl 10.147.17.53 --home me
    """
    from host_tools.desktop import forward
    from host_tools.device import repl as talking

    if is_port(address):
        raise ValueError(f"{address} is a port of this machine: `mpremote connect {address}` has "
                         "the REPL there")
    with way_to(address, **options) as board:
        if listen is not None:
            return _serve(board, forward.parse_place(listen))
        if terminal:
            return _until_stopped(lambda: talking.serve_terminal(
                board.url, lambda name: click.echo(f"mpremote connect {name}")))
        if not sys.stdin.isatty():
            with board.open() as link:
                click.echo(link.run(sys.stdin.read()), nl=False)
            return None
        click.echo(f"{board.target}: Ctrl-] leaves", err=True)
        if not talking.talk(board.url()):
            raise ValueError(f"{board.target}: the board has ended the session; is another one "
                             "open, or was it reset?")
        click.echo()


def _serve(board, place):
    if not hasattr(board, "serve"):
        raise ValueError("--listen needs --home: without it programs reach the board themselves, "
                         f"as {board.url()}")
    port = board.serve(*place, tell=lambda text: click.echo(text, err=True))
    click.echo(f"mpremote connect socket://{place[0]}:{port}")
    _until_stopped(threading.Event().wait)


def _until_stopped(act):
    sys.stdout.flush()
    try:
        act()
    except KeyboardInterrupt:
        pass


@click.command()
@click.argument("target", metavar="PORT|ADDRESS")
@way_options
@click.option("--once", is_flag=True, help="One look, and the end.")
@click.option("--interval", default=1.0, show_default=True, type=click.FloatRange(0.1, 3600),
              help="Seconds between two looks.")
@json_option
def monitor(target, once, interval, as_json, **options):
    """The log and the status of the board at a serial PORT or a virtual ADDRESS, until Ctrl-C.

    Over the network the board is asked: peers, whether direct or relayed, latency, datagrams,
    heap, drops by cause. At a serial port its program is not interrupted: what is shown is what it
    prints. Examples:

        filament monitor 10.147.17.53 --home me
        filament monitor /dev/ttyACM0
        filament monitor 10.147.17.53 --home me --once --json
    """
    from host_tools.device import monitor as watching

    console = Console(highlight=False, soft_wrap=True)
    tell = (lambda facts: click.echo(json.dumps(facts))) if as_json else None
    sys.stdout.reconfigure(line_buffering=True)
    try:
        if is_port(target):
            from host_tools.device.link import listen
            with listen(target) as link:
                if once:
                    return _once(watching, watching.SerialWatch(link, _ONCE_S), target, console,
                                 tell)
                watching.follow(watching.SerialWatch(link, _ONCE_S, lambda: click.echo(
                    f"{target}: nothing was printed for {_ONCE_S} s; has the board's program "
                    "ended? `filament doctor` examines the board", err=True)), target, console,
                    tell, 0)
        else:
            with way_to(target, **options) as board, board.open() as link:
                watch = watching.Watch(link)
                if once:
                    return _once(watching, watch, board.target, console, tell)
                watching.follow(watch, board.target, console, tell, interval)
    except KeyboardInterrupt:
        pass


def _once(watching, watch, name, console, tell):
    try:
        while watch.status is None:
            watch.look()
    except StopIteration:
        raise ValueError(f"{name}: the board's program has told nothing of its status within "
                         f"{_ONCE_S} s; `filament doctor` examines the board") from None
    if tell:
        tell(watch.status)
    elif console.is_terminal:
        console.print(watching.picture(name, watch.status, []))
    else:
        console.out(watching.sentence(watch.status))


def deploy(address, app, board, timeout_s, no_start, as_json, options):
    """`filament deploy ADDRESS`. timeout_s: that the new program has to come online, or None.
    options: of way_to."""
    from host_tools.device import tree as trees
    from host_tools.device import updating

    if no_start:
        raise ValueError("--no-start is for a serial port: over the network the new program has "
                         "to show that it comes online")
    trees.check(app or trees.APP)
    minutes = updating.MINUTES if timeout_s is None else timeout_s / 60
    with way_to(address, **options) as way, Transfer() as progress:
        done = updating.update(way, app or trees.APP, board, progress, minutes)
        name = way.target
    text = f"nothing to send: slot {done.slot} has all {done.files} files already, and runs"
    if done.changed:
        text = (f"{done.sent:,} of {done.size:,} bytes sent, {done.copied} files copied on the "
                f"board, {done.removed} removed; slot {done.slot} ")
        text += ("is online, and is what runs from now on" if done.confirmed else
                 f"was ROLLED BACK: {plain(str(done.why))}. What ran before runs again; `filament "
                 f"monitor {name}` shows its log")
    say(as_json, done._asdict(), text)
    sys.exit(0 if done.confirmed else 1)
