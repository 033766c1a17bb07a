"""Names between real processes on both runtimes: a network's DNS, and hostnames by mDNS.

The name server is dnspython's, on a third node in this process.
"""

import asyncio
import json

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from click.testing import CliRunner

from host_tools import cli
from host_tools.daemon import Daemon
from mpcore import aio
from tests.host.test_cli_nodes import (
    PATIENCE_S, address_of, free_port, make_home, node, serve, until)

RECORDS = [dns.rrset.from_text(*line.split(None, 4)) for line in (
    "bulb.lab.example. 60 IN A 192.0.2.7", "bulb.lab.example. 60 IN AAAA fd00::7",
    "www.lab.example. 60 IN CNAME bulb.lab.example.",
    'bulb.lab.example. 60 IN TXT "of many words" "and more"')]
BIG = dns.rrset.from_text_list("big.lab.example.", 60, "IN", "A",
                               [f"192.0.2.{i}" for i in range(16)])


def reply_to(data, max_size):
    """What a server says: dnspython reads the question and writes the answer."""
    query = dns.message.from_wire(data)
    question = query.question[0]
    reply = dns.message.make_response(query)
    names = [question.name]
    for rrset in RECORDS * 2 + [BIG] * (max_size > 512):
        if rrset.name in names and rrset.rdtype in (question.rdtype, dns.rdatatype.CNAME) and (
                rrset not in reply.answer):
            reply.answer.append(rrset)
            names += [rdata.target for rdata in rrset if rdata.rdtype == dns.rdatatype.CNAME]
    if question.name == BIG.name and max_size <= 512:
        reply.flags |= dns.flags.TC
    elif not any(rrset.name == question.name for rrset in RECORDS + [BIG]):
        reply.set_rcode(dns.rcode.NXDOMAIN)
    return reply.to_wire()


async def answer_streams(reader, writer):
    length = int.from_bytes(await reader.readexactly(2), "big")
    reply = reply_to(await reader.readexactly(length), 65535)
    await writer.awrite(len(reply).to_bytes(2, "big") + reply)
    await writer.aclose()


async def answer_datagrams(socket):
    while True:
        data, address = await socket.recvfrom()
        socket.sendto(reply_to(data, 512), address)


async def done(*arguments):
    """What `filament` says, as JSON when it is successful, while the loop goes on."""
    result = await asyncio.to_thread(CliRunner().invoke, cli.main,
                                     [*map(str, arguments), "--json"])
    if result.exit_code == 0:
        return json.loads(result.output)
    return " ".join(result.output.replace("│", " ").split())


async def found(directory, name, kind="A"):
    """The records that `filament lookup` tells, or what it says of there being none."""
    answer = await done("lookup", name, "--type", kind, "--home", directory)
    return answer["records"] if isinstance(answer, dict) else answer


def test_members_ask_the_networks_dns_and_find_each_other(tmp_path):
    async def main():
        server = make_home(tmp_path / "server", 0)
        async with serve(server, free_port(), "--public", "--domain", "old.example", "--dns",
                         "192.0.2.1") as serving:
            facts = await serving.line(lambda line: "network" in line)
            homes = {runtime: make_home(tmp_path / runtime, number, server / "planet")
                     for number, runtime in enumerate(("cpython", "micropython"), 1)}
            join = ["--join", facts["network"], "--runtime"]
            third = Daemon(str(make_home(tmp_path / "third", 3, server / "planet")), "127.0.0.1:0",
                           report=lambda **facts: None, loopback=True)
            third.join(bytes.fromhex(facts["network"]))
            drive = asyncio.create_task(third.run())
            async with node(homes["cpython"], "--hostname", "lamp", *join, "cpython") as one, \
                    node(homes["micropython"], "--hostname", "bulb", *join, "micropython") as two:
                before = [await each.network("OK") for each in (one, two)]
                assert [each["dns"] for each in before] == [
                    {"domain": "old.example", "servers": ["192.0.2.1"]}] * 2
                await until(lambda: third.status()["networks"][0]["status"] == "OK", third.status)
                await on_the_networks_dns(server, homes, third)
                await by_their_hostnames(homes, third, one, two)
            drive.cancel()
            await asyncio.wait([drive])
            third.port.close()

    asyncio.run(main())


async def on_the_networks_dns(server, homes, third):
    own = address_of(third.status()["networks"][0])
    shown = await done("dns", "--home", server)
    assert shown == {"domain": "old.example", "servers": ["192.0.2.1"]}
    changed = await done("dns", "lab.example", own, "--home", server)
    assert changed == {"domain": "lab.example", "servers": [own]}
    datagrams = aio.Datagrams(port=53, runtime=third.runtime)
    answering = asyncio.create_task(answer_datagrams(datagrams))
    streams = await aio.start_server(answer_streams, None, 53, runtime=third.runtime)
    for directory in homes.values():
        async with asyncio.timeout(PATIENCE_S):
            while (await done("status", "--home", directory))["networks"][0]["dns"] != changed:
                await asyncio.sleep(0.1)
        assert await found(directory, "bulb.lab.example") == ["192.0.2.7"]
        assert await found(directory, "bulb", "AAAA") == ["fd00::7"]
        assert await found(directory, "www") == ["192.0.2.7"]
        assert await found(directory, "bulb", "TXT") == ['"of many words" "and more"']
        assert len(await found(directory, "big")) == 16
        assert "no such name" in await found(directory, "nobody.lab.example")
        assert "no such name" in await found(directory, "not..a.name")
        assert "unknown" in await found(directory, "bulb", "NONSENSE")
    answering.cancel()
    datagrams.close()
    streams.close()
    assert await done("dns", "--clear", "--home", server) == {}


async def by_their_hostnames(homes, third, one, two):
    addresses = [address_of(await each.network("OK")) for each in (one, two)]
    for name, address in zip(("lamp.local", "bulb.local"), addresses):
        await all_find(homes, name, address)
    third.answer_for("bulb")            # which somebody has, if he says so in time
    names = []
    async with asyncio.timeout(PATIENCE_S):
        while sorted(names) != ["bulb-2.local", "bulb.local"]:
            names = [(await done("status", "--home", homes["micropython"]))["hostname"],
                     third.status()["hostname"]]
    own = address_of(third.status()["networks"][0])
    for name, address in zip(names, (addresses[1], own)):
        await all_find(homes, name, address)


async def all_find(homes, name, address):
    """Wait until everybody does: on a busy machine an answer may come late."""
    async with asyncio.timeout(PATIENCE_S):
        for directory in homes.values():
            while (answer := await found(directory, name)) != [address]:
                assert "no such name" in answer


@pytest.mark.parametrize("arguments", [["lab.example"], ["lab.example", "10.0.0.1", "--clear"]])
def test_a_domain_comes_with_servers(tmp_path, arguments):
    said = asyncio.run(done("dns", *arguments, "--home", tmp_path))
    assert "a domain and its servers" in said
