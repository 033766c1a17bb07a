"""The controller role, on a VL1 that only notes what is sent (spec/controller.md)."""

from mpcore import limits
from mpcore.roles.controller import Controller
from mpcore.vl1 import packet
from mpcore.vl1.identity import Identity
from mpcore.vl2 import addressing, config_text, credentials, dictionary, exchange, multicast
from tests.core.support import raises, vectors

_WHO = {i["name"]: Identity.from_text(i["secret_text"])
        for i in vectors("netconf.json")["identities"]}
_OWN = _WHO["controller"]
_EPOCH_MS = 1700000000000
_POOL = {"v4AssignMode": {"zt": True}, "routes": [{"target": "10.147.17.0/24"}],
         "ipAssignmentPools": [{"ipRangeStart": "10.147.17.1", "ipRangeEnd": "10.147.17.254"}]}


class _Peer:
    def __init__(self, identity):
        self.identity = identity
        self.address = identity.address


class _VL1:
    """What the controller uses of VL1; everything sent ends in `sent`."""

    def __init__(self, epoch_ms=_EPOCH_MS):
        self.identity = _OWN
        self.address = _OWN.address
        self.epoch_ms = epoch_ms
        self.handlers = {}
        self.sent = []
        self.counters = {}
        self._entropy = 0

    def entropy(self, n):
        self._entropy += 1
        return bytes([(self._entropy * 37 + i) & 255 for i in range(n)])

    def wall(self, now):
        return self.epoch_ms + now

    def on(self, verb, handler):
        self.handlers[verb] = handler

    def count(self, cause):
        self.counters[cause] = self.counters.get(cause, 0) + 1

    def send(self, now, address, verb, payload, compress=False):
        self.sent.append((now, address, verb, payload))

    def send_ok(self, now, peer, received, payload, compress=False):
        self.sent.append((now, peer.address, (packet.OK, received.id), payload))

    def send_error(self, now, peer, received, code, payload=b""):
        self.sent.append((now, peer.address, (packet.ERROR, received.id, code), payload))


class _VL2:
    def __init__(self):
        self.like_authorities = []
        self.networks = {}
        self.groups = multicast.Groups(_OWN.address)


class _OwnNetwork:
    """The controller's own membership; stands for network, enrolment and store of credentials."""

    def __init__(self, network_id):
        self.id = network_id
        self.enrolment = self.membership = self
        self.configs = []
        self.errors = []
        self.revoked = []

    def accept(self, now, text, solicited=True):
        self.configs.append((config_text.read(text), solicited))

    def on_error(self, now, code, details):
        self.errors.append(code)

    def add(self, credential):
        self.revoked.append(credential.issued_to)


class _World:
    """A controller with its storage, and members that ask it."""

    def __init__(self, storage=None, epoch_ms=_EPOCH_MS):
        self.storage = {} if storage is None else storage
        self.vl1 = _VL1(epoch_ms)
        self.vl2 = _VL2()
        self.asked = 0
        self.controller = Controller(self.vl1, self.vl2, self.storage.get, self._store,
                                     self._names, self.storage.pop)

    def _store(self, name, data):
        self.storage[name] = data

    def _names(self, prefix):
        return sorted([name for name in self.storage if name.startswith(prefix)])

    def ask(self, now, network_id, who, metadata=None, identity=None):
        """A member asks for its config; returns what is sent because of it."""
        del self.vl1.sent[:]
        text = exchange.metadata((1, 14, 1)) if metadata is None else metadata
        payload = exchange.build_request(network_id, text)
        received = packet.Packet(bytearray(packet.PAYLOAD) + payload, 0,
                                 packet.PAYLOAD + len(payload))
        self.asked += 1
        received.id = self.asked.to_bytes(8, "big")
        received.verb = packet.NETWORK_CONFIG_REQUEST
        peer = _Peer(identity or _WHO[who])
        self.vl1.handlers[packet.NETWORK_CONFIG_REQUEST](now, peer, received)
        return self.vl1.sent

    def config(self, now, network_id, who, metadata=None):
        """The config that a member gets when it asks."""
        sent = self.ask(now, network_id, who, metadata)
        return _config(sent, (packet.OK, self.asked.to_bytes(8, "big")), who)

    def error(self, now, network_id, who, metadata=None, identity=None):
        """The code of the ERROR that a member gets when it asks."""
        sent = self.ask(now, network_id, who, metadata, identity)
        assert len(sent) == 1, sent
        _, _, verb, payload = sent[0]
        assert verb[:2] == (packet.ERROR, self.asked.to_bytes(8, "big"))
        assert payload == network_id
        return verb[2]

    def serves(self, now, network_id, who):
        predicate, = self.vl2.like_authorities
        return predicate(now, network_id, _Peer(_WHO[who]))


