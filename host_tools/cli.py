"""`filament`: everything this project does, from the command line."""

import json
import os
import sys
import time
from pathlib import Path

import rich_click as click

from host_tools import home, names, remote, unix_port
from host_tools.command import (
    Group, Store, bind_option, generate_identities, home_option, json_option, loopback_option,
    planet_option, prepare_home, prepare_identity, read_planet, run_until_stopped, say)
from host_tools.conformance.command import conformance
from host_tools.desktop import commands as desktop
from host_tools.device import commands_flash, commands_network, commands_serial
from mpcore.dns.message import label
from mpcore.port import entropy
from mpcore.vl1 import inet
from mpcore.vl1.identity import Identity
from mpcore.vl1.world import MOON, PLANET, World

click.rich_click.TEXT_MARKUP = "rich"
_NODE_HEAP = "16M"


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="filament", message="filament %(version)s")
def main():
    """A ZeroTier-compatible node for MicroPython and CPython, and networks of your own."""


# --- identity ------------------------------------------------------------------------------


@main.group(cls=Group)
def identity():
    """Make, check and use identities (identity.secret, identity.public)."""


def read_identity(path):
    """The identity in a file; - is standard input."""
    text = sys.stdin.read() if path == "-" else Path(path).read_text()
    try:
        return Identity.from_text(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


identity_argument = click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))


@identity.command()
@click.argument("directory", default=".", type=click.Path(file_okay=False))
@click.option("--force", is_flag=True, help="Overwrite an identity that is there.")
@json_option
def generate(directory, force, as_json):
    """Generate an identity into DIRECTORY/identity.secret and DIRECTORY/identity.public."""
    store = Store(directory)
    if store.load(home.SECRET) is not None and not force:
        raise ValueError(f"{directory}/{home.SECRET} exists; --force overwrites it")
    made = generate_identities()[0]
    home.save_identity(store, made)
    say(as_json, {"address": made.address.hex(), "public": made.to_text()}, made.to_text())


@identity.command()
@identity_argument
@json_option
def validate(file, as_json):
    """Check that the address of the identity in FILE belongs to its key."""
    known = read_identity(file)
    valid = known.locally_valid()
    say(as_json, {"address": known.address.hex(), "valid": valid},
        f"{known.address.hex()} is {'valid' if valid else 'NOT valid'}")
    sys.exit(0 if valid else 1)


@identity.command()
@identity_argument
def getpublic(file):
    """Print the public part of the identity in FILE."""
    click.echo(read_identity(file).to_text())


@identity.command()
@identity_argument
@click.argument("message", type=click.File("rb"))
def sign(file, message):
    """Print the signature (hexadecimal) of the file MESSAGE by the secret identity in FILE."""
    signer = read_identity(file)
    if signer.private is None:
        raise ValueError(f"{file} has no private key")
    click.echo(signer.sign(message.read()).hex())


@identity.command()
@identity_argument
@click.argument("message", type=click.File("rb"))
@click.argument("signature")
@json_option
def verify(file, message, signature, as_json):
    """Check a SIGNATURE (hexadecimal) of the file MESSAGE by the identity in FILE."""
    valid = read_identity(file).verify(message.read(), bytes.fromhex(signature))
    say(as_json, {"valid": valid}, "the signature is " + ("valid" if valid else "NOT valid"))
    sys.exit(0 if valid else 1)


# --- planet --------------------------------------------------------------------------------


@main.group(cls=Group)
def planet():
    """Make and check planet files, which name a network's roots."""


def planet_facts(world):
    return {"type": "planet" if world.type == PLANET else "moon", "id": world.id.hex(),
            "timestamp": world.timestamp, "update_key": world.update_key.hex(),
            "roots": [{"identity": root.to_text(),
                       "endpoints": [inet.text(endpoint) for endpoint in endpoints]}
                      for root, endpoints in world.roots]}


@planet.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--root", "roots", nargs=2, multiple=True, required=True, metavar="IDENTITY ENDPOINTS",
              help="A root's identity file and its endpoints, separated by commas. Repeatable.")
@click.option("--key", required=True, type=click.Path(dir_okay=False),
              help="File of the signing key; made when it is missing, readable by you only.")
@click.option("--id", "world_id", default=None, metavar="HEX",
              help="World ID of 16 digits; that of the planet that is replaced, or a random one.")
@click.option("--moon", is_flag=True,
              help="Make a moon instead, for its roots' moons.d/ID.moon; the ID is then by "
                   "default the first root's address.")
