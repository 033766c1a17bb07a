"""The light bulb: on while a player of any game on the network is near.

It looks for games by broadcast, asks each for a token, follows its stream of players near the
bulb, and sets the LED. Whatever goes wrong with one game is reported and ends the following of
that game; the next answer to a broadcast starts it again. So there is one way to begin and no
other way to recover.
"""

import asyncio
import json
import time

import sse

DISCOVERY_PORT = 7300
LOOK_EVERY_S = 5        # for more games: a broadcast is a datagram to each member
EAGER_S = 0.2           # the same while no game is known
WATCH_EVERY_S = 1
SILENCE_S = 3           # a game sends something every second; after this long it counts as dead
PAUSE_S = 0.1           # before a stream that has ended is opened again


class Bulb:
    """config: `place` [x, y] and `radius` on the map; `client` and `secret` to ask for tokens
    with; `token` to try first, or None. led: like machine.Pin. connect(host, port): opens
    asyncio streams. datagrams: see `look`. report(**facts): takes what happened.
    """

    def __init__(self, config, led, connect, datagrams, report):
        self.config = config
        self.connect = connect
        self.report = report
        self._led = led
        self._near = 0      # what the LED shows: a Pico W would have to ask its radio chip
        self._datagrams = datagrams
        self._games = {}
        self._lost = False
        led.value(0)

    async def run(self):
        """Looks for games and answers what it hears, forever."""
        asyncio.create_task(self._listen())
        looked_s = LOOK_EVERY_S
        while True:
            if looked_s >= LOOK_EVERY_S or not self._games:
                self.look()
                looked_s = 0
            pause_s = WATCH_EVERY_S if self._games else EAGER_S
            await asyncio.sleep(pause_s)
            looked_s += pause_s
            for game in list(self._games.values()):
                game.watch(pause_s)

    def look(self):
        """One broadcast. `datagrams` has `sendto(data, (host, port))` and
        `await recvfrom()` -> (data, (host, port))."""
        try:
            self._datagrams.sendto(b'{"looking_for": "game"}', ("255.255.255.255", DISCOVERY_PORT))
            self._lost = False
        except OSError:
            if not self._lost:
                self._lost = True
                self.report(event="problem", problem="no network to look for games on")
        except MemoryError:
            pass        # the heap is full just now; there will be another look

    async def _listen(self):
        while True:
            data, (host, _) = await self._datagrams.recvfrom()
            try:
                answer = json.loads(data)
                name, port = answer["game"], answer["port"]
            except (ValueError, KeyError, TypeError):
                continue
            if host not in self._games:
                self._games[host] = Game(self, name, host, port)

    def follows(self):
        """Is any game followed, so that its events are expected?"""
        return bool(self._games)

    def forget(self, game):
        """The game is not followed any more: nobody in it counts as near."""
        self._games.pop(game.host, None)
        self.show()

    def show(self):
        """Set the LED. Returns its value when it has changed, None otherwise."""
        near = int(any(game.count > 0 for game in self._games.values()))
        if near == self._near:
            return None
        self._near = near
        self._led.value(near)
        return near


class Game:
    """One game that is being followed; `count` of its players are near."""

    def __init__(self, bulb, name, host, port):
        self.name = name
        self.host = host
        self.count = 0
        self._port = port
        self._bulb = bulb
        self._token = bulb.config.get("token")
        self._response = None
        self._lines = -1
        self._silent_s = 0
        self._task = asyncio.create_task(self._run())

    def watch(self, elapsed_s):
        """Called every WATCH_EVERY_S: a game that has been silent for too long is given up."""
        lines = self._response.lines if self._response else -1
        self._silent_s = 0 if lines != self._lines else self._silent_s + elapsed_s
        self._lines = lines
        if self._silent_s >= SILENCE_S:
            self._task.cancel()

    async def _run(self):
        try:
            while True:
                await self._follow()
        except asyncio.CancelledError:
            self._problem("the game does not answer")
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            self._problem(str(error) or repr(error))
        finally:
            self._bulb.forget(self)

    async def _follow(self):
        """Follow one stream to its end, with the token at hand or a new one."""
        config = self._bulb.config
        x, y = config["place"]
        target = "/near?x=%d&y=%d&radius=%d" % (x, y, config["radius"])
        fresh = self._token is None
        if fresh:
            self._token = await self._new_token()
        response = await self._request("GET", target, token=self._token)
        try:
            if response.status == 401 and not fresh:
                self._problem("token refused (401), asking for a new one")
                self._token = None
                return
            if response.status != 200:
                raise ValueError("the game refuses its stream (%d)" % response.status)
            self._bulb.report(event="following", game=self.name, at_ns=time.time_ns())
            await self._stream(response)
        except EOFError:
            self._problem("the stream has ended")
            await asyncio.sleep(PAUSE_S)
        finally:
            await response.close()

    async def _stream(self, response):
        while True:
            _, event = await response.event()
            self.count = event["count"]
            led = self._bulb.show()
            set_ns = time.time_ns()
            if led is not None:
                self._bulb.report(event="led", led=led, game=self.name, set_ns=set_ns,
                                  changed_ns=event.get("changed_ns"))

    async def _new_token(self):
        config = self._bulb.config
        client = {"client": config["client"], "secret": config["secret"]}
        response = await self._request("POST", "/token", body=client)
        try:
            if response.status != 200:
                raise ValueError("the game refuses a token (%d)" % response.status)
            token = (await response.json())["token"]
        finally:
            await response.close()
        self._bulb.report(event="token", game=self.name)
        return token

    async def _request(self, method, target, token=None, body=None):
        self._response = None
        self._response = await sse.request(self._bulb.connect, self.host, self._port,
                                           method, target, token, body)
        return self._response

    def _problem(self, text):
        self._bulb.report(event="problem", game=self.name, problem=text)