def _config(sent, verb, who):
    """Put the chunks of a config together as a member does."""
    assembly = exchange.Assembly()
    text = None
    for _, address, sent_verb, body in sent:
        assert address == _WHO[who].address and sent_verb == verb, (address, sent_verb)
        chunk = exchange.Chunk.from_bytes(body, 0, len(body))
        assert assembly.add(chunk, _OWN.address, _OWN)
        text = assembly.take(chunk.update_id) or text
    config = config_text.read(text)
    assert config.issued_to == _WHO[who].address
    return config


def _create(world, fields=None, now=0):
    return bytes.fromhex(world.controller.create_network(now, fields or {})["id"])


def _address(who):
    return _WHO[who].address


def test_unknown_and_foreign_networks():
    world = _World()
    network_id = _create(world)
    other = network_id[:5] + bytes((network_id[5] ^ 1,)) + network_id[6:]
    assert world.error(0, other, "m0") == packet.E_OBJ_NOT_FOUND
    assert world.ask(0, b"\x11" * 8, "m0") == []


def test_a_new_network_has_an_id_and_defaults():
    world = _World()
    record = world.controller.create_network(0, {"name": "lab"})
    assert record["id"][:10] == _OWN.address.hex() and len(record["id"]) == 16
    assert record["revision"] == 1 and record["private"] and record["name"] == "lab"
    assert record["creationTime"] == _EPOCH_MS
    assert world.controller.networks() == {bytes.fromhex(record["id"]): record}


def test_a_private_network_refuses_until_authorised():
    world = _World()
    network_id = _create(world, _POOL)
    assert world.error(0, network_id, "m0") == packet.E_NETWORK_ACCESS_DENIED
    record = world.controller.member(network_id, _address("m0"))
    assert record["identity"] == _WHO["m0"].to_text() and not record["authorized"]
    assert not world.serves(0, network_id, "m0")
    world.controller.authorize(2000, network_id, _address("m0"))
    config = world.config(4000, network_id, "m0")
    assert config.network_id == network_id and not config.public
    assert config.com.verify(_OWN) and config.com.agrees(config.com, _WHO["m0"])
    assert config.timestamp == config.com.timestamp == _EPOCH_MS + 4000
    assert config.rules == b"\1\0" and config.mtu == 2800 and config.flags == 2
    assert config.ownerships[0].verify(_OWN)
    assert config.ownerships[0].owns(config.static_ips[0][0])
    record = world.controller.member(network_id, _address("m0"))
    assert (record["vMajor"], record["vMinor"], record["vRev"], record["vProto"]) == (1, 14, 1, 12)
    assert record["lastAuthorizedCredentialType"] == "api"
    assert record["lastAuthorizedTime"] == _EPOCH_MS + 2000


def test_a_member_may_be_authorised_before_it_ever_asks():
    world = _World()
    network_id = _create(world)
    world.controller.authorize(0, network_id, _address("m0"))
    assert world.config(0, network_id, "m0").issued_to == _address("m0")


def test_authorising_a_waiting_member_pushes_its_config():
    world = _World()
    network_id = _create(world)
    world.error(0, network_id, "m0")
    del world.vl1.sent[:]
    world.controller.authorize(1000, network_id, _address("m0"))
    assert _config(world.vl1.sent, packet.NETWORK_CONFIG, "m0").com.verify(_OWN)
    assert world.serves(1000, network_id, "m0")


def test_a_public_network_takes_anybody_and_says_so():
    world = _World()
    network_id = _create(world, {"private": False})
    config = world.config(0, network_id, "m1")
    assert config.public and config.com.verify(_OWN)
    record = world.controller.member(network_id, _address("m1"))
    assert record["authorized"] and record["lastAuthorizedCredentialType"] == "public"