@json_option
def make(file, roots, key, world_id, moon, as_json):
    """Make and sign a planet; one that FILE holds already gets a newer successor."""
    secrets = Store(Path(key).parent)
    if "secret" not in Path(key).name:
        raise ValueError("the file of a signing key must have 'secret' in its name")
    private = secrets.load(Path(key).name)
    if private is None:
        private = entropy(64).hex().encode()
        secrets.store(Path(key).name, private)
    timestamp = int(time.time() * 1000)
    listed = [(read_identity(path), [inet.parse(text) for text in endpoints.split(",")])
              for path, endpoints in roots]
    identifier = bytes(3) + listed[0][0].address if moon else entropy(8)
    if world_id is not None:
        identifier = bytes.fromhex(world_id)
    if Path(file).exists():
        old = read_planet(file)
        timestamp = max(timestamp, old.timestamp + 1)
        identifier = old.id if world_id is None else identifier
    kind = MOON if moon else PLANET
    world = World.make(kind, identifier, timestamp, listed, bytes.fromhex(private.decode()))
    Store(Path(file).parent).store(Path(file).name, world.to_bytes())
    facts = planet_facts(world)
    say(as_json, facts, f"{file}: {facts['type']} {world.id.hex()} with {len(roots)} root(s)")


@planet.command()
@click.argument("file", type=click.Path(dir_okay=False))
@json_option
def show(file, as_json):
    """Show who the roots are and where."""
    facts = planet_facts(read_planet(file))
    lines = [f"{facts['type']} {facts['id']} of {facts['timestamp']}"]
    for root in facts["roots"]:
        lines.append(f"  root {root['identity'][:10]} at {', '.join(root['endpoints'])}")
    say(as_json, facts, "\n".join(lines))


@planet.command("verify")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--key", default=None, metavar="HEX",
              help="The 64-byte public key that must have signed it; the planet's own by default.")
@json_option
def verify_planet(file, key, as_json):
    """Check the signature of a planet, and the identities of its roots."""
    world = read_planet(file)
    valid = world.verify(world.update_key if key is None else bytes.fromhex(key))
    roots = all(root.locally_valid() for root, _ in world.roots)
    say(as_json, {"signature": valid, "roots": roots},
        f"signature {'valid' if valid else 'NOT valid'}, "
        f"root identities {'valid' if roots else 'NOT valid'}")
    sys.exit(0 if valid and roots else 1)


@planet.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--from", "source", default=None, type=click.Path(exists=True, dir_okay=False),
              help="A planet file, program, library or libzt wheel; by default what is installed.")
@json_option
def extract(file, source, as_json):
    """Take ZeroTier's own planet, for the public network, from software that carries it."""
    from host_tools import public_planet
    world, path = public_planet.extract(source)
    Store(Path(file).parent).store(Path(file).name, world.to_bytes())
    say(as_json, planet_facts(world) | {"source": str(path)},
        f"{file}: ZeroTier's planet of {world.timestamp}, signature valid, from {path}")


# --- nodes ---------------------------------------------------------------------------------


@main.command()
@home_option
@bind_option
@click.option("--join", "networks", multiple=True, metavar="NWID", help="Join a network. Repeatable.")
@click.option("--runtime", type=click.Choice(["cpython", "micropython"]), default="cpython",
              show_default=True, help="What runs the node.")
@click.option("--heap", default=_NODE_HEAP, show_default=True,
              help="MicroPython's heap, with --runtime micropython.")
@click.option("--echo", "echo_port", type=click.IntRange(1, 65535), default=None,
              help="TCP and UDP port of echo services on the virtual addresses.")
@click.option("--hostname", default=None,
              help="Be found as HOSTNAME.local on the virtual networks, by mDNS.")
@click.option("--low-bandwidth", is_flag=True,
              help="Idle at less than 1 MB a day; see docs/low-bandwidth.md for its price.")
@planet_option
@loopback_option
def node(directory, bind, networks, runtime, heap, echo_port, hostname, low_bandwidth, planet_file,
         loopback):
    """Run a node in the foreground; each change of its status is one line of JSON."""
    from host_tools import daemon
    for nwid in networks:
        home.network_id(nwid)
    if hostname is not None:
        label(hostname)
    prepare_home(directory, planet_file)
    arguments = {"directory": str(directory), "bind": bind, "join": networks,
                 "echo_port": echo_port, "hostname": hostname, "low_bandwidth": low_bandwidth,
                 "loopback": loopback}
    if runtime == "cpython":
        return run_until_stopped(daemon.main(aes=True, **arguments))
    command = unix_port.command(heap, "host_tools/daemon.py")
    sys.stdout.flush()
    os.execve(command[0], command,
              unix_port.environment() | {daemon.ARGUMENTS: json.dumps(arguments)})


