"""Unmodified Python programs over virtual networks: in this process by `Overlay`, in others by
`filament run`."""

import asyncio
import errno
import http.server
import json
import os
import platform
import random
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from importlib.metadata import version

import httpx
import pytest

from host_tools.desktop import Overlay
from tests.host.desktop import checks, services
from tests.host.desktop.checks import PATIENCE_S
from tests.host.desktop.scene import APPS, ROOT, free_port, program, with_services

OVERLAY, RUN = "Overlay", "filament run"


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    with with_services(tmp_path_factory.mktemp("desktop")) as scene:
        yield scene


@pytest.fixture(scope="module")
def there(scene):
    """The address of the services; this process is on the network too."""
    home = scene.node("here")
    with Overlay(home["home"], [scene.id], home["bind"], PATIENCE_S, loopback=True) as overlay:
        assert scene.address("here") in overlay.addresses
        yield scene.address("there")


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, PATIENCE_S))


def test_aiohttp_as_client_and_server(scene, there):
    with program("aiohttp", version("aiohttp"), OVERLAY, "client, WebSocket, IPv6"), \
            program("aiohttp", version("aiohttp"), RUN, "server, WebSocket, IPv6"):
        run(checks.with_aiohttp(scene))


def test_httpx_with_uvicorn_and_microdot(scene, there):
    with program("httpx", version("httpx"), OVERLAY, "AsyncClient"), \
            program("microdot", version("microdot"), RUN, "server"), \
            program("uvicorn", version("uvicorn"), RUN, "server"):
        run(checks.with_httpx(scene))


def test_streams_with_tls_and_datagrams(scene, there):
    with program("asyncio", platform.python_version(), OVERLAY, "streams, TLS, datagrams"):
        run(checks.with_tls(scene))
        run(checks.with_datagrams(scene))


def test_a_server_of_this_process_is_on_both_networks(scene, there):
    async def main():
        async def serve(reader, writer):
            writer.write(writer.get_extra_info("peername")[0].encode())
            writer.close()

        server = await asyncio.start_server(serve, "0.0.0.0", 0)
        port = server.sockets[0].getsockname()[1]
        for host in ("127.0.0.1", scene.address("here")):
            reader, writer = await asyncio.open_connection(host, port)
            assert (await reader.read()).decode() == host
            writer.close()
        server.close()
        await server.wait_closed()
        only = await asyncio.start_server(serve, scene.address("here"), port)
        assert only.sockets[0].getsockname() == (scene.address("here"), port)
        reader, writer = await asyncio.open_connection(scene.address("here"), port)
        assert (await reader.read()).decode() == scene.address("here")
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises(OSError) as raised:
            await asyncio.start_server(serve, scene.address("here"), port)
        assert raised.value.errno == errno.EADDRINUSE
        only.close()

    run(main())


def test_what_fails_fails_as_it_does_elsewhere(scene, there):
    async def main():
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(there, 9)

    run(main())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((there, 9), timeout=PATIENCE_S)
    with socket.socket() as sock:
        assert sock.connect_ex((there, 9)) == errno.ECONNREFUSED
    with socket.socket() as sock:
        sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            sock.connect(("10.73.1.250", 80))           # nobody has that address
    with socket.socket() as sock:
        with pytest.raises(OSError) as raised:
            sock.getpeername()
        assert raised.value.errno == errno.ENOTCONN
    with socket.socket() as sock:
        sock.bind((scene.address("here"), 0))
        with pytest.raises(OSError) as raised:
            sock.connect(("192.0.2.1", 80))
        assert raised.value.errno == errno.ENETUNREACH


def test_a_reset_is_told(scene, there):
    with socket.create_server((scene.address("here"), 0)) as listener:
        with socket.create_connection(listener.getsockname(), timeout=PATIENCE_S) as client:
            client.sendall(b"never read")
            peer, address = listener.accept()
            assert address == client.getsockname() and client.getpeername() == peer.getsockname()
            peer.recv(1, socket.MSG_PEEK)
            peer.close()                                # with data that was not read
            with pytest.raises(ConnectionResetError):
                while client.recv(100):
                    pass


def test_half_closed_and_slow(scene, there):
    """A reader that does not read stops the writer; one direction ends without the other."""
    with socket.create_server((scene.address("here"), 0)) as listener:
        with socket.create_connection(listener.getsockname(), timeout=PATIENCE_S) as client:
            peer, _ = listener.accept()
            client.setblocking(False)
            sent = 0
            try:
                while sent < 100 * len(services.LARGE):
                    sent += client.send(services.LARGE)
            except BlockingIOError:
                pass
            assert 0 < sent < 4 << 20
            received = 0
            client.shutdown(socket.SHUT_WR)
            while data := peer.recv(65536):
                received += len(data)
            assert received == sent
            peer.sendall(b"afterwards")
            peer.close()
            client.settimeout(PATIENCE_S)
            assert client.recv(100) == b"afterwards" and client.recv(100) == b""


def test_options_and_kinds_are_those_of_inet_sockets(there):
    with socket.create_connection((there, services.HTTP), timeout=PATIENCE_S) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN) == socket.AF_INET
        assert sock.family == socket.AF_INET and sock.type == socket.SOCK_STREAM
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        twin = sock.dup()
        assert twin.getpeername() == (there, services.HTTP)
        twin.close()