def test_a_token_authorises_while_it_is_valid():
    world = _World()
    network_id = _create(world, {"authTokens": {"open": 0, "timed": _EPOCH_MS + 5000}})
    for token, now, opens in ((b"wrong", 0, False), (b"", 2000, False), (b"timed", 4000, True),
                              (b"timed", 6000, False), (b"open", 8000, True)):
        who = "m1" if now == 4000 else "m0"
        metadata = exchange.metadata((1, 14, 1), join_credential=b"token:" + token)
        if opens:
            assert world.config(now, network_id, who, metadata)
        else:
            error = world.error(now, network_id, who, metadata)
            assert error == packet.E_NETWORK_ACCESS_DENIED
    record = world.controller.member(network_id, _address("m0"))
    assert record["lastAuthorizedCredentialType"] == "token"
    assert record["lastAuthorizedCredential"] == "open"


def test_requests_within_a_second_are_ignored():
    world = _World()
    network_id = _create(world, {"private": False})
    assert len(world.ask(0, network_id, "m0")) == 1
    assert world.ask(1000, network_id, "m0") == []
    assert len(world.ask(1000, network_id, "m1")) == 1
    assert len(world.ask(1001, network_id, "m0")) == 1


def test_another_identity_with_the_same_address_is_refused():
    world = _World()
    network_id = _create(world, {"private": False})
    world.config(0, network_id, "m0")
    thief = Identity(_address("m0"), _WHO["m1"].public)
    error = world.error(2000, network_id, "m0", identity=thief)
    assert error == packet.E_NETWORK_ACCESS_DENIED
    assert world.controller.member(network_id, _address("m0"))["identity"] == \
        _WHO["m0"].to_text()


def test_malformed_requests_are_malformed():
    world = _World()
    received = packet.Packet(bytearray(packet.PAYLOAD + 9), 0, packet.PAYLOAD + 9)
    raises(ValueError, world.vl1.handlers[packet.NETWORK_CONFIG_REQUEST], 0,
           _Peer(_WHO["m0"]), received)


def test_pool_addresses_are_kept_and_distinct():
    world = _World()
    network_id = _create(world, _POOL)
    world.controller.update_network(0, network_id, {"private": False, "ipAssignmentPools": [
        {"ipRangeStart": "10.147.17.7", "ipRangeEnd": "10.147.17.10"}]})
    ips = [world.config(0, network_id, who).static_ips for who in ("m0", "m1", "m2")]
    assert sorted([ip[0][0][3] for ip in ips]) == [7, 8, 9]
    assert [ip[0][1] for ip in ips] == [24, 24, 24]
    assert world.config(0, network_id, "stranger").static_ips == []
    assert world.config(2000, network_id, "m0").static_ips == ips[0]


def test_the_owner_of_an_address_is_known_before_it_tells():
    world = _World()
    network_id = _create(world, dict(_POOL, private=False))
    (ip, _), = world.config(0, network_id, "m0").static_ips
    key = network_id + addressing.resolution_group(ip)
    assert world.vl2.groups.members(0, key) == [_address("m0")]
    assert not world.vl2.groups.members(700000, key)


