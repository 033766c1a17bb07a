"""`filament run`, `proxy` and `forward`: names of a network, logins, and how they refuse."""

import socket
import subprocess
import sys

import pytest
import requests

from host_tools.desktop import Overlay
from tests.host.desktop.scene import ROOT, Scene

PATIENCE_S = 120
DOMAIN = "filament.example"
# A DNS server and a web server on one virtual address, for names of the network.
SERVER = """
import http.server, json, socket, sys, threading
import dns.message, dns.rrset

def answer_names():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((sys.argv[1], 53))
        print(json.dumps({"ready": True}), flush=True)
        while True:
            data, address = server.recvfrom(512)
            answer = dns.message.make_response(dns.message.from_wire(data))
            name = answer.question[0].name
            if name.labels[0] == b"web" and answer.question[0].rdtype == 1:
                answer.answer.append(dns.rrset.from_text(name, 60, "IN", "A", sys.argv[1]))
            elif name.labels[0] != b"web":
                answer.set_rcode(3)
            server.sendto(answer.to_wire(), address)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.headers["Host"].encode())

server = http.server.ThreadingHTTPServer((sys.argv[1], 80), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
answer_names()
"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    members = ["there", "here", "proxy", "out", "new"]
    with Scene(tmp_path_factory.mktemp("commands"), members) as scene:
        there = scene.address("there")
        scene.change("", {"dns": {"domain": DOMAIN, "servers": [there]}})
        with scene.start("there", "run", "--", "-c", SERVER, there) as server:
            server.wait_for("ready")
            yield scene


def refused(*command):
    """What a command that fails with exit code 1 says, in one line."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 1, (done.stdout, done.stderr)
    return " ".join(done.stderr.replace("│", " ").split())


def test_names_of_the_network(scene):
    node, name = scene.node("here"), "web." + DOMAIN
    for _ in range(2):      # a process may have one node after another
        with Overlay(node["home"], [scene.id], node["bind"], PATIENCE_S, loopback=True):
            assert socket.gethostbyname(name) == scene.address("there")
    assert "filament" not in socket.getaddrinfo.__module__
    with Overlay(node["home"], [scene.id], node["bind"], PATIENCE_S, loopback=True):
        assert socket.gethostbyname(name) == scene.address("there")
        assert requests.get(f"http://{name}/", timeout=PATIENCE_S).text == name
        with pytest.raises(socket.gaierror):
            socket.getaddrinfo("nobody." + DOMAIN, 80)
        assert socket.getaddrinfo("localhost", 80)


def test_the_proxy_knows_names_and_wants_its_login(scene, tmp_path):
    login = tmp_path / "login"
    login.write_text("somebody:a secret\n")
    with scene.start("proxy", "proxy", "--json", "--listen", "127.0.0.1:0", "--login-file",
                     login) as process:
        port = process.wait_for("listening")["listening"][1]
        url = f"http://web.{DOMAIN}/"

        def get(user):
            return requests.get(url, timeout=PATIENCE_S,
                                proxies={"http": f"socks5h://{user}127.0.0.1:{port}"}).text

        assert get("somebody:a%20secret@") == f"web.{DOMAIN}"
        for user in ("somebody:a@", "nobody:a%20secret@", ""):
            with pytest.raises(requests.ConnectionError):
                get(user)
        assert "already" in refused(*scene.filament("proxy", "forward", "8080=10.73.1.10:80"))


def test_a_proxy_for_others_wants_a_login(scene):
    words = refused(*scene.filament("out", "proxy", "--listen", "0.0.0.0:1080"))
    assert "--login-file" in words and "--without-login" in words


@pytest.mark.parametrize("arguments, words", [
    (["forward"], "name a port to forward"),
    (["forward", "8080"], "is not LISTEN=TARGET"),
    (["forward", "8080=::1:80"], "[address]:port"),
    (["forward", "--reverse", "10.73.1.99:80=80"], "no address of this node"),
    (["proxy", "--listen", "here"], "is not [HOST:]PORT"),
    (["proxy", "--login-file", "/dev/null"], "USER:PASSWORD is needed")])
def test_refusals_say_what_is_wrong(scene, arguments, words):
    assert words in refused(*scene.filament("out", *arguments))


def test_who_is_not_let_in_is_told_what_to_do(scene):
    address = scene.identity("new").address.hex()
    scene.change("", {"private": True})
    scene.change(f"/member/{address}", {"authorized": False})
    command = scene.filament("new", "run", "--", "true")
    try:
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
            words = process.stderr.readline()
            process.terminate()
        assert words.startswith("waiting:") and f"filament authorize {address}" in words
        words = refused(*scene.filament("new", "run", "--wait", "0.01", "--", "true"))
        assert f"network {scene.id}" in words
    finally:
        scene.change("", {"private": False})


def test_without_a_network_there_is_nothing_to_run_on(scene, tmp_path):
    (tmp_path / "planet").write_bytes((scene.home("out") / "planet").read_bytes())
    for name in ("identity.secret", "identity.public"):
        (tmp_path / name).write_bytes((scene.home("out") / name).read_bytes())
    words = refused(sys.executable, "-m", "host_tools", "run", "--home", tmp_path, "--", "true")
    assert "--join" in words


def test_what_cannot_be_run(scene):
    done = subprocess.run(scene.filament("here", "run", "--", "no-such-program"), cwd=ROOT,
                          capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 127 and "no such program" in done.stderr