@main.command()
@home_option
@bind_option
@click.option("--advertise", multiple=True, metavar="IP:PORT",
              help="Where peers reach the root, if not at --bind. Repeatable.")
@click.option("--role", type=click.Choice(["both", "root", "controller"]), default="both",
              show_default=True, help="What this node is; a controller alone needs a planet.")
@click.option("--network", "nwid", default=None, metavar="NWID",
              help="The network to serve; the only one there is, or a new one.")
@click.option("--name", default=None, help="Name of the network.")
@click.option("--pool", default=None, metavar="CIDR", help="IPv4 network to assign addresses from.")
@click.option("--public/--private", default=None, help="Whether anybody may join.")
@click.option("--authorize", multiple=True, metavar="ADDR", help="Let a member in. Repeatable.")
@click.option("--domain", default="", help="DNS domain of the network, with --dns.")
@click.option("--dns", "servers", multiple=True, metavar="IP",
              help="A server that members ask for names in that domain. Repeatable.")
@loopback_option
@json_option
def serve(directory, bind, advertise, role, nwid, name, pool, public, authorize, domain, servers,
          loopback, as_json):
    """Run the root and the controller of your own network.

    Makes what is missing in the home directory: identity, planet, a network (private, with
    addresses from 10.147.17.0/24 unless --pool says otherwise). Prints the network's ID and what
    a peer needs, then a line of JSON at every change, such as somebody asking to join.
    """
    from host_tools import serve as serving
    store = Store(directory)
    own = prepare_identity(store)
    is_root = role != "controller"
    if is_root:
        serving.ensure_planet(store, own, serving.reachable(advertise or [bind]), entropy)
    server = serving.Server(str(directory), bind, root=is_root, controller=role != "root",
                            aes=True, loopback=loopback)
    facts = {"address": server.node.identity.address.hex(), "role": role,
             "planet": str(Path(directory, home.PLANET_FILE).resolve())}
    text = f"node {facts['address']} ({role})\nplanet {facts['planet']}"
    if server.controller is not None:
        fields = serving.network_fields(name, pool, public, (domain, servers) if servers else None)
        network = server.open_network(fields, None if nwid is None else home.network_id(nwid))
        for address in authorize:
            server.controller.authorize(server.runtime.now(), bytes.fromhex(network["id"]),
                                        home.address(address))
        facts["network"] = network["id"]
        facts["private"] = network["private"]
        text += f"""
network {network['id']} ({'private' if network['private'] else 'public'})

A peer needs the planet file in its home directory before its first start; then
  zerotier-cli join {network['id']}      or
  filament node --home DIR --join {network['id']}"""
        if network["private"]:
            text += f"\nand to be let in:\n  filament authorize ADDRESS --home {directory}"
    say(as_json, facts, text)
    run_until_stopped(server.run())


@main.command()
@click.argument("address", nargs=-1, required=True)
@home_option
@click.option("--network", "nwid", default=None, metavar="NWID", help="If there are several.")
@click.option("--revoke", is_flag=True, help="Throw the member out instead.")
@json_option
def authorize(address, directory, nwid, revoke, as_json):
    """Let members with these addresses into the network of a running `filament serve`."""
    control = remote.Control(directory)
    nwid = control.network(nwid)
    for each in address:
        home.address(each)
        member = control.post(f"/controller/network/{nwid}/member/{each}",
                              {"authorized": not revoke})
        say(as_json, member, f"{each} is {'not ' if revoke else ''}a member of {nwid}")


def say_moons(moons, as_json):
    say(as_json, moons, "\n".join(
        f"{moon['id']} {'waiting for' if moon['waiting'] else 'roots'} {', '.join(moon['roots'])}"
        for moon in moons) or "no moons")


@main.command()
@click.argument("moon")
@click.argument("seed")
@home_option
@json_option
def orbit(moon, seed, directory, as_json):
    """Follow a MOON (ID of 16 digits), which its root SEED (address) is asked for."""
    say_moons(remote.Control(directory).post(f"/moon/{moon}", {"seed": seed}), as_json)


