"""Blocking clients of other people's making, none of which knows of Filament.

    python clients.py HOST CERTIFICATE OUTSIDE

OUTSIDE: port of an HTTP server on 127.0.0.1. Prints what was found as JSON.
"""

import json
import select
import socket
import ssl
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import httpx
import requests

from services import BLOCKING_TLS, HTTP, LARGE, TLS, UDP, UVICORN


def with_urllib(host):
    url = f"http://{host}:{HTTP}"
    assert urllib.request.urlopen(url + "/large", timeout=60).read() == LARGE
    return urllib.request.urlopen(url + "/", timeout=60).read().decode()


def with_requests(host):
    with requests.Session() as session:
        for _ in range(3):
            answer = session.post(f"http://{host}:{UVICORN}/", data=LARGE[:100000], timeout=60)
            assert answer.content == LARGE[99999::-1]
        with ThreadPoolExecutor(4) as pool:
            found = set(pool.map(lambda _: session.get(f"http://{host}:{UVICORN}/",
                                                       timeout=60).text, range(8)))
    answer, = found
    return answer


def with_httpx(host):
    with httpx.Client(timeout=60) as client:
        return client.get(f"http://{host}:{HTTP}/").text


def with_ssl(host, certificate):
    context = ssl.create_default_context(cafile=certificate)
    for port in (TLS, BLOCKING_TLS):
        with socket.create_connection((host, port), timeout=60) as plain:
            with context.wrap_socket(plain, server_hostname="filament.test") as sock:
                for start in range(0, 300000, 30000):
                    data, received = LARGE[start:start + 30000], b""
                    sock.sendall(data)
                    while len(received) < len(data):
                        received += sock.recv(65536)
                    assert received == data
                version = sock.version()
    return version


def with_select(host):
    """A connection that does not block, as event loops of any kind make them."""
    with socket.socket() as sock:
        sock.setblocking(False)
        assert sock.connect_ex((host, HTTP)) == 115     # EINPROGRESS
        _, writable, _ = select.select([], [sock], [], 60)
        assert writable and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        assert sock.getpeername() == (host, HTTP)
        sock.send(b"GET / HTTP/1.0\r\n\r\n")
        select.select([sock], [], [], 60)
        return sock.recv(65536).split(b"\r\n")[0].decode()


def with_udp(host):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(60)
        sock.sendto(b"unconnected", (host, UDP))
        assert sock.recvfrom(100) == (b"unconnected", (host, UDP))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))                # the platform's, by the same socket
            sock.sendto(b"outside", other.getsockname())
            data, address = other.recvfrom(100)
            other.sendto(data[::-1], address)
            assert sock.recvfrom(100) == (b"edistuo", other.getsockname())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(60)
        sock.connect((host, UDP))
        sock.send(b"connected")
        return sock.recv(100).decode()


def refusal(host):
    try:
        socket.create_connection((host, 9), timeout=60)
    except ConnectionRefusedError as error:
        return str(error)


def with_fork(host):
    """A child process on a connection of its parent, and with one of its own."""
    code = f"import urllib.request as r; print(r.urlopen('http://{host}:{HTTP}/').read().decode())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          timeout=60).stdout.strip()


def main(host, certificate, outside):
    print(json.dumps({"clients": {
        "urllib": with_urllib(host), "requests": with_requests(host), "httpx": with_httpx(host),
        "ssl": with_ssl(host, certificate), "select": with_select(host), "udp": with_udp(host),
        "refusal": refusal(host), "child": with_fork(host),
        "outside": requests.get(f"http://127.0.0.1:{outside}/", timeout=60).text}}))


if __name__ == "__main__":
    main(*sys.argv[1:])
