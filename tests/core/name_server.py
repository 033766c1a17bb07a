"""A DNS server for tests, on the stack of a host."""

from mpcore.dns import message
from mpcore.dns.message import Message, Record, name_from
from mpcore.ip.tcp import TcpSocket
from mpcore.ip.udp import UdpSocket


def answer(name, kind, data, ttl=60):
    """A Record of an answer; name and, for those that are names, data as text."""
    if isinstance(data, str):
        data = name_from(data)
    return Record(message.ANSWER, name_from(name), kind, message.IN, ttl, data)


class NameServer:
    """Answers from `records`: (name, kind) -> list of Records, or an RCODE. asked: what came.

    silent: it hears and says nothing. most: an answer above this length is cut short over UDP.
    """

    def __init__(self, stack, records, silent=False, most=512):
        self.records = records
        self.silent = silent
        self.most = most
        self.asked = []
        self.authority = []
        self._udp = UdpSocket(stack)
        self._udp.bind(None, 53)
        self._tcp = TcpSocket(stack)
        self._tcp.bind(None, 53)
        self._tcp.listen(2)
        self._streams = []

    def poll(self, now):
        received = self._udp.recvfrom()
        while received is not None:
            data, ip, port = received
            reply = self.reply(now, data)
            if len(reply) > self.most:
                query = Message(data)
                reply = message.build(query.id, message.RESPONSE | message.TRUNCATED,
                                      [record for record in query])
            if not self.silent:
                self._udp.sendto(now, reply, ip, port)
            received = self._udp.recvfrom()
        self._poll_streams(now)
        return None

    def _poll_streams(self, now):
        stream = self._tcp.accept()
        if stream is not None:
            self._streams.append(stream)
        for stream in list(self._streams):
            data = stream.recv(now, 4096)
            if data:
                assert int.from_bytes(data[:2], "big") == len(data) - 2
                reply = self.reply(now, data[2:])
                reply = len(reply).to_bytes(2, "big") + reply
                assert stream.send(now, reply[:5]) == 5     # the answer comes in two parts
                stream.send(now, reply[5:])
            if data is not None:
                stream.close(now)
                self._streams.remove(stream)

    def reply(self, now, data):
        query = Message(data)
        asked = list(query)
        assert len(asked) == 1 and query.flags == message.WANT_RECURSION
        asked = asked[0]
        self.asked.append((now, asked.name, asked.kind, query.id))
        found = self.records.get((asked.name, asked.kind), 3)
        flags = message.RESPONSE | message.AUTHORITATIVE | (found if isinstance(found, int) else 0)
        return message.build(query.id, flags, [asked], [] if isinstance(found, int) else found,
                             self.authority)
