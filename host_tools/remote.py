"""Talks to a running node over its control port (host_tools/control.py)."""

import json
import urllib.error
import urllib.request
from pathlib import Path

from host_tools.control import HEADER, PORT_FILE, TOKEN_FILE


class Control:
    """The control port of the node whose home directory this is.

    Raises ValueError with a sentence when no node runs there or it refuses what it is asked.
    """

    def __init__(self, directory):
        self._directory = directory
        try:
            self._token = Path(directory, TOKEN_FILE).read_text()
            self._port = int(Path(directory, PORT_FILE).read_text())
        except FileNotFoundError as error:
            raise self._not_running() from error

    def get(self, path):
        """The answer to a GET."""
        return self._ask(path, None)

    def post(self, path, body, timeout=10):
        """The answer to a POST of a JSON object. timeout: seconds."""
        return self._ask(path, json.dumps(body).encode(), timeout)

    def delete(self, path):
        """The answer to a DELETE."""
        return self._ask(path, None, method="DELETE")

    def network(self, nwid=None):
        """A network of the controller here: nwid, or None for the only one that there is."""
        if nwid is not None:
            return nwid
        known = [network["id"] for network in self.get("/controller/network")]
        if len(known) != 1:
            raise ValueError("name the network with --network, one of " + ", ".join(known))
        return known[0]

    def _ask(self, path, data, timeout=10, method=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}{path}", data,
            {HEADER: self._token, "Content-Type": "application/json"}, method=method)
        # A proxy that the environment names has no business with this machine's own ports.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=timeout) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise ValueError(_reason(error)) from error
        except OSError as error:
            raise self._not_running() from error

    def _not_running(self):
        return ValueError(f"no node runs with the home directory {self._directory}")


def _reason(error):
    """What the node says about a request that it refuses."""
    try:
        return json.loads(error.read())["error"]
    except (ValueError, KeyError, TypeError):
        return f"the node answers with status {error.code}"