def test_blocking_programs_by_filament_run(scene, there):
    class Outside(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"outside")

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Outside) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = scene.filament("other", "run", "--", sys.executable, APPS / "clients.py", there,
                                 scene.certificate, server.server_address[1])
        with program("requests", version("requests"), RUN, "Session, threads"), \
                program("urllib, http.server", platform.python_version(), RUN, "client, server"), \
                program("httpx", version("httpx"), RUN, "Client"), \
                program("ssl", ssl.OPENSSL_VERSION.split()[1], RUN, "client, server"):
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stderr
            own = scene.address("other")
            assert json.loads(done.stdout)["clients"] == {
                "urllib": own, "requests": own, "httpx": own, "child": own, "outside": "outside",
                "ssl": "TLSv1.3", "select": "HTTP/1.0 200 OK", "udp": "connected",
                "refusal": "[Errno 111] Connection refused"}
        server.shutdown()


@pytest.mark.parametrize("code, expected", [
    ("import sys; sys.exit(7)", 7),
    ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15),
    ("import os, signal; os.kill(os.getppid(), signal.SIGUSR1); signal.pause()", -10)])
def test_the_exit_code_and_signals_pass_through(scene, code, expected):
    done = subprocess.run(scene.filament("other", "run", "--", "-c", code), cwd=ROOT, timeout=120)
    assert done.returncode == expected


FORKING = """
import os, socket, sys
listener = socket.create_server((sys.argv[1], 0))
print(listener.getsockname()[1], flush=True)
for _ in range(2):
    if not os.fork():
        peer, address = listener.accept()
        peer.sendall(address[0].encode())
        peer.close()
        os._exit(0)
os.wait(), os.wait()
"""


def test_a_server_may_fork(scene, there):
    own = scene.address("other")
    with subprocess.Popen(scene.filament("other", "run", "--", "-c", FORKING, own), cwd=ROOT,
                          stdout=subprocess.PIPE, text=True) as server:
        port = int(server.stdout.readline())
        for _ in range(2):
            with socket.create_connection((own, port), timeout=PATIENCE_S) as sock:
                assert sock.recv(100).decode() == scene.address("here")
        assert server.wait(PATIENCE_S) == 0


def test_worker_processes_take_connections_by_turns(scene, there):
    port = free_port()
    url = f"http://{scene.address('other')}:{port}/"
    end = time.monotonic() + PATIENCE_S

    def answer():
        while time.monotonic() < end:
            try:
                return httpx.get(url, timeout=PATIENCE_S).text
            except httpx.ConnectError:      # nobody listens yet
                time.sleep(0.05)
        raise AssertionError("nobody listens")

    with program("uvicorn --workers", version("uvicorn"), RUN, "server"), \
            scene.start("other", "run", "--", "-m", "uvicorn", "--workers", 2, "--host", "0.0.0.0",
                        "--port", port, "--log-level", "warning",
                        "tests.host.desktop.workers:asgi"):
        answers = {answer()}
        while len(answers) < 2 and time.monotonic() < end:
            answers.add(answer())
        assert len(answers) == 2
        # Both are there: now it is one after the other.
        assert {answer(), answer()} == answers


def test_without_its_node_a_program_gets_errors(scene, there):
    """Never the platform's network in the place of the virtual one."""
    code = f"""
import os, signal, socket
held = socket.create_connection(({there!r}, {services.HTTP}))
os.kill(os.getppid(), signal.SIGKILL)
for call in (lambda: held.recv(1), lambda: socket.create_connection(({there!r}, 80))):
    try:
        print(call())
    except OSError as error:
        print(error.errno)
"""
    done = subprocess.run(scene.filament("other", "run", "--", "-c", code), cwd=ROOT, text=True,
                          stdout=subprocess.PIPE, timeout=PATIENCE_S)
    assert done.returncode == -9
    assert done.stdout.split() == [str(errno.ENETDOWN)] * 2


def test_the_sitecustomize_of_somebody_else_is_run_too(scene, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.theirs = 'run'")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    code = "import socket, sys; print(sys.theirs, socket.getaddrinfo.__module__)"
    done = subprocess.run(scene.filament("other", "run", "--", "-c", code), cwd=ROOT, text=True,
                          capture_output=True, timeout=120)
    assert (done.stdout, done.stderr) == ("run filament_sockets.names\n", "")


def test_a_storm_of_connections_leaves_nothing_behind(scene, there):
    """Echoed, cut off by either side, half closed: afterwards there are as many descriptors as
    before."""
    draw = random.Random(1)

    async def serve(reader, writer):
        try:
            kind = await reader.readexactly(1)
            if kind == b"c":
                return writer.transport.abort()
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except (OSError, EOFError):
            pass
        writer.close()

    async def visit(address, kind):
        data = draw.randbytes(draw.randrange(100000))
        try:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(kind + data)
            if kind == b"a":
                return writer.transport.abort()
            if kind == b"h":
                writer.write_eof()
            received = await (reader.read() if kind in b"ch" else reader.readexactly(len(data)))
            assert kind == b"c" or received == data
            writer.close()
        except OSError:
            assert kind == b"c"

    async def storm(address, size):
        await asyncio.gather(*(visit(address, draw.choice([b"a", b"c", b"e", b"h"]))
                               for _ in range(size)))

    async def main():
        server = await asyncio.start_server(serve, scene.address("here"), 0)
        address = server.sockets[0].getsockname()
        before = open_descriptors() + 2         # of this thread's questions to the node
        for _ in range(3):
            await storm(address, 20)
        while open_descriptors() > before:
            await asyncio.sleep(0.05)
        server.close()

    run(main())


def open_descriptors():
    return len(os.listdir("/proc/self/fd"))