def test_everything_of_a_network_is_in_the_config():
    world = _World()
    network_id = _create(world, {
        "name": "lab", "private": False, "enableBroadcast": False, "multicastLimit": 7,
        "mtu": 1400, "v6AssignMode": "rfc4193,6plane", "remoteTraceTarget": "0123456789",
        "remoteTraceLevel": 3,
        "routes": [{"target": "10.0.0.0/8"}, {"target": "0.0.0.0/0", "via": "10.0.0.1"}],
        "rules": [{"type": "MATCH_ETHERTYPE", "etherType": 2048}, {"type": "ACTION_ACCEPT"}],
        "capabilities": [{"id": 9, "default": True, "rules": [{"type": "ACTION_ACCEPT"}]},
                         {"id": 4, "rules": []}],
        "tags": [{"id": 20, "default": 5}, {"id": 10, "default": None}],
        "dns": {"domain": "lab.example", "servers": ["10.0.0.53"]}})
    world.controller.update_member(0, network_id, _address("m1"), {"activeBridge": True,
                                                                    "authorized": True})
    world.controller.update_member(0, network_id, _address("m2"), {"activeBridge": True})
    config = world.config(0, network_id, "m0")
    assert config.name == b"lab" and config.public and config.multicast_limit == 7
    assert config.flags == 4 and config.mtu == 1400
    assert (config.trace_target.hex(), config.trace_level) == ("0123456789", 3)
    assert config.routes == [(b"\x0a\0\0\0", 8, None, 0, 0), (bytes(4), 0, b"\x0a\0\0\1", 0, 0)]
    assert config.rules == bytes.fromhex("25020800" "0100")
    assert [c.id for c in config.capabilities] == [9] and config.capabilities[0].verify(_OWN)
    assert [(t.id, t.value) for t in config.tags] == [(20, 5)] and config.tags[0].verify(_OWN)
    assert config.specialists == [(_address("m1"), 2)]
    assert [bits for _, bits in config.static_ips] == [88, 40]
    assert config.dns_domain == b"lab.example" and config.dns_servers == [b"\x0a\0\0\x35"]
    world.controller.update_member(2000, network_id, _address("m0"),
                                   {"tags": [[30, 1], [10, 2]], "capabilities": [4, 99]})
    config = world.config(4000, network_id, "m0")
    assert [(t.id, t.value) for t in config.tags] == [(10, 2), (20, 5), (30, 1)]
    assert [c.id for c in config.capabilities] == [4]


def test_a_member_without_a_rules_engine_gets_one_accept():
    world = _World()
    network_id = _create(world, {"private": False, "rules": [{"type": "ACTION_DROP"}],
                                 "tags": [{"id": 1, "default": 1}]})
    config = world.config(0, network_id, "m0", dictionary.encode([(b"v", b"7")]))
    assert config.rules == b"\1\0" and config.tags == []
    assert world.config(2000, network_id, "m0").rules == b"\0\0"


def test_large_configs_go_in_several_chunks():
    world = _World()
    rule = {"type": "MATCH_CHARACTERISTICS", "mask": "4000000000000012"}
    network_id = _create(world, {"private": False, "rules": [rule] * 1000})
    assert len(world.ask(0, network_id, "m0")) > 1
    assert len(world.config(2000, network_id, "m0").rules) == 10000


def test_changes_are_pushed_to_those_online():
    world = _World()
    network_id = _create(world, {"private": False})
    world.config(0, network_id, "m0")
    world.config(100000, network_id, "m1")
    world.config(100000, network_id, "m2")
    del world.vl1.sent[:]
    world.controller.update_network(120000, network_id, {"name": "new"})
    while world.controller.poll(120000) == 120000:
        pass
    assert sorted([sent[1] for sent in world.vl1.sent]) == sorted(
        [_address("m1"), _address("m2")])
    for sent in world.vl1.sent:
        who = "m1" if sent[1] == _address("m1") else "m2"
        config = _config([sent], packet.NETWORK_CONFIG, who)
        assert config.name == b"new" and config.revision == 2
    del world.vl1.sent[:]
    world.controller.update_member(130000, network_id, _address("m1"), {"tags": [[1, 2]]})
    assert _config(world.vl1.sent, packet.NETWORK_CONFIG, "m1").tags[0].value == 2


def test_a_change_of_nothing_does_nothing():
    world = _World()
    network_id = _create(world, {"private": False})
    world.config(0, network_id, "m0")
    del world.vl1.sent[:]
    stored = dict(world.storage)
    assert world.controller.update_network(10, network_id, {"name": ""})["revision"] == 1
    record = world.controller.member(network_id, _address("m0"))
    assert world.controller.update_member(10, network_id, _address("m0"), {}) == record
    world.controller.poll(20)
    assert world.vl1.sent == [] and world.storage == stored


def _revocations(sent):
    assert sent[2] == packet.NETWORK_CREDENTIALS
    found = credentials.unpack(sent[3], 0, len(sent[3]))
    assert all([revocation.verify(_OWN) for revocation in found])
    return found


