"""One question to whoever is on our links, by multicast (RFC 6762 5.1)."""

from micropython import const

from mpcore.dns import message, multicast
from mpcore.dns.message import Message

_SEND_MS = (0, 1000, 3000)
_GIVE_UP_MS = const(5000)


class OneShot:
    """Asks at once, after 1 s and after 3 s, and gives up after 5 s. It asks from a port of its
    own, so that it is answered by unicast.

    name, kind: of the question. wake: as for Resolver. Once poll() has returned None, `answer` is
    the first Message that answers, also in the negative (NSEC), or None when nobody did. Raises
    OSError ENOBUFS when there are no sockets for it.
    """

    def __init__(self, now, stack, name, kind, wake):
        self.answer = None
        self._links = multicast.links(now, stack, 0, wake)
        self._id = int.from_bytes(stack.entropy(2), "big")
        self._name = name.lower()
        self._kind = kind
        self._query = message.build(self._id, 0, [message.question(name, kind)])
        self._started_ms = now
        self._sent = 0

    def poll(self, now):
        """Do what is due; returns when to call again, None once it is over."""
        for link in self._links:
            received = link.receive()
            while received is not None and self.answer is None:
                self._take(*received)
                received = link.receive()
        waited_ms = now - self._started_ms
        if self.answer is not None or waited_ms >= _GIVE_UP_MS:
            self.close(now)
            return None
        while self._sent < len(_SEND_MS) and waited_ms >= _SEND_MS[self._sent]:
            self._sent += 1
            for link in self._links:
                link.send(now, self._query)
        next_ms = _SEND_MS[self._sent] if self._sent < len(_SEND_MS) else _GIVE_UP_MS
        return self._started_ms + next_ms

    def close(self, now):
        """Give the sockets back."""
        for link in self._links:
            link.close(now)

    def _take(self, data, ip, port):
        try:
            reply = Message(data)
            answers = [record.section for record in reply if self._is_answer(record)]
        except ValueError:
            return
        if (answers and port == multicast.PORT and reply.id == self._id
                and reply.flags & message.RESPONSE):
            self.answer = reply

    def _is_answer(self, record):
        return (record.section != message.QUESTION and record.name.lower() == self._name
                and record.kind in (self._kind, message.CNAME, message.NSEC))
