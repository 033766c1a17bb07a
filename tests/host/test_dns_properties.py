"""DNS messages: any bytes, and the same messages as dnspython reads and writes them."""

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import pytest
from hypothesis import example, given, settings, strategies as st

from mpcore import limits
from mpcore.dns import message, multicast
from mpcore.dns.mdns import Responder
from mpcore.dns.message import IN, Message, Record, name_from
from mpcore.dns.zone import Zone, service
from mpcore.ip.udp import UdpSocket

from dns_lan import Segment
from ip_link import IPV4, read_udp

relaxed = settings(derandomize=True, deadline=None, max_examples=300)

labels = st.binary(min_size=1, max_size=20)
names = st.lists(labels, max_size=6).map(
    lambda parts: b"".join(bytes((len(part),)) + part for part in parts) + b"\0")
# Few names, so that some are compressed.
hosts = st.sampled_from([name_from(text) for text in (
    "bulb.local", "lab.example", "a.b.lab.example", "Bulb.Lab.example", "example", "")]) | names
words = st.integers(0, 0xFFFF)
strings = st.lists(st.binary(max_size=40), min_size=1, max_size=4).map(
    lambda parts: b"".join(bytes((len(part),)) + part for part in parts))
datas = st.one_of(
    st.tuples(st.just(message.A), st.binary(min_size=4, max_size=4)),
    st.tuples(st.just(message.AAAA), st.binary(min_size=16, max_size=16)),
    st.tuples(st.sampled_from([message.NS, message.CNAME, message.PTR]), hosts),
    st.tuples(st.just(message.SRV),
              st.builds(bytes.__add__, st.binary(min_size=6, max_size=6), hosts)),
    st.tuples(st.just(message.SOA), st.builds(
        lambda a, b, numbers: a + b + numbers, hosts, hosts, st.binary(min_size=20, max_size=20))),
    st.tuples(st.just(message.TXT), strings),
    st.tuples(st.just(message.NSEC), hosts.map(lambda name: name + b"\0\4\x40\0\0\x08")),
    st.tuples(st.just(65280), st.binary(max_size=40)))
questions = st.builds(lambda name, kind: message.question(name, kind), hosts,
                      st.sampled_from([message.A, message.AAAA, message.PTR, message.ANY]))
# A TTL above 2^31 - 1 counts as 0 for some (RFC 2181 8).
records = st.builds(
    lambda section, name, data, ttl: Record(section, name, data[0], IN, ttl, data[1]),
    st.integers(1, 3), hosts, datas, st.integers(0, 0x7FFFFFFF))
messages = st.builds(
    lambda asked, found: (asked, [[each for each in found if each.section == section]
                                  for section in (1, 2, 3)]),
    st.lists(questions, max_size=2), st.lists(records, max_size=8))


def name_of(name):
    return name.to_wire()


def as_ours(theirs):
    """A message of dnspython as what Message gives."""
    found = [message.question(name_of(each.name), int(each.rdtype), int(each.rdclass))
             for each in theirs.question]
    for section, sets in enumerate((theirs.answer, theirs.authority, theirs.additional), 1):
        for each in sets:
            for rdata in each:
                found.append(Record(section, name_of(each.name), int(each.rdtype),
                                    int(each.rdclass), each.ttl, rdata.to_wire()))
    return found


@relaxed
@given(messages, words)
def test_dnspython_reads_what_we_write(built, identifier):
    asked, sections = built
    data = message.build(identifier, message.RESPONSE, asked, *sections)
    theirs = dns.message.from_wire(data, one_rr_per_rrset=True)
    assert theirs.id == identifier and theirs.flags == dns.flags.QR
    assert as_ours(theirs) == asked + sum(sections, []) == list(Message(data))


@relaxed
@given(messages, words)
def test_we_read_what_dnspython_writes(built, identifier):
    asked, sections = built
    plain = dns.message.from_wire(message.build(identifier, message.RESPONSE, asked, *sections),
                                  one_rr_per_rrset=True)
    data = plain.to_wire(max_size=65535)
    ours = Message(data)
    assert (ours.id, ours.flags) == (identifier, message.RESPONSE)
    # dnspython compresses without regard to case.
    assert lowered(ours) == lowered(asked + sum(sections, []))


def lowered(found):
    """Without the case of names, and of data as far as that may be a name."""
    return [each._replace(name=each.name.lower(), data=each.data.lower()) for each in found]


@relaxed
@given(st.binary(max_size=300))
@example(b"\0" * 4 + b"\xff" * 8)
def test_any_bytes_are_a_message_or_a_value_error(data):
    try:
        for record in Message(data):
            assert len(record.name) <= message.MAX_NAME
    except ValueError:
        pass


