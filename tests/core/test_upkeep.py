"""The board's end of upkeep: a REPL for some members, on a virtual Ethernet of three hosts."""

import asyncio
import sys

from mpcore import aio, limits, upkeep
from mpcore.upkeep.service import Upkeep
from mpcore.upkeep.lines import wants_more
from lan import run
from support import raises

NETWORK = "0000000000000000"        # on which a node's MAC is 02 and its address
RAW = b"raw REPL; CTRL-B to exit\r\n>"


class Nic:
    """As much of a NIC as upkeep needs."""

    STAT_GOT_IP = 3

    def __init__(self, host):
        self.node = host
        self.runtime = host.runtime
        self.network = NETWORK
        self.connected = self.online = False

    def config(self, name):
        return self.network if name == "network" else None

    def status(self, name=None):
        return self.online if name == "online" else 3 if self.connected else 1


class Slots:
    """As much of boards/slots.py as upkeep needs."""

    def __init__(self, trial=False, full=0):
        self.trial = trial
        self.full = full

    def on_trial(self):
        return self.trial

    def confirm(self):
        if self.full:
            self.full -= 1
            raise OSError(28)
        self.trial = False

    def state(self):
        return {"good": "a"}


class Resets:
    def __init__(self):
        self.count = 0

    def reset(self):
        self.count += 1


class Client:
    """What a program at the other end says and hears."""

    def __init__(self, reader):
        self._reader = reader
        self.heard = b""

    def say(self, data):
        self._reader.write(data)

    async def until(self, end):
        """What was heard up to `end`."""
        while end not in self.heard:
            data = await self._reader.read(100)
            assert data, self.heard
            self.heard += data
        at = self.heard.find(end) + len(end)
        found, self.heard = self.heard[:at], self.heard[at:]
        return found

    async def enter(self):
        """As mpremote does, soft reset included."""
        self.say(b"\r\x03")
        self.say(b"\r\x01")
        await self.until(RAW)
        self.say(b"\x04")
        await self.until(b"soft reboot\r\n")
        await self.until(RAW)

    async def run(self, code, paste=True):
        """(output, traceback) of code in the raw REPL; in a raw paste, as mpremote likes best."""
        if paste:
            self.say(b"\x05A\x01")
            await self.until(b"R\x01\xff\x7f")
            self.say(code + b"\x04")
            assert await self.until(b"\x04") == b"\x04"
        else:
            self.say(code + b"\x04")
            assert await self.until(b"OK") == b"OK"
        said = (await self.until(b"\x04"))[:-1]
        error = (await self.until(b"\x04"))[:-1]
        assert await self.until(b">") == b">"
        return said, error

    async def ends(self):
        return await self._reader.read(-1)

    def close(self):
        self._reader.close()


def board(test, allow=(1,), slots=None, hosts=3):
    """Run test(client, upkeep, *hosts), where host 1 is admitted to the REPL of host 2."""
    async def main(a, b, *others):
        resets = Resets()
        served = Upkeep(Nic(b), upkeep.PORT, ["%010x" % number for number in allow], slots,
                        resets.reset)
        served.resets = resets
        served.start()
        try:
            reader, _ = await aio.open_connection(b.address, upkeep.PORT, runtime=a.runtime)
            client = Client(reader)
            await test(client, served, a, b, *others)
            client.close()
        finally:
            served.stop()

    run(main, hosts)


def test_the_raw_repl_as_mpremote_speaks_it():
    async def test(client, *others):
        await client.until(b">>> ")
        await client.enter()
        assert await client.run(b"x = 6\nprint(x * 7)") == (b"42\n", b"")
        assert await client.run(b"print(x, 'y', sep='', end='!')", False) == (b"6y!", b"")
        assert await client.run(b"") == (b"", b"")      # only outside a paste this is a reset
        assert await client.run(b"print(x)") == (b"6\n", b"")
        client.say(b"\x05A\x01print(1)\x03")           # given up
        await client.until(b"R\x01\xff\x7f")
        assert await client.run(b"print(x)", False) == (b"6\n", b"")
        said, error = await client.run(b"print('before')\nraise ValueError('a bug')")
        assert said == b"before\n" and b"ValueError: a bug" in error
        said, error = await client.run(b"x = = 1")
        assert said == b"" and b"SyntaxError" in error
        assert await client.run(b"raise SystemExit") == (b"", b"")
        client.say(b"\x04")             # the soft reset: names are gone
        await client.until(RAW)
        assert b"NameError" in (await client.run(b"x"))[1]
        client.say(b"some code\x03")    # which is dropped
        assert await client.run(b"print(1)") == (b"1\n", b"")
        client.say(b"\x02")
        await client.until(b">>> ")

    board(test)