def test_deauthorising_revokes_the_com_at_once():
    world = _World()
    network_id = _create(world)
    for who in ("m0", "m1", "m2"):
        world.controller.authorize(0, network_id, _address(who))
        com = world.config(0, network_id, who).com
    del world.vl1.sent[:]
    world.controller.authorize(500, network_id, _address("m2"), False)
    assert sorted([sent[1] for sent in world.vl1.sent]) == sorted(
        [_address(who) for who in ("m0", "m1", "m2")])
    for sent in world.vl1.sent:
        revocation, = _revocations(sent)
        assert revocation.credential_type == credentials.COM_TYPE
        assert revocation.issued_to == _address("m2") and revocation.network_id == network_id
        assert revocation.threshold >= com.timestamp and revocation.credential_id == 0
        assert revocation.flags == credentials.FAST_PROPAGATE
    assert not world.serves(500, network_id, "m2") and world.serves(500, network_id, "m1")
    assert world.error(2000, network_id, "m2") == packet.E_NETWORK_ACCESS_DENIED
    del world.vl1.sent[:]
    world.controller.authorize(2000, network_id, _address("m2"))
    again = _config(world.vl1.sent, packet.NETWORK_CONFIG, "m2").com
    assert again.timestamp > revocation.threshold


def test_revocations_wait_for_their_second_and_share_a_packet():
    world = _World()
    network_id = _create(world)
    for who in ("m0", "m1", "m2"):
        world.controller.authorize(0, network_id, _address(who))
        world.config(0, network_id, who)
    del world.vl1.sent[:]
    world.controller.delete_network(100, network_id)
    now = 100
    while now < 5000:
        now = world.controller.poll(now)
    to_m0 = [sent for sent in world.vl1.sent if sent[1] == _address("m0")]
    assert [len(_revocations(sent)) for sent in to_m0] == [3]
    network_id = _create(world, now=now)
    for who in ("m0", "m1", "m2"):
        world.controller.authorize(now, network_id, _address(who))
        world.config(now, network_id, who)
    del world.vl1.sent[:]
    for who in ("m0", "m1", "m2"):
        world.controller.delete_member(now, network_id, _address(who))
    for _ in range(5):
        now = world.controller.poll(now)
    to_m0 = [sent for sent in world.vl1.sent if sent[1] == _address("m0")]
    assert sum([len(_revocations(sent)) for sent in to_m0]) == 1
    to_m2 = [sent for sent in world.vl1.sent if sent[1] == _address("m2")]
    assert [len(_revocations(sent)) for sent in to_m2] == [1, 2]
    assert to_m2[1][0] - to_m2[0][0] > 1000


def test_a_controller_may_be_a_member_of_its_own_network():
    world = _World()
    network_id = _create(world)
    own = world.vl2.networks[network_id] = _OwnNetwork(network_id)
    world.vl2.own_controller(0, own)
    assert own.errors == [packet.E_NETWORK_ACCESS_DENIED] and own.configs == []
    world.controller.authorize(1000, network_id, _OWN.address)
    world.vl2.own_controller(2000, own)
    world.controller.authorize(2000, network_id, _OWN.address, False)
    assert [solicited for _, solicited in own.configs] == [False, True]
    assert own.configs[1][0].com.verify(_OWN) and own.revoked == [_OWN.address]
    assert world.vl1.sent == []


def test_a_served_member_may_subscribe_for_a_while():
    world = _World()
    network_id = _create(world, {"private": False})
    other = _create(world, {"private": False})
    world.config(0, network_id, "m0")
    assert world.serves(179999, network_id, "m0")
    assert not world.serves(180000, network_id, "m0")
    assert not world.serves(1, other, "m0") and not world.serves(1, network_id, "m1")


def test_a_restart_keeps_everything():
    world = _World()
    network_id = _create(world, _POOL)
    world.controller.update_network(0, network_id, {"name": "lab", "authTokens": {"x": 0}})
    world.controller.authorize(0, network_id, _address("m0"))
    before = world.config(0, network_id, "m0")
    world.error(0, network_id, "m1")
    again = _World(world.storage)
    assert again.controller.networks() == world.controller.networks()
    assert again.controller.members(network_id) == world.controller.members(network_id)
    after = again.config(5000, network_id, "m0")
    assert after.static_ips == before.static_ips and after.revision == before.revision
    assert again.error(5000, network_id, "m1") == packet.E_NETWORK_ACCESS_DENIED


