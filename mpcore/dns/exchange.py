"""One question to DNS servers, over UDP (RFC 1035 4.2.1, RFC 5452)."""

from micropython import const

from mpcore.dns import message
from mpcore.dns.message import Message
from mpcore.ip.udp import UdpSocket

NO_SUCH_NAME = const(3)         # an RCODE
_OPCODE = const(0x7800)
_TIMEOUTS_MS = (1000, 2000, 4000)


class Exchange:
    """Asks the servers in turn, each for 1 s, then each for 2 s, then each for 4 s, and takes
    the answer of any that has been asked. One that says that it cannot answer (SERVFAIL and the
    like) is asked no more; one whose answer does not fit is asked again over TCP.

    name, kind: of the question. servers: their IPs. wake: as for Resolver. Once poll() has
    returned None, `answer` is the Message, or None when no server could tell.
    """

    def __init__(self, stack, name, kind, servers, wake):
        self.answer = None
        self._stack = stack
        self._wake = wake
        self._asked = []        # servers so far; the last one has time until _due_ms
        self._plan = [(server, ms) for ms in _TIMEOUTS_MS for server in servers]
        self._due_ms = 0
        self._id = int.from_bytes(stack.entropy(2), "big")
        self._question = message.question(name, kind)
        self._query = message.build(self._id, message.WANT_RECURSION, [self._question])
        self._udp = UdpSocket(stack)    # bound to a random port by its first datagram
        self._udp.on_event = wake
        self._tcp = None

    def poll(self, now):
        """Do what is due; returns when to call again, None once it is over."""
        if self._tcp is not None:
            self._poll_tcp(now)
        elif self._asked:
            self._receive(now)
        while self.answer is None and self._tcp is None and now >= self._due_ms:
            if not self._plan:
                break
            self._send(now)
        else:
            if self.answer is None:
                return self._due_ms if self._tcp is None else self._tcp.due_ms
        self.close(now)
        return None

    def close(self, now):
        """Give the sockets back."""
        self._udp.close(now)
        if self._tcp is not None:
            self._tcp.close(now)

    def _send(self, now):
        server, timeout_ms = self._plan.pop(0)
        self._asked.append(server)
        self._due_ms = now + timeout_ms
        try:
            self._udp.sendto(now, self._query, server, message.PORT)
        except OSError:         # no route or no socket for now
            self._due_ms = now

    def _receive(self, now):
        received = self._udp.recvfrom()
        while received is not None and self.answer is None and self._tcp is None:
            data, ip, port = received
            if port == message.PORT and ip in self._asked:
                self._take(now, data, ip)
            received = self._udp.recvfrom()

    def _take(self, now, data, server):
        """What a server says; what does not answer our question is as if it had not come."""
        try:
            reply = Message(data)
            records = iter(reply)
            asked = next(records)
            for _ in records:
                pass            # all of it must be well-formed
        except (ValueError, StopIteration):
            return
        if (reply.id, asked.section, asked.name.lower(), asked.kind, asked.cls) != (
                self._id, message.QUESTION, self._question.name.lower(), self._question.kind,
                message.IN) or reply.flags & (message.RESPONSE | _OPCODE) != message.RESPONSE:
            return
        if reply.flags & message.TRUNCATED and self._tcp is None:
            from mpcore.dns.over_tcp import TcpQuery
            self._tcp = TcpQuery(self._stack, server, self._query, self._wake)
            self._poll_tcp(now)
        elif reply.rcode in (0, NO_SUCH_NAME):
            self.answer = reply
        else:
            self._give_up(now, server)

    def _poll_tcp(self, now):
        """Take the answer over TCP; a server that gives none there is asked no more."""
        server = self._tcp.server
        if self._tcp.poll(now) is not None:
            return
        if self._tcp.answer is not None:
            self._take(now, self._tcp.answer, server)
        self._tcp = None
        if self.answer is None:
            self._give_up(now, server)

    def _give_up(self, now, server):
        self._plan = [attempt for attempt in self._plan if attempt[0] != server]
        if self._asked[-1] == server:
            self._due_ms = now
