"""The bulb's HTTP client and its behaviour, against a scripted game, without any network."""

import asyncio
import json
import sys

from tests.core.support import ROOT, raises

sys.path.append(ROOT + "/boards/apps/bulb")
import bulb as app
import sse

app.LOOK_EVERY_S, app.EAGER_S, app.WATCH_EVERY_S = 0.1, 0.05, 0.05
app.SILENCE_S, app.PAUSE_S = 0.15, 0

STREAM = b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
REFUSED = b"HTTP/1.0 401 N/A\r\nContent-Length: 2\r\n\r\nno"
TOKEN = b"HTTP/1.0 200 OK\r\nContent-Length: 16\r\n\r\n{\"token\": \"new\"}"


class Reader:
    """Plays back an answer; then ends, or stays silent."""

    def __init__(self, data, silent=False):
        self.data = data
        self.silent = silent

    async def readline(self):
        at = self.data.find(b"\n") + 1
        if at == 0 and self.silent:
            await asyncio.Event().wait()
        return await self.read(at or len(self.data))

    async def readexactly(self, n):
        if len(self.data) < n:
            raise EOFError
        return await self.read(n)

    async def read(self, n):
        data, self.data = self.data[:n], self.data[n:]
        return data


class Writer:
    def __init__(self):
        self.sent = b""
        self.closed = False

    def write(self, data):
        self.sent += data

    async def drain(self):
        pass

    def close(self):
        self.closed = True

    async def wait_closed(self):
        pass


class Server:
    """Gives every new connection the next scripted answer; then refuses. When `silent`, the last
    answer does not end."""

    def __init__(self, answers, silent=False):
        self.answers = answers
        self.silent = silent
        self.requests = []

    async def connect(self, host, port):
        if not self.answers:
            raise OSError("refused")
        answer = self.answers.pop(0)
        writer = Writer()
        self.requests.append(writer)
        return Reader(answer, silent=self.silent and not self.answers), writer

    def lines(self):
        """The request lines, and whether each one carried a token."""
        return [(r.sent.split(b"\r\n")[0].decode(), b"Authorization: Bearer" in r.sent)
                for r in self.requests]


class Datagrams:
    """A LAN on which one game answers every broadcast, or nobody does."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = asyncio.Event()
        self.sent = []

    def sendto(self, data, address):
        self.sent.append((data, address))
        self.asked.set()

    async def recvfrom(self):
        await self.asked.wait()
        self.asked.clear()
        if self.answer is None:
            await asyncio.Event().wait()
        return self.answer, ("10.0.0.2", 7300)


class Led:
    def __init__(self):
        self.state = 1

    def value(self, state=None):
        if state is None:
            return self.state
        self.state = state


def fetch(answer):
    """The response to a GET that `answer` plays back, and what was sent."""
    server = Server([answer])

    async def main():
        return await sse.request(server.connect, "h", 80, "GET", "/x", token="t")

    return asyncio.run(main()), server


def play(answers, until, token=None, datagram=b'{"game": "g", "port": 80}'):
    """Run a bulb against scripted answers until a report satisfies `until`; returns the reports,
    the server, the LED's value at that time, and the LAN."""
    reports = []
    server = Server(answers, silent=True)
    led = Led()

    async def main():
        done = asyncio.Event()

        def report(**facts):
            reports.append(facts)
            if until(facts):
                done.set()

        config = {"place": [1, 2], "radius": 3, "client": "c", "secret": "s", "token": token}
        datagrams = Datagrams(datagram)
        bulb = app.Bulb(config, led, server.connect, datagrams, report)
        task = asyncio.create_task(bulb.run())
        await asyncio.wait_for(done.wait(), 20)
        for _ in range(3):
            await asyncio.sleep(0)
        seen = list(reports), led.value()
        task.cancel()
        return seen, datagrams

    (seen, lit), datagrams = asyncio.run(main())
    return seen, server, lit, datagrams


def problems(reports):
    return [facts["problem"] for facts in reports if facts["event"] == "problem"]


def test_a_request_is_http_with_a_bearer_token():
    response, server = fetch(b"HTTP/1.1 404 Not found\r\n\r\n")
    assert response.status == 404
    assert server.requests[0].sent == (b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                                       b"Authorization: Bearer t\r\n\r\n")


def test_something_else_than_http_is_refused_and_the_connection_closed():
    for answer in (b"SSH-2.0-x\r\n", b"HTTP/1.1 abc\r\n\r\n"):
        server = Server([answer])
        raises(ValueError, asyncio.run, sse.request(server.connect, "h", 80, "GET", "/"))
        assert server.requests[0].closed
    raises(EOFError, fetch, b"HTTP/1.1 200 O")
    raises(EOFError, fetch, b"")


def test_events_skip_comments_and_keep_their_names():
    response, _ = fetch(STREAM + b": alive\n\nevent: near\nid: 4\ndata: {\"a\": 1}\n\n"
                        b"data: [1,\ndata: 2]\n\ndata: {\"cut")

    async def main():
        assert await response.event() == ("near", {"a": 1})
        assert await response.event() == ("message", [1, 2])
        assert response.lines == 3 + 2 + 4 + 3
        try:
            await response.event()
        except EOFError:
            return True

    assert asyncio.run(main())


