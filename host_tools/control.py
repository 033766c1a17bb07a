"""A running node's control port: HTTP on 127.0.0.1, as zerotier-one has it.

The file `zerotier-one.port` in the home directory tells the port, `authtoken.secret` (readable by
its owner only) the token that a request carries in the header X-ZT1-Auth.

| request | answer |
|---|---|
| `GET /status` | address, online, networks and counters |
| `GET /network`, `GET /peer` | the lists of them |
| `POST /network/NWID` | join a network; `DELETE` leaves it |
| `GET /moon` | the moons that are followed or wanted |
| `POST /moon/ID` `{"seed": ADDR}` | follow a moon; `DELETE /moon/ID` forgets it |
| `POST /ping` `{"ip", "timeout_ms"}` | `{"ms"}` of one echo over the virtual network, null without an answer |
| `POST /lookup` `{"name", "type"}` | `{"data"}`: the data of a name's records, in hex |
| `GET /controller/network` | network records of a controller |
| `POST /controller/network/NWID` | make a network, or change it; `DELETE` removes it |
| `GET /controller/network/NWID/member` | member records of a network |
| `POST /controller/network/NWID/member/ADDR` | change a member; `DELETE` forgets it |
"""

import asyncio
import json

from microdot import Microdot, Request

from host_tools import home
from mpcore import crypto, dns, port as platform
from mpcore.dns import message
from mpcore.vl1 import inet

TOKEN_FILE = "authtoken.secret"
PORT_FILE = "zerotier-one.port"
HEADER = "X-ZT1-Auth"
_TOKEN_BYTES = 12
_PORTS = 64                 # tried in turn, beginning with that of the node's own UDP socket
_MAX_PING_MS = 60000
_MAX_BODY = 1 << 20         # a network's rules are long


def ensure_token(store):
    """The control token of a home directory, made at first."""
    token = store.load(TOKEN_FILE)
    if not token:
        token = platform.entropy(_TOKEN_BYTES).hex().encode()
        store.store(TOKEN_FILE, token)
    return token


def make_app(daemon):
    """The routes over one Daemon; `daemon.controller` is its Controller or None."""
    app = Microdot()
    Request.max_content_length = Request.max_body_length = _MAX_BODY
    token = ensure_token(daemon.port)

    @app.before_request
    async def authenticate(request):
        said = request.headers.get(HEADER, "").encode()
        if not crypto.constant_time_equal(token, said):
            return {"error": "wrong or missing control token"}, 401

    @app.get("/status")
    async def status(request):
        answer = daemon.status()
        answer["counters"] = daemon.counters()
        return answer

    @app.get("/network")
    async def networks(request):
        return daemon.status()["networks"]

    @app.post("/network/<nwid>")
    @_checked
    async def join(request, nwid):
        network = home.network_id(nwid)
        daemon.join(network)
        return daemon.network_status(network)

    @app.delete("/network/<nwid>")
    @_checked
    async def leave(request, nwid):
        return {"result": daemon.leave(home.network_id(nwid))}

    @app.get("/peer")
    async def peers(request):
        return daemon.peers()

    @app.get("/moon")
    async def moons(request):
        return daemon.moons()

    @app.post("/moon/<moon>")
    @_checked
    async def orbit(request, moon):
        daemon.orbit(home.moon_id(moon), home.address(str(_object(request).get("seed"))))
        return daemon.moons()

    @app.delete("/moon/<moon>")
    @_checked
    async def deorbit(request, moon):
        daemon.deorbit(home.moon_id(moon))
        return daemon.moons()

    @app.post("/ping")
    @_checked
    async def ping(request):
        asked = _object(request)
        ip = inet.ip_parse(str(asked.get("ip")))
        timeout_ms = min(max(int(asked.get("timeout_ms", 1000)), 1), _MAX_PING_MS)
        return {"ms": await daemon.ping(ip, timeout_ms)}

    @app.post("/lookup")
    @_checked
    async def lookup(request):
        asked = _object(request)
        name, kind = str(asked.get("name")), int(asked.get("type", message.A))
        try:
            return {"data": [data.hex() for data in await dns.records(daemon.runtime, name, kind)]}
        except OSError as error:
            raise ValueError("%s: %s" % (name, "no such name, or nothing of this type"
                                         if error.errno == -2 else "nobody can tell"))

    if daemon.controller is not None:
        _add_controller(app, daemon)
    return app


def _add_controller(app, daemon):
    controller, now = daemon.controller, daemon.runtime.now

    @app.get("/controller/network")
    async def networks(request):
        return list(controller.networks().values())

    @app.post("/controller/network/<nwid>")
    @_checked
    async def update_network(request, nwid):
        daemon.runtime.kick()
        network, fields = home.network_id(nwid), _object(request)
        if network in controller.networks():
            return controller.update_network(now(), network, fields)
        return controller.create_network(now(), fields, network)

    @app.delete("/controller/network/<nwid>")
    @_checked
    async def delete_network(request, nwid):
        daemon.runtime.kick()
        return controller.delete_network(now(), home.network_id(nwid))

    @app.get("/controller/network/<nwid>/member")
    @_checked
    async def members(request, nwid):
        return list(controller.members(home.network_id(nwid)).values())

    @app.post("/controller/network/<nwid>/member/<address>")
    @_checked
    async def update_member(request, nwid, address):
        daemon.runtime.kick()
        return controller.update_member(now(), home.network_id(nwid), home.address(address),
                                        _object(request))

    @app.delete("/controller/network/<nwid>/member/<address>")
    @_checked
    async def delete_member(request, nwid, address):
        daemon.runtime.kick()
        return controller.delete_member(now(), home.network_id(nwid), home.address(address))


def _checked(route):
    """The route, with a ValueError told to whoever asked."""
    async def checked(request, **arguments):
        try:
            return await route(request, **arguments)
        except ValueError as error:
            return {"error": str(error)}, 400
    return checked


def _object(request):
    """The JSON object that a request carries."""
    body = json.loads(request.body or b"{}")
    if not isinstance(body, dict):
        raise ValueError("a JSON object is needed")
    return body


async def serve(daemon):
    """Listen until cancelled. Without a usable loopback interface it says so and returns."""
    app = make_app(daemon)
    first = int.from_bytes(daemon.port.local[0][-2:], "big")
    for port in range(first, min(first + _PORTS, 65536)):
        daemon.port.store(PORT_FILE, str(port).encode())
        try:
            return await app.start_server("127.0.0.1", port)    # which swallows a cancellation
        except OSError:
            pass    # taken: the next one
    daemon.report(warning="no control port: nothing can be bound on 127.0.0.1")
