"""The network that the tests are run over: a root with a controller, two members and a stand-in
for the Internet, all of them on loopback.

Some tests reach for micropython.org, or for an address where nobody answers. Those lie on the
virtual network here: its DNS names the stand-in, and its routes have the dead addresses.
"""

import asyncio
import ssl
import struct
import threading
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from host_tools import loopback
from mpcore import aio
from mpcore.nic import NIC

MEMBERS = ["one", "two"]
_STAND_IN = "internet"
IDENTITIES = 2 + len(MEMBERS)       # the server's, the stand-in's, the members'
NAME = "micropython.org"
NOWHERE = ["1.1.1.1/32", "192.0.2.0/24"]
_ANSWER = struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4)     # the name asked for, A, IN, TTL, length
_JOIN_S = 30


class Scene:
    """directory: made anew. identities: IDENTITIES of them, with private keys."""

    def __init__(self, directory, identities):
        self._network = loopback.Network(directory, identities, [*MEMBERS, _STAND_IN])
        self._ready = threading.Event()
        self._error = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        try:
            self._network.change("", {"routes": [{"target": target, "via": None}
                                                 for target in (loopback.POOL, *NOWHERE)]})
            self._thread.start()
            self._ready.wait()
            if self._error is not None:
                raise self._error
        except BaseException:
            self._network.server.stop()
            raise
        return self

    def __exit__(self, *error):
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()
        self._network.server.stop()

    def member(self, index):
        """The node of the index-th instance, see runner.Runner."""
        return self._network.node(MEMBERS[index])

    def _serve(self):
        try:
            self._loop.run_until_complete(self._stand_in())
        except Exception as error:
            self._error = error
        finally:
            self._ready.set()
            self._loop.close()

    async def _stand_in(self):
        self._stopped = asyncio.Event()
        node = self._network.node(_STAND_IN)
        nic = NIC(node["home"], node["bind"], loopback=True, aes=True)
        nic.active(True)
        try:
            nic.connect(node["network"])
            await asyncio.wait_for(nic.wait_connected(), _JOIN_S)
            address = nic.ifconfig()[0]
            self._network.change("", {"dns": {"domain": NAME, "servers": [address]}})
            tls = await asyncio.start_server(_hold, "127.0.0.1", 0, ssl=_tls_context(
                self._network.home(_STAND_IN)))
            at = tls.sockets[0].getsockname()[:2]
            runtime = nic.runtime
            http = await aio.start_server(_hold, None, 80, runtime=runtime)
            https = await aio.start_server(lambda *ends: _relay(ends, at), None, 443,
                                           runtime=runtime)
            names = asyncio.create_task(_answer_names(aio.Datagrams(port=53, runtime=runtime),
                                                      address))
            self._ready.set()
            await self._stopped.wait()
            names.cancel()
            for server in (http, https, tls):
                server.close()
        finally:
            nic.active(False)


async def _hold(reader, writer):
    """Say nothing until the other end has had enough."""
    try:
        while await reader.read(1024):
            pass
    except OSError:
        pass
    writer.close()


async def _relay(ends, at):
    """Carry bytes between a stream of the virtual network and a server of this host."""
    inner_reader, inner_writer = await asyncio.open_connection(*at)

    async def carry(source, target):
        try:
            while data := await source.read(4096):
                target.write(data)
                await target.drain()
        except OSError:
            pass
        target.close()

    await asyncio.gather(carry(ends[0], inner_writer), carry(inner_reader, ends[1]))


async def _answer_names(datagrams, address):
    """A DNS server that has one address for every name."""
    ip = bytes(int(part) for part in address.split("."))
    while True:
        query, source = await datagrams.recvfrom()
        end = query.index(0, 12) + 5            # of the question
        wanted = query[end - 4:end - 2] == b"\0\1"
        datagrams.sendto(query[:2] + struct.pack(">HHHHH", 0x8180, 1, wanted, 0, 0)
                         + query[12:end] + (_ANSWER + ip if wanted else b""), source)


def _tls_context(directory):
    """A server's context with a certificate for NAME and the one of who signed it."""
    now = datetime.now(timezone.utc)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
             for name in ("Filament test authority", NAME)]
    certificates = []
    for i, subject in enumerate(names):
        builder = x509.CertificateBuilder(
            issuer_name=names[0], subject_name=subject, public_key=keys[i].public_key(),
            serial_number=x509.random_serial_number(), not_valid_before=now - timedelta(days=1),
            not_valid_after=now + timedelta(days=30))
        builder = builder.add_extension(x509.BasicConstraints(ca=not i, path_length=None), True)
        certificates.append(builder.sign(keys[0], hashes.SHA256()))
    chain, key = directory / "chain.pem", directory / "key.pem"
    chain.write_bytes(b"".join(each.public_bytes(serialization.Encoding.PEM)
                               for each in reversed(certificates)))
    key.write_bytes(keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    return context
