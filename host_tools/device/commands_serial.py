"""`filament doctor`, `provision` and `deploy`: what is done to a board at a serial port."""

import sys

import rich_click as click
from rich.console import Console
from rich.text import Text

from host_tools import home
from host_tools.command import Store, generate_identities, json_option, loopback_option, plain, say
from host_tools.device import commands_network as network
from host_tools.device.progress import Transfer

port_argument = click.argument("port")
_COLOURS = {"good": "green", "note": "dim", "slow": "yellow", "unfit": "red"}


@click.command()
@port_argument
@json_option
def doctor(port, as_json):
    """Examine the board at PORT: what will work, what will be slow, and how to mend it.

    Exit code 0 when nothing stands in the way, 1 otherwise. Nothing is changed on the board; the
    program that runs there is stopped. Example:

        filament doctor /dev/ttyACM0
    """
    from host_tools.device import doctor as examining
    from host_tools.device.link import open_link
    with open_link(port) as link:
        probe, findings = examining.examine(link)
    if as_json:
        say(True, examining.report(probe, findings), "")
    else:
        _show(findings)
    sys.exit(0 if examining.fit(findings) else 1)


def _show(findings):
    output = Console(highlight=False)
    for finding in findings:
        level = Text(f"{finding.level:5}", style=_COLOURS[finding.level])
        output.print(level, Text(f"{finding.topic:10} {plain(finding.text)}"), soft_wrap=True)
        if finding.mend:
            output.print(Text(" " * 17 + f"{finding.mend}", style="bold"), soft_wrap=True)


@click.command()
@port_argument
@click.option("--network", metavar="NWID", help="The virtual network to join.")
@click.option("--wifi", "ssid", metavar="SSID",
              help="The Wi-Fi network; its key is asked for, unless --wifi-key-file has it.")
@click.option("--wifi-key-file", metavar="FILE", type=click.Path(dir_okay=False, allow_dash=True),
              help="A file that only you can read, with the Wi-Fi key; - is standard input.")
@click.option("--planet", type=click.Path(exists=True, dir_okay=False),
              help="Planet file of the network's root.")
@click.option("--hostname", help="Be found as HOSTNAME.local on the virtual network.")
@click.option("--allow", multiple=True, metavar="ADDRESS",
              help="A node that may use the board's REPL over the virtual network. Repeatable; "
                   "without any there is none.")
@click.option("--bind", metavar="IP:PORT", help="UDP address of the node, if not 0.0.0.0:9993.")
@click.option("--app-config", metavar="FILE", type=click.Path(exists=True, dir_okay=False),
              help="Settings of the app, a JSON object: on the board APP.secret.json.")
@click.option("--rotate", is_flag=True, help="Make a new identity in place of the board's.")
@click.option("--home", "directory", type=click.Path(file_okay=False),
              help="Where to keep what the board has; by default below Filament's own directory, "
                   "one for each board.")
@loopback_option
@json_option
def provision(port, ssid, wifi_key_file, planet, app_config, rotate, directory, as_json, **given):
    """Give the board at PORT an identity, the planet and its settings.

    Repeating it is safe: the identity stays, settings that are not named stay, and only what has
    changed is written. Example:

        filament provision /dev/ttyACM0 --network NWID --planet net/planet --wifi HOME
    """
    from host_tools.device import probe, provision as provisioning
    from host_tools.device.link import open_link
    with open_link(port) as link:
        if directory is None:
            directory = provisioning.home_of(click.get_app_dir("filament"),
                                             probe.board(link).unique, port)
        else:
            probe.board(link)
        store = Store(directory)
        settings = provisioning.stored_settings(store)
        settings |= {name: list(value) if name == "allow" else value
                     for name, value in given.items() if value}
        settings |= _wifi(provisioning, settings, ssid, wifi_key_file)
        made = provisioning.prepare(
            store, link, provisioning.checked(settings), planet,
            lambda: generate_identities()[0], rotate, app_config)
        written = provisioning.write(link, made, lambda path: click.echo(f"writing {path}",
                                                                         err=True))
    address = made.identity.address.hex()
    facts = {"address": address, "public": made.identity.to_text(), "home": str(directory),
             "network": settings["network"], "written": written,
             "replaced": made.before and made.before.hex()}
    text = f"{address} is the board's address; what it has is kept in {directory}\n"
    text += f"written: {', '.join(written)}" if written else "the board has all of it already"
    if made.before:
        text += (f"\nit was {made.before.hex()}, which may leave:\n"
                 f"  filament authorize {made.before.hex()} --revoke --home net")
    if rotate or f"/{home.SECRET}" in written:
        text += (f"\nwhere the network's controller runs, let it in:\n"
                 f"  filament authorize {address} --home net")
    say(as_json, facts, text)


def _interactive():
    """Whether a person can be asked."""
    return sys.stdin.isatty()


