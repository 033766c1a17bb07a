"""The records of one host in ".local": its addresses and its services (RFC 6762, RFC 6763)."""

import struct

from micropython import const

from mpcore.dns.message import (A, AAAA, ANSWER, ANY, FLUSH, IN, NSEC, PTR, SRV, TXT, Record,
                                label, name_from)
from mpcore.dns.multicast import LOCAL

_HOST_TTL_S = const(120)        # of what changes with the host's addresses
_OTHER_TTL_S = const(4500)
_UNIQUE = const(0x8001)         # class: nobody else has such a record
_SHARED = const(1)
_SERVICES = b"\x09_services\x07_dns-sd\x04_udp" + LOCAL     # the name of the list of all services
_MAX_STRING = const(255)


class Zone:
    """hostname: one label, as text. services: list as `service` makes them. Raises ValueError."""

    def __init__(self, hostname, services):
        self.host = label(hostname) + LOCAL
        self.instances = [label(hostname) + kind for kind, _, _ in services]
        self._services = services

    def names(self):
        """Those that are nobody else's."""
        return [self.host] + self.instances

    def is_ours(self, name):
        name = name.lower()
        return any([name == own.lower() for own in self.names()])

    def records(self, interface):
        """All records, of which the addresses are an interface's; only its link-local one is left
        out when there are others."""
        ips = [ip for ip in interface.addresses if not _is_link_local(ip)]
        found = [Record(ANSWER, self.host, A if len(ip) == 4 else AAAA, _UNIQUE, _HOST_TTL_S, ip)
                 for ip in sorted(ips or interface.addresses)]
        for instance, (kind, port, txt) in zip(self.instances, self._services):
            found.append(Record(ANSWER, kind, PTR, _SHARED, _OTHER_TTL_S, instance))
            found.append(Record(ANSWER, instance, SRV, _UNIQUE, _HOST_TTL_S,
                                struct.pack(">HHH", 0, 0, port) + self.host))
            found.append(Record(ANSWER, instance, TXT, _UNIQUE, _OTHER_TTL_S, txt))
            found.append(Record(ANSWER, _SERVICES, PTR, _SHARED, _OTHER_TTL_S, kind))
        return found

    def answers(self, records, question):
        """Those of the records that answer; that there is none of a type is said by an NSEC."""
        if question.cls & ~FLUSH not in (IN, ANY):
            return []
        name = question.name.lower()
        named = [record for record in records if record.name.lower() == name]
        found = [record for record in named if question.kind in (record.kind, ANY)]
        return found if found or not named or not self.is_ours(name) else [_nothing_else(named)]

    def additional(self, records, answers):
        """What who asked for `answers` will ask for next."""
        known = list(answers)
        for record in known:        # which grows meanwhile: services have hosts
            if record.kind == PTR:
                follow = [other for other in records if other.name == record.data
                          and other.kind != PTR]
            elif record.kind in (SRV, A, AAAA):
                follow = [other for other in records if other.name == self.host]
            else:
                follow = ()
            known.extend([other for other in follow if other not in known])
        return known[len(answers):]


def service(kind, port, txt=None):
    """A service for a Zone. kind: such as "_http._tcp"; txt: dict of texts. Raises ValueError."""
    strings = []
    for key in sorted(txt or ()):
        string = ("%s=%s" % (key, txt[key])).encode()
        if len(string) > _MAX_STRING:
            raise ValueError("a string of TXT has at most 255 bytes")
        strings.append(bytes((len(string),)) + string)
    return name_from(kind)[:-1] + LOCAL, port, b"".join(strings) or b"\0"


def _nothing_else(named):
    """The NSEC that says which types of records a name has (RFC 4034 4.1)."""
    bits = bytearray(max([record.kind for record in named]) // 8 + 1)
    for record in named:
        bits[record.kind >> 3] |= 0x80 >> (record.kind & 7)
    name, ttl = named[0].name, named[0].ttl
    return Record(ANSWER, name, NSEC, _UNIQUE, ttl, name + bytes((0, len(bits))) + bits)


def _is_link_local(ip):
    return len(ip) == 16 and ip[0] == 0xFE and ip[1] & 0xC0 == 0x80
