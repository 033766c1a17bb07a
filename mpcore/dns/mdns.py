"""A name of our own in ".local", and services under it: a multicast DNS responder.

Of RFC 6762: probing with tie-breaks, other names after conflicts (bulb, bulb-2, ...), announcing,
answers by multicast, by unicast and to plain resolvers, negative ones too, known-answer and
duplicate-answer suppression, delays and rate limits, goodbyes. Services: RFC 6763, no subtypes.
"""

from micropython import const

from mpcore.dns import message, multicast
from mpcore.dns.message import ANSWER, AUTHORITY, FLUSH, IN, QUESTION, Message, Record
from mpcore.dns.zone import Zone, service
from mpcore.limits import DNS_RECORDS, MDNS_REPLIES

_UNICAST = const(0x8000)        # with the class of a question: answer me alone
_RESPONSE = const(0x8400)       # flags of whatever we answer
_NOT_A_STANDARD = const(0x780F)  # opcode and rcode

_PROBES = const(3)
_PROBE_MS = const(250)
_ANNOUNCEMENTS = const(2)
_ANNOUNCE_MS = const(1000)
_TIE_LOST_MS = const(1000)
_MANY_CONFLICTS = const(15)     # in this time, after which each costs that one
_CONFLICTS_MS = const(10000)
_CONFLICT_MS = const(5000)

_REPEAT_MS = const(1000)        # a record is not multicast again within this,
_DEFEND_MS = const(250)         # in answer to a probe within this
_LEGACY_TTL_S = const(10)
_MAX_LABEL = const(63)


