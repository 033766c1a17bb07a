"""What is plugged into this machine: serial ports, and what may be behind them."""

from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

from serial.tools import list_ports

from host_tools.device import link, probe

ADAPTER = "adapter"         # beside the modes of facts.USB_MODES: what is behind it is unknown
# Makers' numbers of what sits between USB and an ESP32 without USB of its own.
ADAPTERS = {(0x10C4, 0xEA60): "CP210x", (0x1A86, 0x7523): "CH340", (0x1A86, 0x55D4): "CH9102",
            (0x0403, 0x6001): "FT232R", (0x0403, 0x6015): "FT231X"}

# boards: names of those that it may be. mode: of facts.USB_MODES, ADAPTER, or None.
Port = namedtuple("Port", "device description vid pid serial_number boards mode")


def plugged_in(known, comports=list_ports.comports):
    """The Ports of this machine, those first that may be one of the boards `known`."""
    found = [_port(known, one) for one in comports()]
    return sorted(found, key=lambda port: (not port.boards, port.device))


def _port(known, one):
    numbers = (one.vid, one.pid)
    if numbers in ADAPTERS:
        boards = [board.board for board in known.values() if board.esptool_chip is not None]
        return Port(one.device, ADAPTERS[numbers], *numbers, one.serial_number, boards, ADAPTER)
    modes = {board.board: mode for board in known.values()
             for *usb_id, mode in board.usb_ids if tuple(usb_id) == numbers}
    description = "" if one.description in (None, "n/a") else one.description
    return Port(one.device, description, *numbers, one.serial_number, list(modes),
                next(iter(modes.values()), None))


def look(device):
    """The probe.Probe of what runs behind a port.

    A program that runs there is interrupted, and started anew by a soft reset. What does not
    answer has got four bytes, and costs three seconds. Raises link.LinkError: Silent where
    nothing answers.
    """
    with link.open_link(device, attempts=1) as board:
        found = probe.read(board)
        if board.serial:
            board.restart()
    return found


def look_at_all(devices):
    """{device: Probe or the LinkError}, all of them looked at at the same time."""
    def one(device):
        try:
            return look(device)
        except link.LinkError as error:
            return error

    with ThreadPoolExecutor(max(1, len(devices))) as pool:
        return dict(zip(devices, pool.map(one, devices), strict=True))