@relaxed
@given(messages, st.data())
def test_a_message_with_a_flaw_is_a_message_or_a_value_error(built, draw):
    asked, sections = built
    data = bytearray(message.build(1, 0, asked, *sections))
    for _ in range(draw.draw(st.integers(1, 3))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(
            st.sampled_from([0, 1, 12, 63, 64, 0xC0, 0xFF]))
    data = bytes(data[:draw.draw(st.integers(0, len(data)))])
    try:
        ours = list(Message(data))
    except ValueError:
        return
    # What we take for a message, dnspython takes for the same one, unless it looks deeper into
    # it: classes and types that we do not know, the types that an NSEC lists.
    try:
        theirs = dns.message.from_wire(data, one_rr_per_rrset=True, ignore_trailing=True)
    except Exception:
        return
    if all(each.kind in (1, 2, 5, 6, 12, 16, 28, 33) and each.cls == IN for each in ours):
        assert sorted(lowered(ours)) == sorted(lowered(as_ours(theirs)))


# Names, data and flags that a responder for bulb.local, with a service, has to think about.
own_names = st.sampled_from([name_from(text) for text in (
    "bulb.local", "BULB.local", "_http._tcp.local", "bulb._http._tcp.local",
    "_services._dns-sd._udp.local", "bulb-2.local")])
own_records = st.builds(
    lambda section, name, data, cls, ttl: Record(section, name, data[0], cls, ttl, data[1]),
    st.integers(1, 3), own_names, datas, st.sampled_from([1, 0x8001, 255]),
    st.sampled_from([0, 10, 120, 4500]))
own_questions = st.builds(message.question, own_names,
                          st.sampled_from([1, 28, 12, 33, 16, 255, 47]),
                          st.sampled_from([1, 0x8001, 255]))
heard = st.lists(st.tuples(
    st.builds(lambda flags, asked, found: message.build(
        7, flags, asked, *[[each for each in found if each.section == section]
                           for section in (1, 2, 3)]),
        st.sampled_from([0, 0x8400, 0x0200]), st.lists(own_questions, max_size=3),
        st.lists(own_records, max_size=3)) | st.binary(max_size=60),
    st.sampled_from([0, 1, 100, 750, 5000]), st.booleans()), max_size=12)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(heard)
def test_a_responder_survives_what_it_hears_and_ends_with_a_name(messages):
    segment = Segment(2)
    host, peer = segment.hosts
    responder = Responder(host.stack, "bulb")
    responder.advertise(0, "_http._tcp", 80)
    host.services.append(responder)
    official, other = UdpSocket(peer.stack), UdpSocket(peer.stack)
    official.bind(peer.ip, multicast.PORT)
    for data, pause_ms, from_other in messages:
        (other if from_other else official).sendto(segment.now, data, multicast.GROUPS[4],
                                                   multicast.PORT)
        segment.run(segment.now + pause_ms)
        assert all(len(way._replies) <= limits.MDNS_REPLIES for way in responder._ways)
    segment.run(segment.now + 10000)
    assert responder.established and responder.hostname.startswith("bulb")
    for _, source_mac, _, ethertype, packet in segment.frames:
        if ethertype == IPV4 and source_mac == host.mac:    # what it said makes sense to others
            dns.message.from_wire(read_udp(packet)[4], one_rr_per_rrset=True)


@relaxed
@given(st.text(max_size=80))
def test_any_text_is_a_name_or_a_value_error(text):
    try:
        name = name_from(text)
    except ValueError:
        return
    assert message.read_name(name, 0, len(name)) == (name, len(name))
    assert len(name) <= message.MAX_NAME


@pytest.mark.parametrize("text", ["bulb.local", "a.b.c.example.", "xn--bse-sna.de", "."])
def test_names_are_those_of_dnspython(text):
    assert name_from(text) == dns.name.from_text(text).to_wire()


def test_what_we_announce_is_what_dnspython_would_write():
    class Interface:
        addresses = {b"\x0a\0\0\1": 24, b"\xfd" + bytes(14) + b"\1": 64}

    zone = Zone("bulb", [service("_http._tcp", 80, {"path": "/"})])
    said = message.build(0, 0, (), [each._replace(cls=IN) for each in zone.records(Interface)],
                         zone.answers(zone.records(Interface),
                                      message.question(zone.host, message.TXT, IN)))
    theirs = dns.message.from_wire(said, one_rr_per_rrset=True)
    assert [str(each) for each in theirs.answer] == [
        "bulb.local. 120 IN A 10.0.0.1", "bulb.local. 120 IN AAAA fd00::1",
        "_http._tcp.local. 4500 IN PTR bulb._http._tcp.local.",
        "bulb._http._tcp.local. 120 IN SRV 0 0 80 bulb.local.",
        'bulb._http._tcp.local. 4500 IN TXT "path=/"',
        "_services._dns-sd._udp.local. 4500 IN PTR _http._tcp.local."]
    (nothing,) = theirs.authority
    assert nothing.rdtype == dns.rdatatype.NSEC and nothing.rdclass == 0x8001