def test_the_clock_does_not_go_back_over_a_restart():
    world = _World()
    network_id = _create(world, {"private": False})
    world.config(0, network_id, "m0")
    last = world.config(700000, network_id, "m0").timestamp
    again = _World(world.storage, epoch_ms=1000)
    first = again.config(0, network_id, "m0").timestamp
    assert last < first <= last + 300000
    assert again.config(60000, network_id, "m0").timestamp == first + 60000


def test_nothing_is_answered_that_was_not_stored():
    world = _World()
    network_id = _create(world, {"private": False})

    def fail(name, data):
        raise OSError(28)

    world.controller._records._store = fail
    assert world.ask(0, network_id, "m0") == []
    assert world.vl1.counters["controller_storage_failed"] == 1
    assert world.controller.members(network_id) == {}
    raises(OSError, world.controller.update_network, 0, network_id, {"name": "x"})
    assert world.controller.network(network_id)["name"] == ""


def test_damaged_storage_is_named():
    error = raises(ValueError, _World, {"controller.d/network/936317aa9a000001.json": b"{"})
    assert "936317aa9a000001.json" in str(error)
    raises(ValueError, _World, {"controller.d/network/936317aa9a000001/x.json": b"{}"})
    assert _World({"controller.d/network/notes.txt": b"?"}).controller.networks() == {}


def test_the_references_own_records_are_understood():
    name = "controller.d/network/936317aa9a000001"
    network = (b'{"id":"936317aa9a000001","name":"old","private":false,"authTokens":[null],'
               b'"dns":[],"revision":7,"rules":[{"type":"ACTION_ACCEPT","not":false,"or":false}],'
               b'"v6AssignMode":{"zt":true},"somethingNew":1,"creationTime":5}')
    member = b'{"id":"a0180a2442","authorized":true,"ipAssignments":["10.0.0.5"],"revision":3}'
    world = _World({name + ".json": network, name + "/member/a0180a2442.json": member})
    network_id = bytes.fromhex("936317aa9a000001")
    record = world.controller.network(network_id)
    assert record["name"] == "old" and record["revision"] == 7 and record["creationTime"] == 5
    assert record["v6AssignMode"] == {"rfc4193": False, "6plane": False, "zt": True}
    assert "somethingNew" not in record
    assert world.controller.member(network_id, _address("m0"))["ipAssignments"] == ["10.0.0.5"]
    assert world.config(0, network_id, "m0").revision == 7


def test_strangers_make_room_for_strangers_only():
    world = _World()
    network_id = _create(world)
    world.error(0, network_id, "m0")
    world.controller.authorize(0, network_id, _address("m0"))
    world.controller.update_member(0, network_id, _address("m1"), {"name": "expected"})
    for i in range(limits.STRANGERS + 3):
        stranger = Identity(bytes((1, 2, 3, 4, i)), _WHO["m2"].public)
        world.error(1000 + i, network_id, None, identity=stranger)
    known = world.controller.members(network_id)
    assert len(known) == limits.STRANGERS + 2
    assert _address("m0") in known and _address("m1") in known
    assert bytes((1, 2, 3, 4, 2)) not in known and bytes((1, 2, 3, 4, 3)) in known
    names = [name for name in world.storage if "/member/" in name]
    assert len(names) == len(known)


def test_wrong_arguments_are_told_clearly():
    world = _World()
    network_id = _create(world)
    controller = world.controller
    for function, args, words in (
            (controller.update_network, (b"\1" * 8, {}), "no network 0101010101010101"),
            (controller.member, (network_id, b"abcde"), "no member 6162636465"),
            (controller.create_network, ({}, b"\1" * 8), "does not begin with our address"),
            (controller.create_network, ({}, network_id), "exists already"),
            (controller.update_network, (network_id, {"private": 1}), "private: must be true"),
            (controller.update_network, (network_id, {"mtu": 100}), "mtu: must be a whole"),
            (controller.update_network, (network_id, {"nwid": "x"}), "no field 'nwid'"),
            (controller.authorize, (network_id, b"abc"), "not an address"),
            (controller.update_member, (network_id, b"abcde", {"tags": [[1]]}), "tags: ")):
        if function != controller.member:
            args = (0,) + args
        assert words in str(raises(ValueError, function, *args)), words
    assert controller.network(network_id)["revision"] == 1
