"""A process of the demonstration: one game instance, on its own node.

    python -m host_tools.demo.instance CONFIG.json

The file holds `home`, `bind`, `network`, `game`, `players`, `seed`, `clients` (name to secret) and
`token_lifetime_s`. One JSON line per tick on standard output tells where the players are.
"""

import asyncio
import json
import signal
import sys
from pathlib import Path

from host_tools import home
from host_tools.daemon import Daemon, print_line
from host_tools.demo import world
from host_tools.demo.game import DISCOVERY_PORT, HTTP_PORT, Game, Tokens
from mpcore import aio

_TELL_S = 0.1


async def main(config):
    daemon = Daemon(config["home"], config["bind"], aes=True, loopback=True)
    daemon.join(home.network_id(config["network"]))
    game = Game(config["game"], world.players(config["players"], config["seed"]),
                Tokens(config["clients"], config["token_lifetime_s"]))

    async def serve(reader, writer):
        try:
            await game.app.handle_request(reader, writer)
        except OSError:
            writer.abort()      # the client is gone

    await aio.start_server(serve, None, HTTP_PORT, runtime=daemon.runtime)
    datagrams = aio.Datagrams(None, DISCOVERY_PORT, runtime=daemon.runtime)
    await asyncio.gather(daemon.run(), game.walk(), answer(game, datagrams), tell(game))


async def answer(game, datagrams):
    """Answer whoever looks for games."""
    while True:
        data, address = await datagrams.recvfrom()
        found = game.discovered(data)
        if found is not None:
            datagrams.sendto(found, address)


async def tell(game):
    """Where the players are, for the view."""
    while True:
        print_line(**game.state())
        await asyncio.sleep(_TELL_S)


def stop(number, frame):
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    sys.stdout.reconfigure(line_buffering=True)
    try:
        asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
    except KeyboardInterrupt:
        pass