def test_code_is_bounded():
    async def test(client, *others):
        await client.enter()
        code = b"x = '" + b"a" * (limits.REPL_CODE - 6) + b"'"
        assert await client.run(code) == (b"", b"")
        for paste in True, False:
            said, error = await client.run(code + b" ", paste)
            assert said == b"" and b"MemoryError" in error
        assert await client.run(b"print(len(x))") == (b"%d\n" % (limits.REPL_CODE - 6), b"")

    board(test)


def test_more_output_than_all_buffers_leaves_while_the_code_runs():
    async def test(client, served, a, b, *others):
        await client.enter()
        said, error = await client.run(b"for i in range(3000):\n print('line', i)")
        assert said.decode().split("\n")[:-1] == ["line %d" % i for i in range(3000)]
        assert error == b""

    def driven(client, served, a, b, *others):
        # The code of b's session waits for the peer: in one thread that has to be driven, too.
        step = b.runtime.step

        def both(timeout_ms=None):
            step(0)
            a.runtime.step(0)
            drained = client._reader._there(4096)
            if drained:
                client.heard += drained

        b.runtime.step = both
        return test(client, served, a, b, *others)

    board(driven)


def test_control_c_ends_code_that_prints():
    async def test(client, served, a, b, *others):
        await client.enter()
        step = b.runtime.step
        turns = [0]

        def both(timeout_ms=None):
            step(0)
            a.runtime.step(0)
            client.heard += client._reader._there(4096) or b""
            turns[0] += 1
            if turns[0] == 10:
                client.say(b"\x03")

        b.runtime.step = both
        said, error = await client.run(b"while True:\n print('on and on')")
        assert b"KeyboardInterrupt" in error and said.startswith(b"on and on\n")

    board(test)


def test_a_peer_that_takes_nothing_does_not_hold_the_board_for_ever():
    async def test(client, served, a, b, *others):
        await client.enter()
        from mpcore.upkeep import capture

        clock, before = [0], capture.now_ms

        def step(timeout_ms=None):
            clock[0] += 1000

        real, b.runtime.step = b.runtime.step, step
        capture.now_ms = lambda: clock[0]
        try:
            client.say(b"print('x' * 100000)\x04")
            await client.until(b"x" * 4000)
        finally:
            capture.now_ms, b.runtime.step = before, real
        await client.until(b"\x04\x04>")

    board(test)


def test_where_no_stack_is_left_to_send_from_output_waits_while_the_heap_has_room():
    async def test(client, *others):
        from mpcore.upkeep import capture

        await client.enter()
        lines = b"for i in range(3000):\n print('line', i)"
        wants_out, spare = capture.Capture._wants_out, capture._spare
        capture.Capture._wants_out = lambda self: False
        try:
            capture._spare = lambda: True
            said, error = await client.run(lines)
            assert said.decode().split("\n")[:-1] == ["line %d" % i for i in range(3000)]
            assert error == b"" and len(said) > 3 * limits.REPL_OUTPUT
            capture._spare = lambda: False
            said, error = await client.run(lines)
            assert b"RuntimeError: more is printed at once" in error
            assert limits.REPL_OUTPUT - 100 < len(said) <= limits.REPL_OUTPUT
        finally:
            capture.Capture._wants_out, capture._spare = wants_out, spare

    board(test)


def test_how_much_room_the_heap_has_is_asked_where_it_tells():
    import gc
    from mpcore.upkeep.capture import _spare

    assert _spare() == (hasattr(gc, "mem_free") and gc.mem_free() >= limits.REPL_SPARE)


def test_a_friendly_repl_for_people():
    async def test(client, *others):
        await client.until(b">>> ")
        client.say(b"1 + 2\r")
        assert await client.until(b">>> ") == b"1 + 2\r\n3\r\n>>> "
        client.say(b"x = [1,\r2]\r")
        assert b"... " in await client.until(b">>> ")
        client.say(b"for i in x:\r\tprint(i-\x7f)\r\r")
        assert (await client.until(b">>> ")).endswith(b"\r\n1\r\n2\r\n>>> ")
        client.say(b"\x1b[Anonsense\x03")
        await client.until(b"\r\n>>> ")
        client.say(b"y = 1\r\n_\r\n")
        assert await client.until(b"_\r\n3\r\n>>> ")
        client.say(b"\x05def f():\r    return 5\r\rprint(f())\r\x04")
        assert (await client.until(b">>> ")).endswith(b"5\r\n>>> ")
        client.say(b"\x04")
        await client.until(b"soft reboot")
        await client.until(b">>> ")
        client.say(b"x\r")
        assert b"NameError" in await client.until(b">>> ")
        client.say(b"a" * (limits.REPL_LINE + 5))
        await client.until(b"\x07")

    board(test)


