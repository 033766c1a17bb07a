"""For an emulated board: a node that sends back what comes by TCP and UDP to port 7."""

import asyncio
import json

import board
from mpcore import NIC, aio

CONFIG = "bulb.secret.json"
PORT = 7
_MOST = 512


async def echo(reader, writer):
    while data := await reader.read(_MOST):
        writer.write(data)
        await writer.drain()
    await writer.aclose()


async def main(config):
    board.connect(config)
    nic = NIC(".", bind=config["bind"], validate=False, remember=True,
              send_ring=1024, receive_ring=2048)
    nic.active(True)
    nic.connect(config["network"])
    await nic.wait_connected()
    await aio.start_server(echo, None, PORT)
    datagrams = aio.Datagrams(port=PORT)
    print(json.dumps({"event": "serving", "address": nic.ifconfig()[0]}))
    while True:
        datagrams.sendto(*await datagrams.recvfrom())


def start():
    """Runs it."""
    with open(CONFIG) as file:
        config = json.load(file)
    asyncio.run(main(config))
