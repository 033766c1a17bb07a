"""Runs one test file of MicroPython, or one instance of it, over a virtual network.

    FILAMENT_TEST='{"test": FILE, "instance": 0, ...}' micropython …/conformance/instance.py

The test finds `multitest` and `nic` among its globals, as MicroPython's own runner has it, and
sockets of both networks as `socket`. "stock": leave everything as the platform has it.
"""

import json
import os
import select
import sys

# Of the environment: MicroPython's command line takes no argument of more than 255 bytes.
CONFIG = "FILAMENT_TEST"
_JOIN_MS = 20000
_DELIVER_MS = 2000          # at most, to end connections
_RESOLVE_MS = 300           # at least, for datagrams whose destination is being looked up


class Multitest:
    """How the instances of a test talk: by lines of standard output and input."""

    def __init__(self, drive, address):
        self._drive = drive
        self._address = address

    def say(self, *words):
        print(*words)
        self.flush()

    def flush(self):
        if hasattr(sys.stdout, "flush"):
            sys.stdout.flush()

    def skip(self):
        self.say("SKIP")
        raise SystemExit

    def next(self):
        self.say("NEXT")

    def broadcast(self, msg):
        self.say("BROADCAST", msg)

    def wait(self, msg):
        poller = select.poll()
        poller.register(sys.stdin, select.POLLIN)
        while True:
            while self._drive is not None and not poller.poll(0):
                self._drive()
            line = sys.stdin.readline()
            if not line:
                raise SystemExit        # the runner is gone
            if line.rstrip() == "BROADCAST " + msg:
                return

    def globals(self, **values):
        for name in values:
            print("SET {} = {!r}".format(name, values[name]))
        self.flush()

    def get_network_ip(self):
        return self._address

    def expect_reboot(self, resume, delay_ms=0):
        self.say("WAIT_FOR_REBOOT", resume, delay_ms)

    def output_metric(self, data):
        self.say("OUTPUT_METRIC", data)


def _join(config):
    """An active NIC that has its address."""
    import mpcore
    from mpcore.port import now_ms
    nic = mpcore.NIC(config["home"], config["bind"], loopback=True)
    nic.active(True)
    nic.connect(config["network"])
    end = now_ms() + _JOIN_MS
    while not nic.isconnected():
        if now_ms() > end:
            raise SystemExit("no network: " + nic.status("name"))
        nic.runtime.step(100)
    mpcore.interpose()
    return nic


def _deliver(nic):
    """Let the other end have what was sent, as the system does after a program's end."""
    from mpcore.ip.connection import TIME_WAIT
    from mpcore.port import now_ms
    ended = now_ms()
    while now_ms() < ended + _RESOLVE_MS or now_ms() < ended + _DELIVER_MS and any(
            connection.state != TIME_WAIT
            for connection in nic.node.stack.tcp.connections.values()):
        nic.runtime.step(50)


def main(config):
    nic = None
    space = {"__name__": "__main__", "__file__": config["test"]}
    if config.get("stock"):
        space["multitest"] = Multitest(None, "127.0.0.1")
    else:
        nic = _join(config)
        space["multitest"] = Multitest(lambda: nic.runtime.step(5), nic.ifconfig()[0])
        space["nic"] = nic
    with open(config["test"]) as file:
        source = file.read()
    try:
        exec(config.get("globals", ""), space)
        exec(source, space)
        if config.get("instance") is not None:
            space["instance%d" % config["instance"]]()
        space["multitest"].flush()
    except Exception as error:
        if hasattr(sys, "print_exception"):
            sys.print_exception(error)
        else:
            import traceback
            traceback.print_exc()
        sys.exit(1)
    finally:
        if nic is not None:
            _deliver(nic)


if __name__ == "__main__":
    sys.path.pop(0)         # this directory
    main(json.loads(os.getenv(CONFIG)))