def test_what_goes_on_in_a_statement():
    for lines, more in ((("x = 1",), False), (("if x:",), True), (("if x:", "  y"), True),
                        (("if x:", "  y", ""), False), (("f(",), True), (("f(", "1)"), False),
                        (("x \\",), True), (("@f",), True), (("",), False), (("f(", ""), False)):
        assert wants_more([line.encode() for line in lines]) == more, lines


def test_the_log_follows_to_people_and_is_kept_for_programs():
    async def test(client, *others):
        await client.until(b">>> ")
        print("a line of the log")
        await client.until(b"a line of the log\r\n")
        await client.enter()
        print("x" * limits.REPL_LOG)
        print("kept")
        await asyncio.sleep(0)
        said, error = await client.run(b"print(session.log())")
        assert said.endswith(b"kept\\n'\n") and len(said) < limits.REPL_LOG + 20
        assert await client.run(b"print(session.log())") == (b"b''\n", b"")

    board(test)


def test_printing_is_as_before_when_a_session_has_ended():
    import builtins

    before = builtins.print

    async def test(client, served, *others):
        await client.until(b">>> ")
        client.close()
        while served._session is not None:
            await asyncio.sleep(0)

    board(test)
    assert builtins.print is before


def test_who_is_not_allowed_gets_nothing():
    async def test(client, served, a, b, c):
        opening = asyncio.create_task(
            aio.open_connection(b.address, upkeep.PORT, runtime=c.runtime))
        await client.enter()
        assert await client.run(b"print(1)") == (b"1\n", b"")
        assert not opening.done()
        opening.cancel()
        assert b.stack.counters["tcp_not_admitted"] >= 1

    board(test)


def test_nobody_is_allowed_before_there_is_a_network():
    async def main(a, b):
        nic = Nic(b)
        served = Upkeep(nic, upkeep.PORT, ["0000000001"])
        nic.network = None
        assert not served._admit(a.ip, a.mac)
        nic.network = "0000000000000100"
        assert not served._admit(a.ip, a.mac)
        nic.network = NETWORK
        assert served._admit(a.ip, a.mac)

    run(main)


def test_one_session_at_a_time():
    async def test(client, served, a, b, c):
        await client.until(b">>> ")
        reader, _ = await aio.open_connection(b.address, upkeep.PORT, runtime=a.runtime)
        assert b"Another session" in await reader.read(-1)
        reader.close()
        client.say(b"1\r")
        await client.until(b"1\r\n>>> ")
        client.close()
        while served._session is not None:
            await asyncio.sleep(0)
        reader, _ = await aio.open_connection(b.address, upkeep.PORT, runtime=a.runtime)
        await Client(reader).enter()
        reader.close()

    board(test)


def test_a_reset_comes_after_its_answer():
    async def test(client, served, *others):
        await client.enter()
        before = sys.modules.get("machine")
        client.say(b"import machine\nprint('bye')\nmachine.reset()\nprint('never')\x04")
        assert await client.until(b"\x04\x04>") == b"OKbye\n\x04\x04>"
        assert await client.ends() == b""
        client.close()
        while not served.resets.count:
            await asyncio.sleep(0.01)
        assert sys.modules.get("machine") is before

    board(test)


def test_the_machine_is_there_for_all_else():
    async def test(client, *others):
        await client.enter()
        assert await client.run(b"try:\n from machine import idle\n print(idle)\n"
                                b"except ImportError:\n print('none')") != (b"", b"")

    board(test)


def test_a_trial_is_confirmed_when_the_node_is_online():
    async def main(a, b):
        from mpcore.upkeep import service

        service._LOOK_S = 0
        slots, nic = Slots(trial=True, full=2), Nic(b)
        served = Upkeep(nic, upkeep.PORT, (), slots)
        served.start()
        assert not b.stack.tcp.listeners        # nobody may connect: nobody listens
        for nic.connected, nic.online in ((False, True), (True, False)):
            for _ in range(5):
                await asyncio.sleep(0)
            assert slots.trial
        nic.connected = nic.online = True
        while slots.trial:
            await asyncio.sleep(0)
        served.stop()

    run(main)


def test_it_is_started_where_it_is_wanted():
    async def main(a, b):
        assert upkeep.start(Nic(b)) is None and upkeep.start(Nic(b), []) is None
        for allow in ["xyz"], ["00000000"], [None], ["0000000001", "000000000001"]:
            raises(ValueError, upkeep.start, Nic(b), allow)
        started = upkeep.start(Nic(b), ["0000000001"])
        assert started is upkeep.running and b.stack.tcp.listeners
        started.stop()
        assert not b.stack.tcp.listeners
        sys.modules["slots"] = Slots(trial=True)
        try:
            started = upkeep.start(Nic(b))
            assert started.slots.trial and not b.stack.tcp.listeners
            started.stop()
        finally:
            del sys.modules["slots"]

    run(main)
