"""`filament serve` and `filament node` as real processes, on both runtimes, on loopback."""

import asyncio
import json
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import asynccontextmanager
from pathlib import Path

from host_tools import home, remote
from host_tools.daemon import Daemon
from host_tools.demo.processes import Process
from mpcore import aio
from mpcore.port import Port
from mpcore.vl1 import inet
from mpcore.vl1.identity import Identity
from tests.core.support import vectors

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 60
IDENTITIES = [Identity.from_text(case["secret_text"])
              for case in vectors("identity.json")["identities"]]
ECHO_PORT = 7


def make_home(directory, number, planet=None):
    """A home directory with one of the published identities."""
    store = Port(str(directory), [])
    home.save_identity(store, IDENTITIES[number])
    if planet is not None:
        store.store(home.PLANET_FILE, planet.read_bytes())
    return directory


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def until(condition, what):
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"in vain: {what()}") from None


class Filament:
    """A running `filament` and the JSON lines that it has printed."""

    def __init__(self):
        self.lines = []

    async def start(self, directory, *arguments):
        self.log = Path(f"{directory}.log")
        self.process = await Process.start(
            [sys.executable, "-m", "host_tools", *map(str, arguments), "--home", str(directory),
             "--loopback"], self.lines.append, self.log, cwd=ROOT)

    async def line(self, condition):
        """The first line that satisfies the condition, as soon as it is there."""
        def found():
            return [line for line in self.lines if condition(line)]

        await until(lambda: found() or self.process.returncode is not None,
                    lambda: (self.lines, self.log.read_text()))
        assert found(), f"ended: {self.lines}, {self.log.read_text()}"
        return found()[0]

    async def network(self, status):
        """The network's entry, once its status is this."""
        def entry(line):
            return [each for each in line.get("networks", ()) if each["status"] == status]

        return entry(await self.line(entry))[0]


@asynccontextmanager
async def running(directory, *arguments):
    filament = Filament()
    await filament.start(directory, *arguments)
    try:
        yield filament
    finally:
        await filament.process.stop()


def serve(directory, port, *options):
    return running(directory, "serve", "--json", "--bind", f"127.0.0.1:{port}", *options)


def node(directory, *options):
    return running(directory, "node", "--bind", "127.0.0.1:0", *options)


def command(*arguments):
    return subprocess.run([sys.executable, "-m", "host_tools", *map(str, arguments)], cwd=ROOT,
                          capture_output=True, text=True)


