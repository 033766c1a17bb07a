"""Programs of other people's making through `filament proxy` and `filament forward`."""

import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from importlib.metadata import version

import pytest
import requests
import socks as pysocks

from host_tools.loopback import Process
from tests.host.desktop.scene import Scene, free_port, program

PATIENCE_S = 120
PROXY, FORWARD = "filament proxy", "filament forward"
PAGE = "served by nginx\n" * 10000
NGINX = """
daemon off; master_process off; pid {0}/nginx.pid; error_log {0}/nginx-error.log;
events {{}}
http {{ access_log off; client_body_temp_path {0}; proxy_temp_path {0}; fastcgi_temp_path {0};
  uwsgi_temp_path {0}; scgi_temp_path {0};
  server {{ listen 127.0.0.1:{1}; root {0}/www; }} }}
"""
BROWSER_PAGE = """<!doctype html><title>none</title><script>
fetch("/page.txt").then(answer => answer.text()).then(text => { document.title = text.length; });
</script>"""


def tool(name, optional=False):
    """The path of a program from a Debian package. Where it is missing the test is skipped; on CI,
    which set-up has given all but the optional ones, it fails."""
    path = shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/bin")
    if path is None:
        assert optional or os.environ.get("CI") != "true", f"{name} is not installed"
        pytest.skip(f"{name} IS NOT INSTALLED")
    return path


def said(*command, timeout=PATIENCE_S, **options):
    """What a command prints; it must succeed."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True,
                          timeout=timeout, **options)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def version_of(*command):
    """The version that a program tells."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    return re.search(r"\d+(\.\d+)+", done.stdout + done.stderr).group()


@contextmanager
def serving(command, port, log):
    """A program that listens on 127.0.0.1."""
    with Process(list(map(str, command)), log) as process:
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                assert time.monotonic() < end, process.tail()
                time.sleep(0.02)
        yield


class Echo:
    """UDP echo on one address."""

    def __init__(self, family, host):
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self.address = self._socket.getsockname()[:2]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            data, address = self._socket.recvfrom(65536)
            self._socket.sendto(data, address)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    with Scene(tmp_path_factory.mktemp("programs"), ["there", "here", "proxy", "udp"]) as scene:
        yield scene


@pytest.fixture(scope="module")
def ports(scene):
    """Of programs behind "there"; the same on the virtual network and on 127.0.0.1."""
    ports = {name: free_port() for name in ("nginx", "redis", "iperf3")}
    reverse = [f"--reverse={port}=127.0.0.1:{port}" for port in ports.values()]
    with scene.start("there", "forward", "--json", *reverse) as forward:
        forward.wait_for("forwarding")
        yield ports


@pytest.fixture(scope="module")
def nginx(scene, ports):
    www = scene.directory / "www"
    www.mkdir()
    (www / "page.txt").write_text(PAGE)
    (www / "index.html").write_text(BROWSER_PAGE)
    config = scene.directory / "nginx.conf"
    config.write_text(NGINX.format(scene.directory, ports["nginx"]))
    with serving([tool("nginx"), "-c", config, "-e", scene.directory / "nginx-error.log"],
                 ports["nginx"], scene.directory / "nginx.log"):
        yield ports["nginx"]


@pytest.fixture(scope="module")
def here(scene, ports):
    """Ports of 127.0.0.1 that lead to the programs over the virtual network."""
    here = {name: free_port() for name in ports}
    forwards = [f"{here[name]}={scene.address('there')}:{port}" for name, port in ports.items()]
    with scene.start("here", "forward", "--json", *forwards) as forward:
        forward.wait_for("forwarding")
        yield here


@pytest.fixture(scope="module")
def proxy(scene, ports):
    """The port of a SOCKS5 proxy on 127.0.0.1."""
    with scene.start("proxy", "proxy", "--json", "--listen", "127.0.0.1:0") as process:
        yield process.wait_for("listening")["listening"][1]


def test_curl_through_the_proxy(scene, nginx, proxy):
    curl = tool("curl")
    with program("curl", version_of(curl, "--version"), PROXY,
                 "--proxy socks5h://… or socks5://…, IPv4, IPv6, names"):
        for host in (scene.address("there"), f"[{scene.address6('there')}]"):
            for scheme in ("socks5", "socks5h"):
                assert said(curl, "-sS", "--fail", "--proxy", f"{scheme}://127.0.0.1:{proxy}",
                            f"http://{host}:{nginx}/page.txt") == PAGE
        outside = said(curl, "-sS", "--fail", "--proxy", f"socks5h://127.0.0.1:{proxy}",
                       f"http://localhost:{nginx}/page.txt")
        assert outside == PAGE
        refused = subprocess.run(
            [curl, "-sS", "--proxy", f"socks5h://127.0.0.1:{proxy}",
             f"http://{scene.address('there')}:9/"], capture_output=True, timeout=PATIENCE_S)
        assert refused.returncode == 97         # the proxy says that there is no connection


