"""Each program and what it has to do."""

import importlib.metadata
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time

import libraries
import stage
from host_tools import loopback, unix_port

SECONDS = 1800000000        # a time that no clock here shows
IPERF3_PORT = 5201          # iperf3.py knows no other
MQTT_PORT = 1883
TLS_PORT = 8443
_READY_S = 10
_IPERF3_S = 2


class Case:
    """program: its name; run() -> figures. module: of libraries.py, or None for what every
    environment has; version(): of the program, by default what libraries.py says.

    Both raise loopback.Failure, OSError or SubprocessError, and libraries.Unavailable."""

    def __init__(self, program, run, module=None, version=None):
        self.program = program
        self.module = module
        self.run = run
        self.version = version or (lambda: libraries.version(module))


class Cases:
    """What the cases on one Stage share: web.py on the member of that name, and the members of
    this machine behind `filament forward`."""

    def __init__(self, on):
        self._on = on
        _, _, self._certificate, self._key = stage.certificate(on.directory / "tls")
        self._pem, self._key_pem, self._other, _ = stage.certificate(on.directory / "tls" / "2")
        self._web = on.stay("web", "web.py", self._certificate, self._key)
        self._desk = None

    def plan(self):
        """The cases, in the order in which they are to run."""
        run, web = self._on.run, self._web
        return [
            Case("microdot", lambda: run("with_streams.py", web), version=installed("microdot")),
            Case("requests", lambda: run("with_requests.py", web), version=frozen("requests")),
            Case("aiohttp", lambda: run("with_aiohttp.py", web), "aiohttp"),
            Case("uaiohttpclient", lambda: run("with_uaiohttpclient.py", web), "uaiohttpclient"),
            Case("async_websocket_client", lambda: run("with_websocket_client.py", web),
                 "async_websocket_client"),
            Case("mip", lambda: run("with_mip.py", web, self._on.directory / "mip"),
                 version=frozen("mip")),
            Case("ntptime", self._ntptime, "ntptime"),
            Case("ssl, client and server", self._ssl, version=frozen("ssl")),
            Case("ssl, server of OpenSSL's client", self._ssl_server, version=openssl),
            Case("ssl, client of OpenSSL's server", self._ssl_client, version=openssl),
            Case("umqtt.simple with mosquitto", self._umqtt, "umqtt"),
            Case("iperf3.py, client of iperf3", self._iperf3_client, "iperf3"),
            Case("iperf3.py, client of iperf3, reverse",
                 lambda: self._iperf3_client("reverse"), "iperf3"),
            Case("iperf3.py, server of iperf3", self._iperf3_server, "iperf3"),
        ]

    def _ntptime(self):
        clock = self._on.stay("clock", "clock.py", SECONDS)
        return self._on.run("with_ntptime.py", clock, SECONDS)

    def _ssl(self):
        return self._on.run("with_ssl.py", self._web, 443, stage.NAME, self._certificate,
                            self._other)

    # --- with this machine's programs, through `filament forward` ---

    def _forward(self):
        """The virtual address of this machine; `_ports` are those of 127.0.0.1 by name."""
        if self._desk is None:
            guest = self._on.addresses["guest"]
            names = ["mqtt", "iperf3", "tls", "guest iperf3", "web tls"]
            self._ports = dict(zip(names, loopback.free_ports(names, socket.SOCK_STREAM)))
            self._desk = self._on.forward(
                [f"{self._ports['guest iperf3']}={guest}:{IPERF3_PORT}",
                 f"{self._ports['web tls']}={self._web}:443"],
                [f"{MQTT_PORT}={self._ports['mqtt']}", f"{TLS_PORT}={self._ports['tls']}",
                 f"{IPERF3_PORT}={self._ports['iperf3']}"])
        return self._desk

    def _ssl_server(self):
        self._forward()
        context = ssl.create_default_context(cadata=self._certificate.read_bytes())
        with socket.create_connection(("127.0.0.1", self._ports["web tls"]), _READY_S) as plain, \
                context.wrap_socket(plain, server_hostname=stage.NAME) as stream:
            figures = {"protocol": stream.version()}
            stream.sendall(b"GET /large HTTP/1.0\r\n\r\n")
            with stream.makefile("rb") as file:
                head, _, body = file.read().partition(b"\r\n\r\n")
        if b" 200 " not in head or body != b"0123456789" * 10000:
            raise loopback.Failure(f"HTTPS gave {head} and {len(body)} bytes")
        return figures

    def _ssl_client(self):
        desk = self._forward()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._pem, self._key_pem)
        with socket.create_server(("127.0.0.1", self._ports["tls"])) as listener:
            threading.Thread(target=_answer, args=(listener, context), daemon=True).start()
            return self._on.run("with_ssl.py", desk, TLS_PORT, stage.NAME, self._other,
                                self._certificate)

    def _umqtt(self):
        desk = self._forward()
        port = self._ports["mqtt"]
        file = self._on.directory / "mosquitto.conf"
        file.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
        self._on.background("mosquitto", [tool("mosquitto"), "-c", str(file)])
        _listening(port)
        return self._on.run("with_umqtt.py", desk, MQTT_PORT) | {
            "mosquitto": version_of("mosquitto", "-h")}

    def _iperf3_client(self, *direction):
        desk = self._forward()
        port = self._ports["iperf3"]
        with loopback.Process([tool("iperf3"), "-s", "-1", "-B", "127.0.0.1", "-p", str(port)],
                              self._on.directory / "iperf3.log") as server:
            _listening(port, server)
            self._on.run("with_iperf3.py", "client", desk, *direction)
            return _rates(server.tail())

    def _iperf3_server(self):
        self._forward()
        with self._on.start("guest", "with_iperf3.py", "server") as guest:
            guest.wait_for("serving")
            done = subprocess.run(
                [tool("iperf3"), "-c", "127.0.0.1", "-p", str(self._ports["guest iperf3"]),
                 "-t", str(_IPERF3_S)], text=True, capture_output=True, timeout=60)
            if done.returncode:
                raise loopback.Failure(done.stdout + done.stderr)
            guest.wait_for("works")
            return _rates(done.stdout)


