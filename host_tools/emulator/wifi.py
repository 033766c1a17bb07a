"""A Pico W with its Wi-Fi chip: the firmware's own network.WLAN and lwIP sockets, in rp2040py.

About twenty times slower than a board: right for what works, not for how fast. The network
behind the access point is this machine's loopback interface and nothing else.
"""

import asyncio
import base64
import socket
from unittest import mock

from rp2040py.boards import BOARDS, resolve_firmware
from rp2040py.device import MicroPythonDevice
from rp2040py.device.load_flash import load_uf2
from rp2040py.external.cyw43 import chip, nat, net

SSID = "RP2040PY-GUEST"
HOST = "10.0.0.1"       # as the guest knows this machine
START_S = 300
_CHUNK = 768            # bytes of a file in one statement
_FILES, _FLASH = 0x12C000, 0x200000     # where the file system is in the flash, and the flash ends


class HostBridge(nat.NatBridge):
    """The network behind the access point: ARP, DHCP, and UDP to ports of 127.0.0.1, which the
    guest sees at HOST. Everything else is dropped and counted.
    """

    def __init__(self, rp2040, queue_ethernet_frame):
        super().__init__(rp2040, queue_ethernet_frame)
        self.dropped = 0
        self._rp2040 = rp2040
        self._sockets = {}      # the guest's port: the socket that stands for it
        self._guest_mac = None

    def handle_outbound_ethernet_frame(self, frame):
        eth = net.parse_ethernet(frame)
        answer = eth and (self._arp.maybe_handle(eth) or self._dhcp.maybe_handle(eth))
        if answer:
            self._queue_ethernet_frame(answer)
            return
        ip = eth and eth.ethertype == net.ETHERTYPE_IPV4 and net.parse_ipv4(eth.payload)
        udp = ip and ip.proto == net.IP_PROTO_UDP and net.parse_udp(ip.payload)
        if not udp or ip.dst_ip != nat.GATEWAY_IP:
            self.dropped += 1
            return
        self._guest_mac = eth.src_mac
        self._socket(udp.src_port).sendto(udp.payload, ("127.0.0.1", udp.dst_port))

    def _socket(self, port):
        sock = self._sockets.get(port)
        if sock is None:
            sock = self._sockets[port] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.setblocking(False)
            sock.bind(("127.0.0.1", 0))
            self._rp2040.schedule_threadsafe(self._listen(sock, port))
        return sock

    async def _listen(self, sock, port):
        loop = asyncio.get_running_loop()
        while True:
            data, (_, source) = await loop.sock_recvfrom(sock, 2048)
            udp = net.pack_udp(nat.GATEWAY_IP, nat.GUEST_IP, source, port, data)
            ip = net.pack_ipv4(nat.GATEWAY_IP, nat.GUEST_IP, net.IP_PROTO_UDP, udp)
            self._queue_ethernet_frame(net.pack_ethernet(
                self._guest_mac, nat.GATEWAY_MAC, net.ETHERTYPE_IPV4, ip))


class WifiBoard:
    """`async with WifiBoard(firmware) as board`. firmware: path of the UF2. more: further UF2
    files in the flash. flash: what a Board has saved, of which the file system is taken.
    """

    def __init__(self, firmware, more=(), flash=None):
        spec = resolve_firmware(BOARDS["pico_w"], "micropython", str(firmware))
        with mock.patch.object(chip, "NatBridge", HostBridge):
            self._device = MicroPythonDevice(board=spec)
        for uf2 in more:
            load_uf2(uf2, self._device.mcu)
        if flash is not None:
            self._device.mcu.flash[_FILES:_FLASH] = flash.read_bytes()[_FILES:_FLASH]

    async def __aenter__(self):
        await self._device.astart(START_S)
        return self

    async def __aexit__(self, *error):
        self._device.stop()

    async def run(self, code, timeout_s=START_S):
        """Run code; returns what it printed. Raises RuntimeError with what went wrong."""
        out, error = await self._device.aexec(code, timeout_s)
        if error:
            raise RuntimeError(error.decode())
        return out.decode()

    async def copy(self, directory):
        """Copy what is in `directory` to the top of the board's file system."""
        await self.run("import os\nfrom binascii import a2b_base64 as d")
        for path in sorted(directory.rglob("*")):
            name = str(path.relative_to(directory))
            if path.is_dir():
                await self.run(f"os.mkdir({name!r})")
                continue
            data = path.read_bytes()
            await self.run(f"f = open({name!r}, 'wb')")
            for at in range(0, len(data), _CHUNK):
                await self.run(f"_ = f.write(d({base64.b64encode(data[at:at + _CHUNK])!r}))")
            await self.run("f.close()")