def test_requests_through_the_proxy(scene, nginx, proxy):
    with program("requests[socks]", version("requests"), PROXY,
                 'proxies={"http": "socks5h://…"}'):
        proxies = {"http": f"socks5h://127.0.0.1:{proxy}"}
        answer = requests.get(f"http://{scene.address('there')}:{nginx}/page.txt", proxies=proxies,
                              timeout=PATIENCE_S)
        assert answer.text == PAGE


def test_udp_associate(scene, ports, proxy):
    """By one association to the virtual network and to the platform's, with PySocks."""
    echo = Echo(socket.AF_INET, "127.0.0.1")
    code = ("import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            "s.bind(('', 4000)); print('{\"bound\": true}', flush=True)\n"
            "while True: s.sendto(*s.recvfrom(65536))")
    with scene.start("udp", "run", "--", "-c", code) as server, \
            program("PySocks", version("pysocks"), PROXY, "UDP ASSOCIATE, IPv4, IPv6"):
        server.wait_for("bound")
        with pysocks.socksocket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.set_proxy(pysocks.SOCKS5, "127.0.0.1", proxy)
            client.settimeout(PATIENCE_S)
            client.bind(("", 0))
            for peer in ((scene.address("udp"), 4000), echo.address,
                         (scene.address6("udp"), 4000)):
                for data in (b"a datagram", bytes(1200)):
                    client.sendto(data, peer)
                    assert client.recvfrom(2000) == (data, peer)


def test_redis_by_forwards_both_ways(scene, ports, here):
    server, cli = tool("redis-server"), tool("redis-cli")
    command = [server, "--bind", "127.0.0.1", "--port", ports["redis"], "--save", "",
               "--dir", scene.directory]
    with serving(command, ports["redis"], scene.directory / "redis.log"), \
            program("redis-server, redis-cli", version_of(server, "--version"), FORWARD,
                    "set, get, 2000 pushes"):
        ask = [cli, "-p", here["redis"]]
        assert said(*ask, "set", "key", "x" * 100000) == "OK\n"
        assert said(*ask, "get", "key") == "x" * 100000 + "\n"
        many = "".join(f"rpush list {number}\n" for number in range(2000))
        assert said(*ask, input=many).split()[-1] == "2000"


def test_nginx_by_forwards_both_ways(nginx, here):
    with program("nginx", version_of(tool("nginx"), "-v"), FORWARD, "server"):
        for _ in range(3):
            answer = requests.get(f"http://127.0.0.1:{here['nginx']}/page.txt", timeout=PATIENCE_S)
            assert answer.text == PAGE


def test_iperf3_by_forwards_both_ways(scene, ports, here):
    iperf3 = tool("iperf3")
    command = [iperf3, "--server", "--bind", "127.0.0.1", "--port", ports["iperf3"]]
    with serving(command, ports["iperf3"], scene.directory / "iperf3.log"), \
            program("iperf3", version_of(iperf3, "--version"), FORWARD,
                    "server, client, --reverse"):
        for direction in ([], ["--reverse"]):
            report = json.loads(said(iperf3, "--client", "127.0.0.1", "--port", here["iperf3"],
                                     "--time", "2", "--json", *direction))
            assert report["end"]["sum_received"]["bytes"] > 0


def test_chromium_through_the_proxy(scene, nginx, proxy):
    """Only where the browser is: it is too big to be installed for this."""
    chromium = tool("chromium", optional=True)
    with program("Chromium", version_of(chromium, "--version"), PROXY,
                 "--headless --proxy-server=socks5://…"):
        page = said(chromium, "--headless", "--no-sandbox", "--disable-gpu",
                    f"--user-data-dir={scene.directory}/chromium",
                    f"--proxy-server=socks5://127.0.0.1:{proxy}", "--virtual-time-budget=30000",
                    "--dump-dom", f"http://{scene.address('there')}:{nginx}/")
        assert f"<title>{len(PAGE)}</title>" in page