def _answer(listener, context):
    """Serve HTTPS to whoever comes, until the listener is closed."""
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return
        try:
            with context.wrap_socket(plain, server_side=True) as stream:
                stream.recv(1000)
                stream.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello tls")
        except OSError:
            pass            # a client that does not trust us


def _listening(port, server=None):
    """Wait until somebody listens on a port of loopback, without connecting to it."""
    end = time.monotonic() + _READY_S
    wanted = f" 0100007F:{port:04X} 00000000:0000 0A "
    while wanted not in _sockets():
        if time.monotonic() > end:
            raise loopback.Failure(f"nobody listens on {port}: {server and server.tail()}")
        time.sleep(0.02)


def _sockets():
    with open("/proc/net/tcp") as file:
        return file.read()


def _rates(text):
    """Mbit/s by who says so, from what iperf3 writes."""
    found = re.findall(r"([\d.]+) ([KMG]?)bits/sec.*?(sender|receiver)", text)
    scale = {"K": 1e-3, "": 1e-6, "M": 1, "G": 1000}
    if not found:
        raise loopback.Failure(f"iperf3 says no rate: {text}")
    return {f"{who}_Mbit_s": round(float(rate) * scale[unit], 2) for rate, unit, who in found}


# --- versions ----------------------------------------------------------------------------------


def installed(package):
    return lambda: importlib.metadata.version(package)


def frozen(module):
    """The version of a module in the MicroPython of the environment."""
    def version():
        done = subprocess.run(
            [unix_port.executable(), "-c", f"import {module}; print({module}.__version__)"],
            text=True, capture_output=True, check=True)
        return done.stdout.strip()

    return version


def openssl():
    return ssl.OPENSSL_VERSION.split()[1]


def version_of(program, *arguments):
    """What a program of Debian's says about itself."""
    done = subprocess.run([tool(program), *arguments], text=True, capture_output=True)
    return re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)[0]


def tool(program):
    """The path of a program of Debian's. Raises libraries.Unavailable."""
    found = shutil.which(program, path="/usr/bin:/usr/sbin:/bin:/sbin")
    if found is None:
        raise libraries.Unavailable(f"NO {program.upper()}: `make setup` AS ROOT INSTALLS IT")
    return found