async def asked(*arguments):
    """What a command answers as JSON, while the loop goes on."""
    done = await asyncio.to_thread(command, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def address_of(entry):
    return entry["assignedAddresses"][0].split("/")[0]


async def echoes(host, runtime):
    """Whether both echo services of a node answer, seen from a third one."""
    reader, writer = await aio.open_connection(host, ECHO_PORT, runtime=runtime)
    data = bytes(range(256)) * 40
    writer.write(data)
    await writer.drain()
    assert await reader.readexactly(len(data)) == data
    await writer.aclose()
    datagrams = aio.Datagrams(runtime=runtime)
    datagrams.sendto(b"a datagram", (host, ECHO_PORT))
    assert await datagrams.recvfrom() == (b"a datagram", (host, ECHO_PORT))


def test_a_private_network_from_invitation_to_echo(tmp_path):
    """Two members on both runtimes ask, are let in, and serve a third one in this process."""
    async def main():
        server = make_home(tmp_path / "server", 0)
        async with serve(server, free_port()) as serving:
            facts = await serving.line(lambda line: "network" in line)
            network, planet = facts["network"], Path(facts["planet"])
            assert facts["private"] and network.startswith(IDENTITIES[0].address.hex())
            deep = tmp_path / ("d" * 200) / ("e" * 200)     # a path need not be short
            homes = {runtime: make_home(deep / runtime, number, planet)
                     for number, runtime in enumerate(("cpython", "micropython"), 1)}
            options = ["--join", network, "--echo", ECHO_PORT, "--runtime"]
            async with node(homes["cpython"], *options, "cpython") as one, \
                    node(homes["micropython"], *options, "micropython") as two:
                for member in (one, two):
                    await member.network("ACCESS_DENIED")
                members = [IDENTITIES[number].address.hex() for number in (1, 2)]
                await serving.line(lambda line: line.get("members", {}).get(network)
                                   == dict.fromkeys(members, False))
                client = IDENTITIES[3].address.hex()
                done = await asyncio.to_thread(command, "authorize", *members, client,
                                               "--home", server)
                assert done.returncode == 0, done.stderr
                found = [address_of(await member.network("OK")) for member in (one, two)]
                for runtime, address in zip(homes, found):
                    status = await asked("status", "--home", homes[runtime])
                    assert status["online"] and status["runtime"] == runtime
                    assert address_of(status["networks"][0]) == address
                for runtime, address in zip(homes, reversed(found)):
                    pinged = await asked("ping", address, "-c", 2, "-i", 0.05, "--timeout", 20,
                                         "--home", homes[runtime])
                    assert pinged["received"] == 2 and all(ms > 0 for ms in pinged["ms"])
                daemon = Daemon(str(make_home(tmp_path / "client", 3, planet)), "127.0.0.1:0",
                                report=lambda **facts: None, loopback=True)
                daemon.join(bytes.fromhex(network))
                drive = asyncio.create_task(daemon.run())
                await until(lambda: daemon.status()["networks"][0]["status"] == "OK",
                            daemon.status)
                for address in found:
                    async with asyncio.timeout(PATIENCE_S):
                        await echoes(address, daemon.runtime)
                drive.cancel()
                await asyncio.wait([drive])
                daemon.port.close()

    asyncio.run(main())


def test_a_server_reopens_what_it_has_and_a_node_what_it_has_joined(tmp_path):
    async def main():
        server, port = make_home(tmp_path / "server", 0), free_port()
        async with serve(server, port, "--public", "--pool", "10.9.0.0/24") as serving:
            first = await serving.line(lambda line: "network" in line)
            assert not first["private"]
            member = make_home(tmp_path / "member", 1, server / "planet")
            async with node(member, "--join", first["network"]) as joined:
                before = await joined.network("OK")
                assert address_of(before).startswith("10.9.0.")
        planet = (server / "planet").read_bytes()
        async with serve(server, port) as serving:
            assert await serving.line(lambda line: "network" in line) == first
            assert (server / "planet").read_bytes() == planet
            async with node(member) as joined:
                assert await joined.network("OK") == before
        async with serve(server, free_port()) as serving:       # it has moved
            await serving.line(lambda line: "network" in line)
            assert (server / "planet").read_bytes() != planet

    asyncio.run(main())


def test_networks_are_joined_and_left_while_the_node_runs(tmp_path):
    async def main():
        server = make_home(tmp_path / "server", 0)
        async with serve(server, free_port(), "--public") as serving:
            first = (await serving.line(lambda line: "network" in line))["network"]
            second = first[:10] + "00beef"
            await until(lambda: (server / "zerotier-one.port").exists(), lambda: "control port")
            await asyncio.to_thread(
                remote.Control(server).post, f"/controller/network/{second}",
                {"private": False, "v4AssignMode": {"zt": True},
                 "routes": [{"target": "10.99.0.0/24", "via": None}],
                 "ipAssignmentPools": [{"ipRangeStart": "10.99.0.9", "ipRangeEnd": "10.99.0.99"}]})
            directory = make_home(tmp_path / "member", 1, server / "planet")
            async with node(directory, "--join", first, "--runtime", "micropython") as member:
                await member.network("OK")
                for network in (second, second):
                    assert (await asked("join", network, "--home", directory))["id"] == network
                await member.line(lambda line: [each["status"] for each in line.get("networks", ())]
                                  == ["OK", "OK"])
                for left in (True, False):
                    assert await asked("leave", first, "--home", directory) == {"left": left}
                await member.line(lambda line: [each["id"] for each in line.get("networks", ())]
                                  == [second])
                refused = await asyncio.to_thread(command, "join", "xyz", "--home", directory)
                assert refused.returncode == 1 and "16 hexadecimal digits" in refused.stderr
            async with node(directory) as member:
                assert (await member.network("OK"))["id"] == second
                assert len(member.lines[-1]["networks"]) == 1

    asyncio.run(main())


def test_a_revoked_member_is_out(tmp_path):
    async def main():
        server = make_home(tmp_path / "server", 0)
        member = IDENTITIES[1].address.hex()
        async with serve(server, free_port(), "--authorize", member) as serving:
            network = (await serving.line(lambda line: "network" in line))["network"]
            await until(lambda: (server / "zerotier-one.port").exists(), lambda: "control port")
            revoked = await asked("authorize", member, "--revoke", "--home", server)
            assert revoked["authorized"] is False
            await serving.line(lambda line: line.get("members") == {network: {member: False}})
            directory = make_home(tmp_path / "member", 1, server / "planet")
            async with node(directory, "--join", network) as joined:
                await joined.network("ACCESS_DENIED")

    asyncio.run(main())


def test_the_control_port_wants_its_token_and_refuses_in_words(tmp_path):
    async def main():
        server = make_home(tmp_path / "server", 0)
        async with serve(server, free_port()) as serving:
            await serving.line(lambda line: "network" in line)
            await until(lambda: (server / "zerotier-one.port").exists(), lambda: "control port")
            token = server / "authtoken.secret"
            assert stat.S_IMODE(token.stat().st_mode) == 0o600
            control = remote.Control(server)
            await asyncio.to_thread(control.get, "/status")
            port = (server / "zerotier-one.port").read_text()
            request = urllib.request.Request(f"http://127.0.0.1:{port}/status",
                                             headers={"X-ZT1-Auth": "x" * 24})
            try:
                await asyncio.to_thread(urllib.request.urlopen, request)
                raise AssertionError("a wrong token was taken")
            except urllib.error.HTTPError as error:
                assert error.code == 401
            for arguments, words in (
                    (["ping", "10.255.0.1"], "no network leads to 10.255.0.1"),
                    (["authorize", "ff00000000", "--network", "0" * 16], "no network 0000"),
                    (["authorize", "xyz"], "10 hexadecimal digits")):
                done = await asyncio.to_thread(command, *arguments, "--home", server)
                assert done.returncode == 1
                assert words in " ".join(done.stderr.replace("│", " ").split())

    asyncio.run(main())


def test_a_planet_names_the_server_where_it_says_it_is(tmp_path):
    async def main():
        server = make_home(tmp_path / "server", 0)
        port = free_port()
        async with running(server, "serve", "--json", "--bind", f"0.0.0.0:{port}", "--advertise",
                           "192.0.2.7:9993", "--advertise", "198.51.100.1/9993",
                           "--role", "root") as serving:
            facts = await serving.line(lambda line: "planet" in line)
            assert "network" not in facts
            _, endpoints = home.load_planet(Port(str(server), [])).roots[0]
            assert [inet.text(endpoint) for endpoint in endpoints] == [
                "192.0.2.7/9993", "198.51.100.1/9993"]

    asyncio.run(main())


def test_a_moon_made_by_hand_is_followed_and_left(tmp_path):
    async def main():
        server = make_home(tmp_path / "server", 0)
        seed, key = make_home(tmp_path / "seed", 1), tmp_path / "moon.secret"
        address = IDENTITIES[1].address.hex()
        moon, port = "000000" + address, free_port()
        made = await asked("planet", "make", tmp_path / "moon", "--moon", "--key", key, "--root",
                           seed / "identity.public", f"127.0.0.1/{port}")
        assert (made["type"], made["id"]) == ("moon", moon)
        Port(str(seed), []).store(f"moons.d/{moon}.moon", (tmp_path / "moon").read_bytes())
        async with serve(server, free_port()) as serving:
            planet = Path((await serving.line(lambda line: "planet" in line))["planet"])
            seed_planet = Port(str(seed), [])
            seed_planet.store(home.PLANET_FILE, planet.read_bytes())
            follower = make_home(tmp_path / "follower", 2, planet)
            async with running(seed, "node", "--bind", f"127.0.0.1:{port}") as one, \
                    node(follower) as two:
                for each in (one, two):
                    await each.line(lambda line: line.get("online"))
                await asked("orbit", moon, address, "--home", follower)

                async def followed():
                    return [each["roots"] for each in await asked("moons", "--home", follower)
                            if not each["waiting"]]

                async with asyncio.timeout(PATIENCE_S):
                    while await followed() != [[address]]:
                        await asyncio.sleep(0.1)
                assert (follower / "moons.d" / f"{moon}.moon").exists()
                assert await asked("deorbit", moon, "--home", follower) == []
                assert not (follower / "moons.d" / f"{moon}.moon").exists()
                refused = await asyncio.to_thread(command, "deorbit", moon, "--home", follower)
                assert refused.returncode and "not followed" in refused.stderr

    asyncio.run(main())