class Responder:
    """Answers for hostname.local on every interface of a stack; sans-IO, as the stack is.

    stack: ip.stack.Stack. hostname: one label. wake: as for Resolver. `hostname` is the present
    name, which another host's may have forced upon us; `established` whether it is ours by now.
    Raises ValueError when the hostname cannot be one.
    """

    def __init__(self, stack, hostname, wake=None):
        self.hostname = hostname
        self._given = hostname
        self._number = 1
        self._stack = stack
        self._wake = wake
        self._services = []
        self._zone = Zone(hostname, ())
        self._ways = []
        self._generation = None     # of the stack's addresses and routes that we looked at
        self._addresses = None      # of which `_ways` were made
        self._stage = 0             # probes, and then announcements, that were made
        self._due_ms = None
        self._conflicts = []        # when the latest were

    def advertise(self, now, kind, port, txt=None):
        """Let a service be found, such as "_http._tcp" at a port of ours, with texts about it
        (dict). Raises ValueError for what cannot be advertised."""
        self._services.append(service(kind, port, txt))
        self._claim(now)
        if self._wake is not None:
            self._wake()

    @property
    def established(self):
        return self._stage > _PROBES

    def poll(self, now):
        """Do what is due; returns the ms at which to call again, or None."""
        self._look(now)
        for way in self._ways:
            received = way.link.receive()
            while received is not None:
                self._hear(now, way, *received)
                received = way.link.receive()
        if self._ways and self._due_ms is not None and now >= self._due_ms:
            self._advance(now)
        due_ms = [way.poll(now, self._zone) for way in self._ways] + [self._due_ms]
        due_ms = [ms for ms in due_ms if ms is not None]
        return min(due_ms) if due_ms and self._ways else None

    def close(self, now):
        """Say goodbye, and be done."""
        for way in self._ways:
            if self.established:
                way.say(now, [_with_ttl(record, 0)
                              for record in self._zone.records(way.link.interface)])
            way.link.close(now)
        self._ways = []
        self._due_ms = None

    # --- to have the name ------------------------------------------------------------------

    def _look(self, now):
        """After a change of the interfaces' addresses everything begins anew."""
        if self._generation == self._stack.generation:
            return
        self._generation = self._stack.generation
        addresses = [(interface, sorted(interface.addresses))
                     for interface in self._stack.interfaces]
        if addresses == self._addresses:
            return
        self._addresses = addresses
        for way in self._ways:
            way.link.close(now)
        self._ways = []
        try:
            self._ways = [_Way(link) for link in multicast.links(
                now, self._stack, multicast.PORT, self._wake)]
            for way in self._ways:
                way.link.join(now)
        except OSError:         # somebody else here has the port, or all sockets are in use
            self._stack.count("mdns_no_socket")
        self._claim(now)

    def _claim(self, now, in_ms=None):
        """Begin to probe for the name, at a random time unless one is given."""
        self._zone = Zone(self.hostname, self._services)
        self._stage = 0
        self._due_ms = now + (_random(self._stack, _PROBE_MS) if in_ms is None else in_ms)
        for way in self._ways:
            way.forget()

    def _advance(self, now):
        probing = self._stage < _PROBES
        self._stage += 1
        self._due_ms = now + (_PROBE_MS if probing else _ANNOUNCE_MS)
        if self._stage == _PROBES + _ANNOUNCEMENTS:
            self._due_ms = None
        for way in self._ways:
            records = self._zone.records(way.link.interface)
            if probing:
                way.link.send(now, message.build(
                    0, 0, [message.question(name, message.ANY, IN | _UNICAST)
                           for name in self._zone.names()], (),
                    [_plain(record) for record in records if record.cls & FLUSH]))
            else:
                way.say(now, records)

    def _conflict(self, now):
        """Somebody else has the name: see whether he insists, and then take another."""
        if self.established:
            return self._claim(now)
        self._conflicts = [ms for ms in self._conflicts if now - ms < _CONFLICTS_MS] + [now]
        self._number += 1
        number = "-%d" % self._number
        given = self._given
        while len((given + number).encode()) > _MAX_LABEL:
            given = given[:-1]
        self.hostname = given + number
        self._claim(now, _CONFLICT_MS if len(self._conflicts) >= _MANY_CONFLICTS else None)

    # --- what others say -------------------------------------------------------------------

    def _hear(self, now, way, data, ip, port):
        try:
            heard = Message(data)
            if heard.flags & _NOT_A_STANDARD:
                return
            if not heard.flags & message.RESPONSE:
                self._hear_query(now, way, heard, ip, port)
            elif port == multicast.PORT:
                self._hear_response(now, way, heard)
        except ValueError:
            self._stack.count("mdns_malformed")

    def _hear_response(self, now, way, heard):
        records = self._zone.records(way.link.interface)
        conflict = False
        for record in heard:
            if record.section == QUESTION or record.cls & ~FLUSH != IN or not record.ttl:
                continue
            if not any([_same(record, own) for own in records]):
                conflict = conflict or self._zone.is_ours(record.name) and (
                    not self.established or any([_same_set(record, own) for own in records]))
            elif record.section == ANSWER:
                way.suppress(record)
        if conflict:
            self._conflict(now)

    def _hear_query(self, now, way, heard, ip, port):
        records = self._zone.records(way.link.interface)
        questions, wanted, known, claims = [], [], [], []
        for record in heard:
            if record.section == QUESTION:
                found = self._zone.answers(records, record)
                wanted.extend([answer for answer in found if answer not in wanted])
                if found and len(questions) < DNS_RECORDS:
                    questions.append(record)
            elif record.section == ANSWER:
                known.extend([own for own in records if own not in known
                              and _same(record, own) and record.ttl >= own.ttl // 2])
            elif record.section == AUTHORITY and len(claims) < DNS_RECORDS:
                if self._zone.is_ours(record.name):
                    claims.append(record)
        if not self.established:
            if self._stage and claims and self._loses(records, claims):
                self._claim(now, _TIE_LOST_MS)
            return
        way.suppress_for(ip, known)
        wanted = [answer for answer in wanted if answer not in known]
        if not wanted:
            return
        if port != multicast.PORT:
            additional = self._zone.additional(records, wanted)
            way.link.send(now, message.build(
                heard.id, _RESPONSE, questions, [_legacy(record) for record in wanted], (),
                [_legacy(record) for record in additional]), ip, port)
        elif all([question.cls & _UNICAST for question in questions]) and (
                way.told_lately(now, wanted)):
            way.say(now, wanted, self._zone.additional(records, wanted), ip)
        elif heard.flags & message.TRUNCATED:
            way.later(now + 400 + _random(self._stack, 100), ip, wanted)
        elif any([not record.cls & FLUSH for record in wanted]):
            way.later(now + 20 + _random(self._stack, 100), ip, wanted)
        else:
            way.answer(now, self._zone, wanted, _DEFEND_MS if claims else _REPEAT_MS)

    def _loses(self, records, claims):
        """Who claims one of our names at the same time as we, and has the better right to it?"""
        return any([_claimed(claims, name) > _claimed(records, name)
                    for name in self._zone.names()])


class _Way:
    """A link, with what was said there lately and what is to be said soon."""

    def __init__(self, link):
        self.link = link
        self.forget()

    def forget(self):
        self._said_ms = {}      # (name, kind, data) -> when it was multicast last
        self._replies = []      # [when, to whom, answers]

    def poll(self, now, zone):
        for reply in list(self._replies):
            if now >= reply[0]:
                self._replies.remove(reply)
                self.answer(now, zone, reply[2], _REPEAT_MS)
        return min([reply[0] for reply in self._replies]) if self._replies else None

    def say(self, now, answers, additional=(), ip=None):
        """Send records, to all or to one."""
        self.link.send(now, message.build(0, _RESPONSE, (), answers, (), additional), ip)
        if ip is None:
            for record in answers:
                self._said_ms[_key(record)] = now

    def answer(self, now, zone, answers, gap_ms):
        """Send to all what of the answers was not sent within gap_ms."""
        answers = [record for record in answers
                   if now - self._said_ms.get(_key(record), now - gap_ms) >= gap_ms]
        if answers:
            records = zone.records(self.link.interface)
            self.say(now, answers, zone.additional(records, answers))

    def told_lately(self, now, records):
        """Whether everybody heard all of these within a quarter of their TTL."""
        return all([_key(record) in self._said_ms
                    and now - self._said_ms[_key(record)] < record.ttl * 250
                    for record in records])

    def later(self, at_ms, ip, answers):
        if len(self._replies) < MDNS_REPLIES:
            self._replies.append([at_ms, ip, answers])

    def suppress(self, record):
        """Somebody else has said this to all."""
        for reply in self._replies:
            reply[2] = [own for own in reply[2] if not _same(record, own) or record.ttl < own.ttl]

    def suppress_for(self, ip, known):
        """Who is to be answered knows these already."""
        for reply in self._replies:
            if reply[1] == ip:
                reply[2] = [own for own in reply[2] if own not in known]


def _random(stack, n):
    return int.from_bytes(stack.entropy(2), "big") % n


def _key(record):
    return record.name, record.kind, record.data


def _claimed(records, name):
    """What is said of a name, in the form in which claims to it are compared (RFC 6762 8.2)."""
    return sorted([(record.cls & ~FLUSH, record.kind, record.data) for record in records
                   if record.name.lower() == name.lower()])


def _same_set(record, other):
    return record.kind == other.kind and record.name.lower() == other.name.lower()


def _same(record, other):
    return _same_set(record, other) and record.data == other.data


def _with_ttl(record, ttl):
    return Record(ANSWER, record.name, record.kind, record.cls, ttl, record.data)


def _plain(record):
    """As it stands where nobody is to forget anything for it."""
    return Record(ANSWER, record.name, record.kind, record.cls & ~FLUSH, record.ttl, record.data)


def _legacy(record):
    return _plain(_with_ttl(record, min(record.ttl, _LEGACY_TTL_S)))
