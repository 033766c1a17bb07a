"""The Pico W's own board file and the board's port, over the firmware's network.WLAN and lwIP."""

import asyncio
import contextlib
import json
import socket
import threading

from rp2040py.external.cyw43 import nat, net

from host_tools.emulator import files, provisions, wifi

BURST = 20

# One script, as every statement costs the slow emulator dearly.
SCRIPT = """
import board, json
board.connect({"ssid": %r})
board.led().value(1)
from mpcore.port import Port, now_ms
port = Port("home", "0.0.0.0:9993")
host = bytes([10, 0, 0, 1]) + (%d).to_bytes(2, "big")
port.store("deep/blob.secret", bytes(300))
said, sizes = {"endpoints": [each.hex() for each in port.endpoints()],
               "stored": port.load("deep/blob.secret") == bytes(300), "names": port.names()}, []
sources = []
class Take:
    def receive(self, now, endpoint, buf, off, n): sizes.append(n); sources.append(endpoint)
    def foremost(self, data): return True
take = Take()
def listen(ms):
    end = now_ms() + ms
    while now_ms() < end and port.counters["received"] < len(wanted):
        port.wait(50); port.drain(take, now_ms)
wanted = [1, 64, 1400, 1472]
for n in wanted:
    port.send(host, bytes(n), 0, n); port.wait(2000); port.drain(take, now_ms)
said["echoed"] = sizes[:]
said["one_source"] = all([each is sources[0] for each in sources]) and sources[0] == host
wanted = range(4 + %d)
port.send(host, b"burst", 0, 5); listen(300)
said["of_burst"] = len(sizes) - 4
port.send(host, b"after", 0, 5); port.wait(2000); port.drain(take, now_ms)
said["after_burst"] = sizes[-1]
said["counters"] = port.counters
print(json.dumps(said))
"""


@contextlib.contextmanager
def echo():
    """A UDP port of this machine that sends everything back, and a burst when asked for one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def serve():
            while True:
                data, source = sock.recvfrom(2048)
                if data == b"stop":
                    return
                for _ in range(BURST if data == b"burst" else 1):
                    sock.sendto(data, source)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.sendto(b"stop", sock.getsockname())
            thread.join()


def test_the_port_over_wifi(tmp_path):
    # One test, as the slow emulator takes most of a minute for it.
    firmware, _ = provisions.provide(tmp_path)
    port = {on_board: source for on_board, source in files.core().items()
            if on_board.startswith(("mpcore/port/", "mpcore/limits", "mpcore/octets",
                                    "mpcore/fallback", "mpcore/__init__"))}
    files.build(tmp_path / "files", port | {
        "board.py": "boards/board.py", "facts.py": "boards/rp2_pico_w/facts.py"})

    async def run(udp_port):
        async with wifi.WifiBoard(firmware) as board:
            await board.copy(tmp_path / "files")
            return await board.run(SCRIPT % (wifi.SSID, udp_port, BURST))

    with echo() as udp_port:
        said = json.loads(asyncio.run(run(udp_port)))
    assert said["endpoints"] == ["0a000002" + "2709"]
    assert said["echoed"] == [1, 64, 1400, 1472]
    assert said["one_source"]
    assert 1 <= said["of_burst"] <= BURST       # this firmware's queue holds four
    assert said["after_burst"] == len(b"after")
    assert said["counters"]["send_failed"] == said["counters"]["receive_failed"] == 0
    assert said["stored"] and said["names"] == ["deep/blob.secret"]


def test_the_network_behind_the_access_point_is_the_loopback_interface():
    class Board:
        def schedule_threadsafe(self, coroutine):
            coroutine.close()

    answers = []
    bridge = wifi.HostBridge(Board(), answers.append)

    def send(ip, protocol, segment):
        packet = net.pack_ipv4(nat.GUEST_IP, ip, protocol, segment)
        bridge.handle_outbound_ethernet_frame(net.pack_ethernet(
            nat.GATEWAY_MAC, bytes(6), net.ETHERTYPE_IPV4, packet))

    elsewhere = bytes([192, 0, 2, 1])
    send(elsewhere, net.IP_PROTO_UDP, net.pack_udp(nat.GUEST_IP, elsewhere, 9993, 53, b"?"))
    send(elsewhere, net.IP_PROTO_TCP, net.pack_tcp(
        nat.GUEST_IP, elsewhere, 1024, 80, seq=0, ack=0, flags=net.TCP_SYN, window=100))
    send(nat.GATEWAY_IP, net.IP_PROTO_TCP, net.pack_tcp(
        nat.GUEST_IP, nat.GATEWAY_IP, 1024, 80, seq=0, ack=0, flags=net.TCP_SYN, window=100))
    assert bridge.dropped == 3 and not answers

    with echo() as port:
        send(nat.GATEWAY_IP, net.IP_PROTO_UDP,
             net.pack_udp(nat.GUEST_IP, nat.GATEWAY_IP, 9993, port, b"hello"))
        (sock,) = bridge._sockets.values()
        sock.settimeout(10)
        assert sock.recvfrom(100) == (b"hello", ("127.0.0.1", port))
        sock.close()