def _wifi(provisioning, settings, ssid, key_file):
    """The Wi-Fi settings that are to change. A key is asked for, or read; never an argument."""
    if ssid is None:
        if key_file is None:
            return {}
        if settings.get("ssid") is None:
            raise ValueError("--wifi is missing: the name of the Wi-Fi network of that key")
        return {"key": provisioning.read_key(key_file, sys.stdin)}
    if key_file is not None:
        key = provisioning.read_key(key_file, sys.stdin)
    elif settings.get("ssid") == ssid:
        return {}                       # its key is known
    elif _interactive():
        key = provisioning.checked_key(click.prompt(
            f"Key of the Wi-Fi network {ssid} (empty for an open one)", default="",
            hide_input=True, show_default=False, err=True))
    else:
        raise ValueError("the Wi-Fi key is missing: --wifi-key-file FILE, with - for standard "
                         "input")
    return {"ssid": ssid, "key": key}


@click.command()
@click.argument("port", metavar="PORT|ADDRESS")
@click.argument("app", required=False, metavar="[APP_DIR]",
                type=click.Path(exists=True, file_okay=False))
@click.option("--board", metavar="BOARD", help="Which of boards/ this is, if it is not told.")
@click.option("--timeout", type=click.FloatRange(1, 3600), default=None, metavar="SECONDS",
              help="How long the node may take to be online (90 by default).")
@click.option("--no-start", is_flag=True, help="Leave the board as it is when all is there.")
@network.way_options
@json_option
def deploy(port, app, board, timeout, no_start, as_json, **way):
    """Bring the app in APP_DIR (the light bulb without one) onto the board at PORT, and start it.

    An app is a directory with a main.py that has start(). It is compiled for the board, and goes
    there together with Filament's core; only what has changed is sent, and all of it is checked.
    Where the board's flash has a place for the core, or a ROMFS partition, it goes and runs there.
    Then the board is restarted. Exit code 0 when its node is online, 1 when not. Example:

        filament deploy /dev/ttyACM0 boards/apps/bulb
        filament deploy 10.147.17.53 boards/apps/bulb --home me

    Over the virtual network the program that runs stays where it is, core included, and comes back
    if the new one does not come online.
    """
    if not network.is_port(port):
        return network.deploy(port, app, board, timeout, no_start, as_json, way)
    from host_tools.device import deploy as deploying
    from host_tools.device import tree as trees
    from host_tools.device.link import open_link
    trees.check(app or trees.APP)       # before the program there is interrupted for nothing
    with open_link(port) as link, Transfer() as progress:
        sent = deploying.deploy(link, app or trees.APP, board, progress)
        running = None
        if not no_start:
            progress.step("starting")
            running = deploying.start(link, timeout or deploying.ONLINE_S, progress.step)
    facts = sent._asdict() | {"running": running and running._asdict()}
    text = f"nothing to send: all {sent.files} files are there; slot {sent.slot}"
    if sent.sent or sent.copied or sent.removed:
        text = (f"{sent.sent:,} of {sent.size:,} bytes sent, {sent.copied} files copied on the "
                f"board, {sent.removed} removed; slot {sent.slot}")
    elif sent.changed:
        text = f"all {sent.files} files are there; what starts slot {sent.slot} was renewed"
    if running is not None:
        text += "\n" + plain(_state(running, sent.node))
    say(as_json, facts, text)
    sys.exit(0 if running is None or running.online else 1)


_NO_MEMORY = "MemoryError", "OSError: WiFi Out of Memory"     # the latter is an ESP32's
# What a network's state asks for. A state that is none of these passes by itself, or never.
_MENDS = {
    "NOT_FOUND": "its controller has no such network: give the ID that `filament serve` printed, "
                 "with `filament provision PORT --network ID`",
    "ACCESS_DENIED": "is it authorised? `filament authorize {node} --home net`",
    "REQUESTING_CONFIGURATION": "a root answers, and its network's controller does not: does the "
                                "controller run, and is the network's ID right? `filament "
                                "provision PORT --network ID` sets it"}


def _state(running, node):
    if any(line.startswith(_NO_MEMORY) for line in running.said):
        return ("the board's heap is too small for this program and the code in .mpy files; "
                "`filament doctor` says how to get more")
    heap = f", {running.free:,} bytes of heap free" if isinstance(running.free, int) else ""
    mend = _MENDS.get(running.status, _MENDS["ACCESS_DENIED"]).format(node=node or "ADDRESS")
    if running.online and running.status == "OK":
        return f"online as {running.address}{heap}"
    if running.online:
        return f"online, but its network says {running.status}{heap}; {mend}"
    last = "\n".join(f"  {line}" for line in running.said) or "  (nothing)"
    if any(line.startswith("Traceback") for line in running.said):
        return f"the program has failed: {running.said[-1]}\nThe last that it printed:\n{last}"
    if not running.reached:
        mend = ("is the Wi-Fi network there, and does the root answer? `filament monitor` shows "
                "more")
    return (f"the node is not online; its network's state is {running.status or 'unknown'}; "
            f"{mend}. The last that it printed:\n{last}")
