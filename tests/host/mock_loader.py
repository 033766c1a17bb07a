"""The boot loader of an ESP32 as a process, by esp32-mock-bootloader, with a flash that is a file.

    python mock_loader.py CHIP FLASH [--pty] [--flash-mb N] [--damage AT] [--early]
                                     [--cut-at N [--gone | --stall]]

Prints where it listens, a pyserial URL or a pseudo-terminal's path, and serves until it is killed.
FLASH has at every moment what is in flash. --damage: the byte at this address never takes what is
written. --early: an ESP32-C3 of a revision for which MicroPython is not built. --cut-at: once so
many bytes have been written to flash, the connection breaks, one time; with --gone the process
ends then, with --stall nothing answers any more.
"""

import argparse
import mmap
import os
import signal
import socket
import sys
import threading
from pathlib import Path

from esp32_mock_bootloader import protocol, registers, server

_MB = 1 << 20
_C3_REVISION = 0x60008844 + 12, 4 << 18     # of its efuses: v0.4, for which MicroPython is built


class Cut(OSError):
    """The cable is pulled."""


class Flash(server.FlashImage):
    def __init__(self, options):
        super().__init__()
        self.options = options
        self.written = 0
        path = Path(options.flash)
        if not path.exists():
            path.write_bytes(self.data)
        with open(path, "r+b") as file:
            self.data = mmap.mmap(file.fileno(), 0)

    def write_defl_block(self, payload):
        before = self._defl_offset
        super().write_defl_block(payload)
        self.written += self._defl_offset - before
        if self.options.damage is not None and before <= self.options.damage < self._defl_offset:
            self.data[self.options.damage] ^= 0x55
        if self.options.cut_at and self.written >= self.options.cut_at:
            self.options.cut_at = 0
            if self.options.gone:
                os._exit(0)
            if self.options.stall:
                print("stalled", flush=True)
                signal.pause()
            raise Cut("cut")


def serve(options):
    protocol.FLASH_MOCK_SIZE = options.flash_mb * _MB
    protocol.MOCK_FLASH_ID = (20 + options.flash_mb.bit_length() - 1) << 16 | 0x4020
    if not options.early:
        at, value = _C3_REVISION
        registers.rom_profile("esp32c3")[at] = value
    flash = Flash(options)
    stop = threading.Event()
    if options.pty:
        terminal = server.PtyMasterTransport.create()
        print(terminal.client_path, flush=True)
        connect = lambda: server.BootloaderConnection(pty=terminal)     # noqa: E731
    else:
        listener = socket.create_server(("127.0.0.1", 0))
        print(f"socket://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        connect = lambda: server.BootloaderConnection(sock=listener.accept()[0])    # noqa: E731
    while True:
        connection = connect()
        try:
            server.handle_client(connection, stop, options.chip, flash=flash)
        except Cut:
            connection.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("chip")
    parser.add_argument("flash")
    for name in ("--pty", "--early", "--gone", "--stall"):
        parser.add_argument(name, action="store_true")
    for name, default in (("--flash-mb", 4), ("--damage", None), ("--cut-at", 0)):
        parser.add_argument(name, type=lambda text: int(text, 0), default=default)
    sys.exit(serve(parser.parse_args()))