def test_chunked_bodies():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    response, _ = fetch(head + b"3\r\n[1,\r\n2;x=y\r\n2]\r\n0\r\n\r\n")
    assert asyncio.run(response.json()) == [1, 2]
    response, _ = fetch(head + b"9\r\ndata: {\"a\r\n7\r\n\": 3}\n\n\r\n0\r\n\r\n")
    assert asyncio.run(response.event()) == ("message", {"a": 3})


def test_bodies_without_end_are_refused():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for body in (b"ffffffff\r\n", b"-1\r\n", (b"800\r\n" + b"x" * 2048 + b"\r\n") * 4):
        response, _ = fetch(head + body)
        raises(ValueError, asyncio.run, response.event())
    response, _ = fetch(STREAM + (b"data:" + b"1" * 1000 + b"\n") * 6)
    raises(ValueError, asyncio.run, response.event())


def near(count):
    return b'event: near\ndata: {"count": %d, "changed_ns": 5}\n\n' % count


def test_a_game_is_found_and_followed_and_the_led_set():
    changes = []

    def third_change(facts):
        if facts["event"] == "led":
            changes.append((facts["led"], facts["changed_ns"]))
        return len(changes) == 3

    stream = STREAM + b'event: snapshot\ndata: {"count": 0}\n\n'
    answers = [TOKEN, stream + near(1) + near(2) + near(0) + near(1)]
    reports, server, lit, datagrams = play(answers, third_change)
    assert changes == [(1, 5), (0, 5), (1, 5)]
    assert lit == 1
    assert datagrams.sent[0] == (b'{"looking_for": "game"}', ("255.255.255.255", 7300))
    assert server.lines() == [("POST /token HTTP/1.1", False),
                              ("GET /near?x=1&y=2&radius=3 HTTP/1.1", True)]
    assert json.loads(server.requests[0].sent.split(b"\r\n\r\n")[1]) == {
        "client": "c", "secret": "s"}
    assert not problems(reports)


def test_a_refused_token_is_said_and_replaced():
    reports, server, _, _ = play([REFUSED, TOKEN, STREAM + near(1)],
                                 lambda facts: facts["event"] == "led", token="old")
    assert problems(reports) == ["token refused (401), asking for a new one"]
    assert b"Bearer old" in server.requests[0].sent
    assert b"Bearer new" in server.requests[2].sent
    assert [writer.closed for writer in server.requests[:2]] == [True, True]


def test_an_ended_stream_is_opened_again_with_the_same_token():
    reports, server, _, _ = play([TOKEN, STREAM, STREAM + near(1)],
                                 lambda facts: facts["event"] == "led")
    assert problems(reports) == ["the stream has ended"]
    assert [line for line, _ in server.lines()].count("POST /token HTTP/1.1") == 1


def test_a_wrong_secret_is_said():
    reports, _, lit, _ = play([REFUSED], lambda facts: facts["event"] == "problem")
    assert problems(reports) == ["the game refuses a token (401)"]
    assert lit == 0


def test_a_fresh_token_that_is_refused_is_not_asked_for_again_and_again():
    reports, server, _, _ = play([TOKEN, REFUSED], lambda facts: facts["event"] == "problem")
    assert problems(reports) == ["the game refuses its stream (401)"]
    assert len(server.requests) == 2


def test_a_dead_game_counts_as_nobody_near():
    reports, _, lit, _ = play([TOKEN, STREAM + near(1)],
                              lambda facts: facts["event"] == "problem")
    assert problems(reports)[0] == "the game does not answer"
    assert lit == 0


def test_malformed_events_end_the_following_and_nothing_else():
    for data in (b"[1]", b"{}", b"7", b"nonsense", b'{"count": "x"}'):
        reports, _, lit, _ = play([TOKEN, STREAM + b"data: " + data + b"\n\n"],
                                  lambda facts: facts["event"] == "problem")
        assert len(problems(reports)) == 1
        assert lit == 0


def test_answers_to_a_broadcast_that_are_not_of_a_game_are_ignored():
    for datagram in (b"", b"\xff", b"[]", b"{}", b'{"game": 1}', b'"game"'):
        reports, server = play_silence(datagram)
        assert not server.requests and not reports


def play_silence(datagram):
    """Let the bulb look once and hear `datagram`."""
    server, datagrams, reports = Server([]), Datagrams(datagram), []

    async def main():
        bulb = app.Bulb({"token": None}, Led(), server.connect, datagrams,
                        lambda **facts: reports.append(facts))
        task = asyncio.create_task(bulb.run())
        for _ in range(10):
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(main())
    return reports, server


def test_a_lost_network_is_said_once_each_time():
    datagrams, reports = Datagrams(None), []
    bulb = app.Bulb({}, Led(), None, datagrams, lambda **facts: reports.append(facts))

    def refuse(data, address):
        raise OSError(113)

    working, datagrams.sendto = datagrams.sendto, refuse
    bulb.look()
    bulb.look()
    datagrams.sendto = working
    bulb.look()
    datagrams.sendto = refuse
    bulb.look()
    assert problems(reports) == 2 * ["no network to look for games on"]


def test_a_full_heap_costs_one_look_only():
    datagrams, reports = Datagrams(None), []
    bulb = app.Bulb({}, Led(), None, datagrams, lambda **facts: reports.append(facts))

    def fill(data, address):
        raise MemoryError

    working, datagrams.sendto = datagrams.sendto, fill
    bulb.look()
    datagrams.sendto = working
    bulb.look()
    assert reports == []
