"""`filament run`, `proxy` and `forward`: programs of this machine on virtual networks."""

import asyncio
import os
from pathlib import Path

import rich_click as click

from host_tools import home
from host_tools.command import (
    home_option, json_option, loopback_option, planet_option, prepare_home, run_until_stopped,
    say)

_LOGIN = "FILAMENT_PROXY_LOGIN"
_CANNOT_RUN, _NOT_FOUND = 126, 127      # exit codes, as those of a shell

_NODE_OPTIONS = (
    home_option, planet_option, loopback_option,
    click.option("--join", "networks", multiple=True, metavar="NWID",
                 help="Join a network, beside those that the home has joined. Repeatable."),
    click.option("--bind", default="0.0.0.0:0", show_default=True, metavar="IP:PORT",
                 help="UDP address of the node; port 0 takes a free one."),
    click.option("--wait", default=30.0, show_default=True, type=click.FloatRange(0, 3600),
                 help="Seconds that the networks may take to be usable."))


def node_options(command):
    """The options of a command that runs a node of its own."""
    for option in reversed(_NODE_OPTIONS):
        command = option(command)
    return command


def prepared(directory, planet_file, loopback, networks, bind, wait):
    """The arguments of session.node, with the home made ready."""
    joined = [home.network_id(text) for text in networks]
    prepare_home(directory, planet_file)
    return {"directory": directory, "bind": bind, "networks": joined, "wait_s": wait,
            "loopback": loopback, "tell": lambda text: click.echo(text, err=True)}


@click.command(context_settings={"allow_interspersed_args": False})
@node_options
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(command, **options):
    """Run COMMAND; the Python programs in it reach the virtual networks by their sockets.

    Nothing in the program changes: destinations of the joined networks go over them, all others
    over the platform's network, and what binds to any address is on both. Example:

        filament run --home me --join NWID -- python app.py

    `-- app.py` and `-- -m module` take Filament's own interpreter. Signals and the exit code are
    those of COMMAND.
    """
    from host_tools.desktop import run as running, session
    from host_tools.desktop.overlay import offered

    async def main():
        async with session.node(**prepared(**options)) as daemon, offered(daemon) as path:
            try:
                return await running.run(running.completed(command), path)
            except FileNotFoundError:
                click.echo(f"{command[0]}: no such program", err=True)
                return _NOT_FOUND
            except PermissionError:
                click.echo(f"{command[0]} may not be run", err=True)
                return _CANNOT_RUN

    running.leave(asyncio.run(main()))


@click.command()
@node_options
@click.option("--listen", default="127.0.0.1:1080", show_default=True, metavar="HOST:PORT",
              help="Where to serve SOCKS5.")
@click.option("--login-file", type=click.Path(exists=True, dir_okay=False), metavar="FILE",
              help=f"File with the USER:PASSWORD that clients must give; or set {_LOGIN}.")
@click.option("--without-login", is_flag=True,
              help="Let whoever reaches an address that is not loopback use the proxy.")
@json_option
def proxy(listen, login_file, without_login, as_json, **options):
    """Serve SOCKS5 to programs of this machine, for TCP, UDP, IPv4 and IPv6.

    Destinations of the joined networks, and names in their DNS domains, are reached over them;
    all others over the platform's network. Example:

        filament proxy --home me --join NWID
        curl --proxy socks5h://127.0.0.1:1080 http://10.147.17.20/
    """
    from host_tools.desktop import forward as forwarding, session
    from host_tools.desktop.proxy import Proxy

    place = forwarding.parse_place(listen)
    login = _read_login(login_file)
    if login is None and not without_login and not forwarding.is_loopback(place[0]):
        raise ValueError(f"anybody who reaches {listen} could use the proxy: demand a login with "
                         "--login-file, or say --without-login")

    async def main():
        async with session.node(**prepared(**options)) as daemon:
            server = await Proxy(daemon.runtime, login).start(*place)
            host, port = server.sockets[0].getsockname()[:2]
            say(as_json, {"listening": [host, port]}, f"SOCKS5 on {host} port {port}")
            await server.serve_forever()

    run_until_stopped(main())


@click.command()
@node_options
@click.argument("forwards", nargs=-1, metavar="[LISTEN=TARGET]...")
@click.option("--reverse", multiple=True, metavar="LISTEN=TARGET",
              help="Listen on the virtual network for a target of this machine. Repeatable.")
@json_option
def forward(forwards, reverse, as_json, **options):
    """Forward TCP ports of this machine to a virtual network, and with --reverse the other way.

    LISTEN and TARGET are [HOST:]PORT. Without a host LISTEN is 127.0.0.1, with --reverse every
    address of this node on its networks; TARGET is 127.0.0.1. Examples:

        filament forward --home me 8080=10.147.17.20:80
        filament forward --home me --reverse 80=127.0.0.1:8000
    """
    from host_tools.desktop import forward as forwarding, session

    there = [forwarding.parse(text, "127.0.0.1") for text in forwards]
    back = [forwarding.parse(text, None) for text in reverse]
    if not there and not back:
        raise ValueError("name a port to forward, such as 8080=10.147.17.20:80")

    async def main():
        async with session.node(**prepared(**options)) as daemon:
            forwarder = forwarding.Forwarder(daemon.runtime)
            for each in there:
                await forwarder.start(each)
            for each in back:
                await forwarder.start_reverse(each)
            say(as_json, {"forwarding": forwards, "reverse": reverse},
                "\n".join(f"forwarding {text}" for text in (*forwards, *reverse)))
            await asyncio.get_running_loop().create_future()

    run_until_stopped(main())


def _read_login(file):
    """(user, password) from a file or the environment, None where neither has one."""
    text = Path(file).read_text().strip("\r\n") if file else os.environ.get(_LOGIN)
    if text is None:
        return None
    user, colon, password = text.encode().partition(b":")
    if not colon or not user or max(len(user), len(password)) > 255:
        raise ValueError(f"{file or _LOGIN}: USER:PASSWORD is needed, of up to 255 bytes each")
    return user, password