@main.command()
@click.argument("moon")
@home_option
@json_option
def deorbit(moon, directory, as_json):
    """Forget a MOON and its roots."""
    say_moons(remote.Control(directory).delete(f"/moon/{moon}"), as_json)


@main.command()
@home_option
@json_option
def moons(directory, as_json):
    """List the moons that a running node follows."""
    say_moons(remote.Control(directory).get("/moon"), as_json)


@main.command()
@home_option
@json_option
def status(directory, as_json):
    """Show the status of a running node."""
    facts = remote.Control(directory).get("/status")
    lines = [f"{facts['address']} {'ONLINE' if facts['online'] else 'OFFLINE'} "
             f"{facts['version']} on {facts['runtime']}"]
    lines += map(network_line, facts["networks"])
    say(as_json, facts, "\n".join(lines))


def network_line(network):
    addresses = ", ".join(network["assignedAddresses"]) or "-"
    return (f"{network['id']} {network['name'] or '-'} {network['status']} {addresses} "
            f"{network['reason']}").rstrip()


@main.command()
@click.argument("nwid")
@home_option
@json_option
def join(nwid, directory, as_json):
    """Join network NWID with a running node, now and at every later start."""
    home.network_id(nwid)
    network = remote.Control(directory).post(f"/network/{nwid}", {})
    say(as_json, network, network_line(network))


@main.command()
@click.argument("nwid")
@home_option
@json_option
def leave(nwid, directory, as_json):
    """Leave network NWID with a running node, for good."""
    home.network_id(nwid)
    left = remote.Control(directory).delete(f"/network/{nwid}")["result"]
    say(as_json, {"left": left}, f"{nwid}: " + ("left" if left else "was not joined"))


@main.command()
@click.argument("ip")
@home_option
@click.option("-c", "--count", default=4, show_default=True, type=click.IntRange(1))
@click.option("-i", "--interval", default=1.0, show_default=True, help="Seconds between echoes.")
@click.option("-t", "--timeout", default=2.0, show_default=True, help="Seconds to wait for each.")
@json_option
def ping(ip, directory, count, interval, timeout, as_json):
    """Ping IP on the virtual network from a running node."""
    inet.ip_parse(ip)
    control = remote.Control(directory)
    times = []
    for number in range(count):
        if number:
            time.sleep(interval)
        ms = control.post("/ping", {"ip": ip, "timeout_ms": int(timeout * 1000)},
                          timeout + 5)["ms"]
        times.append(ms)
        if not as_json:
            click.echo(f"no answer from {ip}" if ms is None else f"{ip} answers in {ms:.2f} ms")
    answered = [ms for ms in times if ms is not None]
    if as_json:
        click.echo(json.dumps({"ip": ip, "sent": count, "received": len(answered), "ms": times}))
    sys.exit(0 if answered else 1)


for command in (names.set_dns, names.lookup, conformance, desktop.run, desktop.proxy,
                desktop.forward, commands_flash.boards, commands_flash.flash,
                commands_serial.doctor, commands_serial.provision, commands_serial.deploy,
                commands_network.repl, commands_network.monitor):
    main.add_command(command)


# --- the rest ------------------------------------------------------------------------------


@main.command()
@click.option("--seconds", type=click.FloatRange(1), default=None,
              help="Stop after this time; without it Ctrl-C does.")
@click.option("--headless", is_flag=True, help="No live view: only the summary at the end.")
@click.option("--seed", default=1, show_default=True, help="Of the players' walk.")
@click.option("--output", default="build/demo.json", show_default=True,
              type=click.Path(dir_okay=False), help="Where the figures go.")
@click.option("--picture", metavar="FILE.svg", help="Save the view's last picture.")
def demo(seconds, headless, seed, output, picture):
    """Light a bulb on MicroPython when a game's player comes near, all on this machine."""
    from host_tools.demo import runner
    from host_tools.demo.scene import NODES
    identities = generate_identities(len(NODES))
    sys.exit(runner.run(identities, seconds, headless, seed, Path(output), picture))


@main.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False))
@click.option("--runtime", type=click.Choice(["cpython", "micropython"]), default="cpython",
              show_default=True, help="What computes the answers.")
@json_option
def vectors(directory, runtime, as_json):
    """Run every test vector file in DIRECTORY; exit code 0 only when all of it passes."""
    from host_tools import vectors as checks
    sys.exit(checks.run(directory, runtime, as_json))
