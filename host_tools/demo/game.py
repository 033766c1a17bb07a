"""One instance of the game: its REST API, its event stream, its answer to who is looking for it.

| request | answer |
|---|---|
| `GET /players` | `{"game", "size", "players": [{"name", "x", "y"}]}` |
| `POST /token` `{"client", "secret"}` | `{"token", "expires_in"}` (seconds), 401 for a wrong secret |
| `GET /near?x=&y=&radius=` with `Authorization: Bearer TOKEN` | an event stream; 401 for a wrong or expired token |

The stream (Server-Sent Events) begins with `snapshot` `{"count"}`; `near` `{"player", "near",
"count", "changed_ns"}` follows whenever a player enters or leaves the circle, `changed_ns` being the
wall clock at the change of position. A comment every second shows that the game lives. The stream
ends when the token expires.

A datagram `{"looking_for": "game"}` to UDP port DISCOVERY_PORT, broadcast or not, is answered with
`{"game", "port"}`.
"""

import asyncio
import hmac
import json
import secrets
import time

from microdot import Microdot, abort
from microdot.auth import TokenAuth
from microdot.sse import with_sse

from host_tools.demo.world import SIZE, Watch

HTTP_PORT = 80
DISCOVERY_PORT = 7300
HEARTBEAT_S = 1
MOVE_S = 0.05        # every player moves once in this time


class Tokens:
    """Bearer tokens for third-party clients, each good for a while."""

    def __init__(self, clients, lifetime_s, clock=time.monotonic):
        """clients: dict of client name to secret. lifetime_s: seconds a token is good for."""
        self.lifetime_s = lifetime_s
        self._clients = clients
        self._clock = clock
        self._expiry = {}

    def issue(self, client, secret):
        """A new token, or None for an unknown client or a wrong secret."""
        known = self._clients.get(client, "")
        if not known or not hmac.compare_digest(known.encode(), str(secret).encode()):
            return None
        now = self._clock()
        self._expiry = {token: end for token, end in self._expiry.items() if end > now}
        token = secrets.token_urlsafe(24)
        self._expiry[token] = now + self.lifetime_s
        return token

    def remaining_s(self, token):
        """Seconds the token is still good for; 0 when unknown or expired."""
        return max(0, self._expiry.get(token, 0) - self._clock())


class Game:
    def __init__(self, name, players, tokens):
        self.name = name
        self.players = players
        self.tokens = tokens
        self._watches = []                  # (Watch, SSE)
        self.app = self._routes(Microdot())

    def _routes(self, app):
        auth = TokenAuth()

        @auth.authenticate
        async def authenticate(request, token):
            return token if self.tokens.remaining_s(token) else None

        @app.get("/players")
        async def players(request):
            return self.state()

        @app.post("/token")
        async def token(request):
            body = request.json
            if not isinstance(body, dict):
                abort(400, "a JSON object with client and secret is needed")
            token = self.tokens.issue(body.get("client"), body.get("secret"))
            if token is None:
                abort(401, "unknown client or wrong secret")
            return {"token": token, "expires_in": self.tokens.lifetime_s}

        @app.get("/near")
        @auth
        @with_sse
        async def near(request, sse):
            await self._near(request.args, request.g.current_user, sse)

        return app

    def state(self):
        """What GET /players answers."""
        places = [(player.name, *player.position) for player in self.players]
        return {"game": self.name, "size": SIZE,
                "players": [{"name": name, "x": x, "y": y} for name, x, y in places]}

    async def _near(self, args, token, sse):
        watch = Watch(*(int(args.get(key, 0)) for key in ("x", "y", "radius")))
        for player in self.players:
            watch.look(player)
        await sse.send({"count": len(watch.inside)}, event="snapshot")
        entry = watch, sse
        self._watches.append(entry)
        try:
            while remaining := self.tokens.remaining_s(token):
                await asyncio.sleep(min(HEARTBEAT_S, remaining))
                await sse.send("alive", comment=True)
        finally:
            self._watches.remove(entry)

    async def move(self, player):
        """One step of a player, told at once to everyone whom it concerns."""
        player.step()
        changed_ns = time.time_ns()
        for watch, sse in self._watches:
            if watch.look(player):
                await sse.send({"player": player.name, "near": player.name in watch.inside,
                                "count": len(watch.inside), "changed_ns": changed_ns},
                               event="near")

    async def walk(self):
        """Moves the players in turn, forever."""
        while True:
            for player in self.players:
                await self.move(player)
                await asyncio.sleep(MOVE_S / len(self.players))

    def discovered(self, datagram):
        """The answer to a discovery datagram, or None when it is something else."""
        try:
            question = json.loads(datagram)
        except ValueError:
            return None
        if not isinstance(question, dict) or question.get("looking_for") != "game":
            return None
        return json.dumps({"game": self.name, "port": HTTP_PORT}).encode()
