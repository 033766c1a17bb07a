"""The controller role: who is a member of a network, and with what (spec/controller.md)."""

from micropython import const

from mpcore import limits
from mpcore.roles import issuing, records
from mpcore.roles.clock import Clock
from mpcore.roles.records_store import RecordsStore
from mpcore.roles.revocations import Revocations
from mpcore.roles.sessions import Sessions
from mpcore.vl1 import packet
from mpcore.vl1.gate import Gate
from mpcore.vl1.identity import Identity
from mpcore.vl2 import addressing, config_text, credentials, exchange
from mpcore.vl2.credentials import Revocation
from mpcore.vl2.dictionary import integer

_REQUEST_GATE_MS = const(1001)   # a second request within 1000 ms is ignored
_POLL_MS = const(1000)
_TOKEN = b"token:"
_ZERO = b"\0\0\0\0\0\0\0\0"
_OWN_METADATA = {b"revr": b"1"}
_VERSIONS = (("vMajor", b"majv"), ("vMinor", b"minv"), ("vRev", b"revv"), ("vProto", b"pv"))


class Controller:
    """Serves the networks whose ID begins with this node's address.

    vl1, vl2: the node's. load(name), store(name, data), list_names(prefix), remove(name): the
    port's; store has kept the data when it returns. Network IDs are 8 bytes and addresses 5;
    records are dicts with the fields of spec/controller.md 8 and must not be changed by whoever
    gets one. What is wrong with an argument is said in a ValueError; OSError means that storage
    failed, and then nothing has changed.
    """

    def __init__(self, vl1, vl2, load, store, list_names, remove):
        self._vl1 = vl1
        self._vl2 = vl2
        self._clock = Clock(vl1.wall, load, store)
        self._records = RecordsStore(load, store, remove, list_names)
        self._gate = Gate(_REQUEST_GATE_MS, limits.SESSIONS)
        self._sessions = Sessions()
        self._revocations = Revocations(vl1)
        self._pushes = []        # (network ID, address) of configs to be pushed
        vl1.on(packet.NETWORK_CONFIG_REQUEST, self._on_request)
        vl2.like_authorities.append(self._may_subscribe)
        vl2.own_controller = self._on_own_request

    # --- for people ------------------------------------------------------------------------

    def networks(self):
        """Records of all networks, by ID."""
        return dict(self._records.networks)

    def network(self, network_id):
        """The record of a network."""
        record = self._records.networks.get(network_id)
        if record is None:
            raise ValueError(f"no network {network_id.hex()} on this controller")
        return record

    def members(self, network_id):
        """Records of all members of a network, by address: also of those who only asked."""
        self.network(network_id)
        return dict(self._records.members[network_id])

    def member(self, network_id, address):
        """The record of a member."""
        record = self.members(network_id).get(address)
        if record is None:
            raise ValueError(f"no member {address.hex()} of network {network_id.hex()}")
        return record

    def create_network(self, now, fields, network_id=None):
        """Make a network, with a random ID unless one is given; returns its record."""
        known = self._records.networks
        if network_id is None:
            network_id = self._new_id()
        if len(network_id) != 8 or network_id[:5] != self._vl1.address:
            raise ValueError(f"network ID {network_id.hex()} does not begin with our address")
        if network_id in known:
            raise ValueError(f"network {network_id.hex()} exists already")
        if len(known) >= limits.NETWORKS:
            raise ValueError(f"more than {limits.NETWORKS} networks")
        fresh = records.new_network(network_id, self._clock.tick(now))
        return self._records.save_network(records.update_network(fresh, fields))

    def update_network(self, now, network_id, fields):
        """Set fields of a network and push the change; returns its record."""
        old = self.network(network_id)
        updated = records.update_network(old, fields)
        if updated == old:
            return old
        updated = self._records.save_network(updated)
        for address in self._records.members[network_id]:
            self._enqueue(network_id, address)
        self._push_one(now)
        return updated

    def delete_network(self, now, network_id):
        """Remove a network and all its members; returns its last record."""
        record = self.network(network_id)
        for address, member in self.members(network_id).items():
            if member["authorized"]:
                self._revoke(now, network_id, address)
        self._records.remove_network(record)
        self._sessions.forget(network_id)
        self._revocations.send(now)
        return record

    def update_member(self, now, network_id, address, fields):
        """Set fields of a member, who need not have asked yet; returns its record."""
        known = self.members(network_id)
        if len(address) != 5:
            raise ValueError(f"not an address: {address.hex()}")
        time_ms = self._clock.tick(now)
        old = known.get(address) or records.new_member(network_id, address, time_ms)
        updated = records.update_member(old, fields, time_ms)
        if address in known and updated == old:
            return old
        if address not in known and not self._make_room(network_id):
            raise ValueError(f"more than {limits.MEMBERS} members")
        updated = self._records.save_member(updated)
        if updated["authorized"]:
            self._enqueue(network_id, address)
            self._push_one(now)
        elif old["authorized"]:
            self._revoke(now, network_id, address)
            self._revocations.send(now)
        return updated

    def authorize(self, now, network_id, address, authorized=True):
        """Let a member in, or throw it out at once; returns its record."""
        return self.update_member(now, network_id, address, {"authorized": authorized})

    def delete_member(self, now, network_id, address):
        """Forget a member, who is a stranger when it asks again; returns its last record."""
        record = self.member(network_id, address)
        if record["authorized"]:
            self._revoke(now, network_id, address)
        self._records.remove_member(record)
        self._revocations.send(now)
        return record

    def poll(self, now):
        """Do what is due, one push at a time; returns the ms at which to call again."""
        self._revocations.send(now)
        self._push_one(now)
        if self._pushes:
            return now
        return now + _POLL_MS

    # --- requests --------------------------------------------------------------------------

    def _on_request(self, now, peer, received):
        network_id, said = exchange.parse_request(received.buf, received.at, received.end)
        if network_id[:5] != self._vl1.address:
            return
        if not self._gate.allow(now, network_id + peer.address):
            return
        try:
            error, text = self._answer(now, network_id, peer.identity, said)
        except OSError:
            self._vl1.count("controller_storage_failed")  # no promise that a restart would break
            return
        if text is None:
            return self._vl1.send_error(now, peer, received, error, network_id)
        for body in self._chunks(network_id, text):
            self._vl1.send_ok(now, peer, received, body, compress=True)

    def _on_own_request(self, now, network):
        """We are a member of our own network (a vl2.network.Network) and want its config."""
        error, text = self._answer(now, network.id, self._vl1.identity, _OWN_METADATA)
        if text is None:
            network.enrolment.on_error(now, error, {})
        else:
            network.enrolment.accept(now, text)

    def _answer(self, now, network_id, holder, said):
        """Answer a member (Identity) that asks: (None, config's text) or (ERROR code, None)."""
        network = self._records.networks.get(network_id)
        if network is None:
            return packet.E_OBJ_NOT_FOUND, None
        time_ms = self._clock.tick(now)
        address = holder.address
        known = self._records.members[network_id].get(address)
        if known is None:
            if not self._make_room(network_id):
                self._vl1.count("members_full")
                return packet.E_NETWORK_ACCESS_DENIED, None
            known = records.new_member(network_id, address, time_ms)
        new = known["revision"] == 0
        identity = holder.to_text()
        if known.get("identity", identity) != identity:
            return packet.E_NETWORK_ACCESS_DENIED, None
        member = dict(known)
        member["identity"] = identity
        rules_revision = integer(said.get(b"revr"))
        self._admit(network, member, said, time_ms)
        if not member["authorized"]:
            self._save_if_changed(known, member)
            self._sessions.asked(now, (network_id, address), rules_revision)
            return packet.E_NETWORK_ACCESS_DENIED, None
        for name, key in _VERSIONS:
            member[name] = integer(said.get(key)) & 0xFFFF
        member, ips = self._complete(network, member, new)
        self._save_if_changed(known, member)
        session = self._sessions.asked(now, (network_id, address), rules_revision)
        return None, self._issue(now, session, network, member, holder, ips, time_ms)

    @staticmethod
    def _admit(network, member, said, time_ms):
        """Authorise a member where the network is open to it."""
        if member["authorized"]:
            return
        if not network["private"]:
            records.set_authorized(member, True, time_ms, "public")
            return
        offered = said.get(b"a", b"")
        if offered[:len(_TOKEN)] == _TOKEN:
            tokens = network["authTokens"]
            for token in tokens:
                if token.encode() == offered[len(_TOKEN):] and (
                        tokens[token] == 0 or tokens[token] > time_ms):
                    records.set_authorized(member, True, time_ms, "token", token)

    def _may_subscribe(self, now, network_id, peer):
        return self._sessions.served(now, (network_id, peer.address))

    # --- records ---------------------------------------------------------------------------

    def _new_id(self):
        while True:
            network_id = self._vl1.address + self._vl1.entropy(3)
            if network_id[5:] != b"\0\0\0" and network_id not in self._records.networks:
                return network_id

    def _save_if_changed(self, known, member):
        if known["revision"] == 0 or member != known:
            self._records.save_member(member)

    def _make_room(self, network_id):
        """Whether a member may be added; of those who only ever asked the oldest makes room."""
        members = self._records.members[network_id]
        strangers = [m for m in members.values()
                     if not m["authorized"] and m["revision"] == 1 and "identity" in m]
        if len(strangers) >= limits.STRANGERS or strangers and len(members) >= limits.MEMBERS:
            oldest = min(strangers, key=lambda m: m["creationTime"])
            self._records.remove_member(oldest)
            self._vl1.count("strangers_forgotten")
        return len(members) < limits.MEMBERS

    def _complete(self, network, member, new):
        members = self._records.members[bytes.fromhex(network["id"])]

        def used(text):
            return any(text in other["ipAssignments"] for other in members.values())

        return issuing.complete(network, member, new, used, self._vl1.entropy)

    # --- configs ---------------------------------------------------------------------------

    def _issue(self, now, session, network, member, holder, ips, time_ms):
        """The text of a member's config, which it is now served with."""
        members = self._records.members[bytes.fromhex(network["id"])]
        bridges = [address for address in members
                   if members[address]["activeBridge"] and members[address]["authorized"]]
        made = issuing.make_config(self._vl1.identity, network, member, holder, ips, bridges,
                                   time_ms, session.rules_revision)
        session.served_ms = now
        # Real nodes tell of a new address of their own only some seconds later: until then
        # whoever looks for it learns from us whose it is.
        for ip, _ in ips:
            self._vl2.groups.add(now, made.network_id + addressing.resolution_group(ip),
                                 holder.address)
        return config_text.write(made)

    def _chunks(self, network_id, text):
        update_id = _ZERO
        while update_id == _ZERO:
            update_id = self._vl1.entropy(8)
        return exchange.split(network_id, text, update_id, self._vl1.identity)

    def _enqueue(self, network_id, address):
        if (network_id, address) not in self._pushes:
            self._pushes.append((network_id, address))

    def _push_one(self, now):
        """Push the first config in the queue whose member is there to take it."""
        while self._pushes:
            network_id, address = key = self._pushes.pop(0)
            session = self._sessions.online(now, key)
            member = self._records.members.get(network_id, {}).get(address)
            if session is not None and member is not None and member["authorized"]:
                try:
                    return self._push(now, session, self._records.networks[network_id], member)
                except OSError:
                    self._vl1.count("controller_storage_failed")  # it will ask by itself

    def _push(self, now, session, network, known):
        time_ms = self._clock.tick(now)
        member, ips = self._complete(network, known, False)
        self._save_if_changed(known, member)
        holder = Identity.from_text(member["identity"])
        text = self._issue(now, session, network, member, holder, ips, time_ms)
        network_id = bytes.fromhex(network["id"])
        if holder.address == self._vl1.address:
            if network_id in self._vl2.networks:
                self._vl2.networks[network_id].enrolment.accept(now, text, False)
            return
        for body in self._chunks(network_id, text):
            self._vl1.send(now, holder.address, packet.NETWORK_CONFIG, body, compress=True)

    def _revoke(self, now, network_id, target):
        """Void the COM of a member; everybody online learns it, the member too."""
        number = int.from_bytes(self._vl1.entropy(4), "big")
        revocation = Revocation.issue(self._vl1.identity, network_id, number,
                                      credentials.COM_TYPE, 0, self._clock.tick(now), target)
        own = self._vl2.networks.get(network_id)
        if own is not None:
            own.membership.add(revocation)
        for address in self._records.members[network_id]:
            if address != self._vl1.address and self._sessions.online(now, (network_id, address)):
                self._revocations.add(address, revocation)
        self._sessions.withdraw((network_id, target))
