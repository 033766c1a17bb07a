"""Each program and what it has to do."""

import importlib.metadata
import re
import shutil
import subprocess

import libraries
import stage
from host_tools import loopback, unix_port

SECONDS = 1800000000        # a time that no clock here shows


class Case:
    """program: its name; module: of libraries.py, or None for what every environment has;
    version() and run() -> figures raise loopback.Failure, OSError or SubprocessError."""

    def __init__(self, program, run, module=None, version=None):
        self.program = program
        self.module = module
        self.run = run
        self.version = version or (lambda: libraries.version(module))


def frozen(module):
    """The version of a module in the MicroPython of the environment."""
    def version():
        done = subprocess.run(
            [unix_port.executable(), "-c", f"import {module}; print({module}.__version__)"],
            text=True, capture_output=True, check=True)
        return done.stdout.strip()

    return version


def debian(program, *arguments):
    """The version that a program of Debian tells about itself."""
    def version():
        done = subprocess.run([tool(program), *arguments], text=True, capture_output=True)
        return re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)[0]

    return version


def tool(program):
    """The path of a program of Debian's. Raises loopback.Failure."""
    found = shutil.which(program, path="/usr/bin:/usr/sbin:/bin:/sbin")
    if found is None:
        raise loopback.Failure(f"{program} is not installed: `make setup` as root installs it")
    return found


def plan(on):
    """The cases on a Stage; they share its members and run in this order."""
    _, _, certificate, key = stage.certificate(on.directory / "tls")
    _, _, other, _ = stage.certificate(on.directory / "tls" / "other")
    web = on.stay("web", "web.py", certificate, key)
    microdot = lambda: importlib.metadata.version("microdot")  # noqa: E731

    def ntptime():
        return on.run("with_ntptime.py", on.stay("clock", "clock.py", SECONDS), SECONDS)

    return [
        Case("microdot", lambda: on.run("with_streams.py", web), version=microdot),
        Case("requests", lambda: on.run("with_requests.py", web), version=frozen("requests")),
        Case("aiohttp", lambda: on.run("with_aiohttp.py", web), "aiohttp"),
        Case("mip", lambda: on.run("with_mip.py", web, on.directory / "mip"),
             version=frozen("mip")),
        Case("ntptime", ntptime, "ntptime"),
        Case("ssl", lambda: on.run("with_ssl.py", web, 443, stage.NAME, certificate, other),
             version=frozen("ssl")),
    ]
