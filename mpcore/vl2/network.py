"""One joined network: an Ethernet link whose wire is VL1 (spec/vl2-frames.md)."""

import struct

import micropython
from micropython import const

from mpcore import limits
from mpcore.octets import copy, equal
from mpcore.vl1 import packet
from mpcore.vl1.gate import Gate
from mpcore.vl1.packet import HEADER, START
from mpcore.vl1.peer import NEVER
from mpcore.vl2 import addressing, multicast
from mpcore.vl2.checks import Checks
from mpcore.vl2.config import (ACCEPT_ALL, ACTIVE_BRIDGE, ANCHOR, BROADCAST, DEFAULT_MTU,
                               PLAIN_MULTICAST, REPLICATOR)
from mpcore.vl2.membership import Membership

_FRAME_HEADER = const(10)        # network ID and ethertype
_MAX_MTU = const(9875)           # the largest frame that every verb can carry in 7 datagrams
_ANNOUNCE_MS = const(60000)
_SELDOM_MS = const(200000)       # the same to the quiet, or at low bandwidth: before paths expire
_QUIET_MS = const(500000)        # since a member's last frame
_CHECK_MS = const(5000)
_ASK_PAUSE_MS = const(1000)      # between GATHERs for a group that nobody is known of ...
_ASK_MORE_MS = const(5000)       # ... and for one that may have new ones: who asks "is anybody
                                 # there?" wants to hear of a newcomer before a minute has passed
_ASKED = const(16)               # addresses that a GATHER goes to
_REFUSE_MS = const(1000)
_UNWANTED_MS = const(100)

# EXT_FRAME flags, section 3
_COM = const(0x01)
_ACKNOWLEDGE = const(0x10)

# Verdicts, as in rules.py
_DROP = const(1)
_ACCEPT = const(2)
_SUPER_ACCEPT = const(3)

_NOBODY = b"\0\0\0\0\0"         # who a frame to several goes to
_BROADCAST_GROUP = addressing.BROADCAST + b"\0\0\0\0"
_ARP = const(0x0806)
_IPV6 = const(0x86DD)
_ARP_REQUEST = b"\x08\x00\x06\x04\x00\x01"


class Network:
    """A member's end of one network; made by VL2.join.

    id (8 bytes), controller (address; None for an ad-hoc network), config (NetworkConfig or None).
    status: REQUESTING_CONFIGURATION, OK, ACCESS_DENIED, NOT_FOUND, AUTHENTICATION_REQUIRED
    (spec/vl2-config.md 7), or RULES_UNSUPPORTED: no frames pass, as the network has a rule that
    this node does not know. reason: text for people.

    As a link for an IP stack: mac, mtu, whole, headroom (bytes it needs before a frame), transmit,
    subscribe, unsubscribe.
    above.receive(now, source_mac, destination_mac, ethertype, buf, off, n) gets what comes in;
    on_change(now, network) tells of a new status or config. The owner sets both.
    """

    headroom = START + HEADER + _FRAME_HEADER
    whole = limits.MTU - HEADER - _FRAME_HEADER     # what fits one datagram

    def __init__(self, vl1, network_id, groups, max_members, enrolment, low_bandwidth=False):
        """groups: multicast.Groups; max_members: how many are kept; enrolment: called with the
        network, makes its Enrolment or what stands for it. low_bandwidth: announce our groups
        seldom, and to quiet members not at all: they learn of us from a root.
        """
        self.id = network_id
        self.controller = (None if addressing.is_adhoc(network_id)
                           else addressing.controller_of(network_id))
        self.mac = addressing.mac_of(network_id, vl1.address)
        self.mtu = DEFAULT_MTU
        self.config = None
        self.status = "REQUESTING_CONFIGURATION"
        self.reason = ""
        self.above = _Nobody()          # not its method: to call a bound one takes heap
        self.on_change = _ignore
        self.membership = Membership(network_id, max_members)
        self.checks = Checks(vl1)
        self.enrolment = enrolment(self)
        self.vl1 = vl1
        self._groups = groups
        self._policy = None             # what rules make of a frame, if any can stop one
        self._usable = False            # there is a config whose rules we honour ...
        self._open = False              # ... and they let everything pass
        self._outbound = multicast.Outbound()
        self._subscribed = set()        # groups (MAC and ADI, 10 bytes) asked for from above ...
        self._own = set()               # ... and those that follow from the config
        self._announced_ms = {}         # root, controller or anchor -> when it had our groups
        self._check_ms = NEVER
        self._low_bandwidth = low_bandwidth
        self._bridges = ()              # active bridges, without us
        self._behind = {}               # MAC behind a bridge -> address of the bridge
        self._refused = Gate(_REFUSE_MS, max_members)
        self._unwanted = Gate(_UNWANTED_MS, max_members)
        self._asked = Gate(_ASK_PAUSE_MS, max_members)
        self._asked_more = Gate(_ASK_MORE_MS, max_members)

    # --- standing --------------------------------------------------------------------------

    def configure(self, now, config):
        """A config from the controller (or its cache) applies from now on."""
        self.config = config
        self.mtu = min(config.mtu, _MAX_MTU)
        status, reason = "OK", ""
        self._policy = None
        if config.rules != ACCEPT_ALL:
            from mpcore.vl2.policy import Policy    # with the rules engine: not all need it

            try:
                self._policy = Policy(self.vl1, self.membership, config)
            except ValueError as error:
                status, reason = "RULES_UNSUPPORTED", "the network's rules: %s" % error
        self._usable = status == "OK"
        self._open = self._usable and self._policy is None
        self.membership.configure(config, () if self._policy is None else self._policy.wanted)
        self._bridges = [a for a in config.specialists_as(ACTIVE_BRIDGE) if a != self.vl1.address]
        own = set([addressing.resolution_group(ip) for ip, _ in config.static_ips])
        if config.flags & BROADCAST:
            own.add(_BROADCAST_GROUP)
        known, self._own = self._own | self._subscribed, own
        self._announce_new(now, [group for group in own if group not in known])
        self.status, self.reason = status, reason
        self.on_change(now, self)

    def set_status(self, now, status, reason=""):
        if (status, reason) != (self.status, self.reason):
            self.status, self.reason = status, reason
            self.on_change(now, self)

    def poll(self, now):
        """Do what is due; returns the ms at which to call again."""
        if now >= self._check_ms:
            self._check_ms = now + _CHECK_MS
            self.vl1.work.in_turns(now, self._announce(now))
            self._outbound.expire(now)
            self.checks.run(now)    # where one failed for lack of memory, the others wait
        return min(self._check_ms, self.enrolment.poll(now))

    # --- groups we listen to, section 8 ----------------------------------------------------

    def subscribe(self, now, mac, adi=b"\0\0\0\0"):
        """Listen to a multicast group: MAC (6 bytes) and ADI (4 bytes)."""
        group = mac + adi
        news = not self.listens(group)
        self._subscribed.add(group)
        if news:
            self._announce_new(now, [group])

    def unsubscribe(self, now, mac, adi=b"\0\0\0\0"):
        """Listen no longer; members are told, and so is who sends to the group nevertheless."""
        group = mac + adi
        if self.listens(group):
            self._subscribed.discard(group)
            if not self.listens(group):
                for member in self._listening_members():
                    self.vl1.send(now, member.address, packet.ERROR, self._unwanted_answer(group))

    def _unwanted_answer(self, group):
        """ERROR to a MULTICAST_FRAME that nobody has sent, spec/vl2-multicast.md 8."""
        return (bytes((packet.MULTICAST_FRAME,)) + bytes(8)
                + bytes((packet.E_UNWANTED_MULTICAST,)) + self.id + group)

    def listens(self, group):
        return group in self._own or group in self._subscribed

    def contacts(self):
        """Addresses worth staying in contact with: the controller and the anchors."""
        addresses = set()
        if self.controller is not None:
            addresses.add(self.controller)
        if self.config is not None:
            addresses.update(self.config.specialists_as(ANCHOR))
        addresses.discard(self.vl1.address)
        return addresses

    def _announcees(self):
        """Who keeps lists of listeners for others."""
        return self.contacts() | set([root.address for root in self.vl1.roots()])

    def keeps_listeners(self, peer):
        """Whether a Peer may name us the listeners of this network's groups."""
        return peer.address in self._announcees() or self.membership.gate(peer) is not None

    def _like(self, now, address, groups):
        """Announce groups to one node; False when that has to wait."""
        sent = True
        for payload in multicast.likes(self.id, groups):
            if self.vl1.send(now, address, packet.MULTICAST_LIKE, payload, True) is None:
                sent = False
        return sent

    def _announce_new(self, now, groups):
        if groups:
            self.vl1.work.in_turns(now, self._tell(now, groups))

    def _tell(self, now, groups):
        for address in self._announcees():
            self._like(now, address, groups)
            yield
        for member in self._listening_members():
            self._like(now, member.address, groups)
            yield

    def _announce(self, now):
        """The full list to whom it is due, in turns."""
        groups = list(self._own | self._subscribed)
        pause_ms, announcees = _ANNOUNCE_MS, self._announcees()
        if self._low_bandwidth:
            pause_ms = _SELDOM_MS
            announcees = set([root.address for root in self.vl1.roots()]) or announcees
        for address in announcees if groups else ():
            if now - self._announced_ms.get(address, NEVER) >= pause_ms:
                if self._like(now, address, groups):
                    self._announced_ms[address] = now
                yield
        for member in self._listening_members():
            if self._announce_to(now, member):
                yield

    def _announce_one(self, now, member):
        yield self._announce_to(now, member)

    def _announce_to(self, now, member):
        """Tell a member what is due to it; whether that was something. Its peer may be gone, as
        this comes in turns."""
        peer = self.vl1.peers.get(member.address)
        if peer is None:
            return False
        since_ms = now - member.announced_ms
        if since_ms < (_SELDOM_MS if self._low_bandwidth else _ANNOUNCE_MS):
            return False
        quiet = self._is_quiet(now, member)
        if quiet and (self._low_bandwidth or since_ms < _SELDOM_MS
                      or peer.best_path(now) is None):
            return False        # all that this is for is a path that outlives the root
        member.announced_ms = now
        if not quiet or now - member.pushed_ms >= self.config.credential_max_delta // 2:
            self.push(now, member)
        self._like(now, member.address, list(self._own | self._subscribed))
        return True

    def _is_quiet(self, now, member):
        """Whether a member, while it sends us nothing, may learn of us from a root."""
        root = self.vl1.best_root(now)
        return (now - member.heard_ms >= _QUIET_MS and root is not None and root.direct(now))

    def _listening_members(self):
        """Members in good standing whose identity VL1 still has."""
        peers, gate = self.vl1.peers, self.membership.gate
        return [m for m in list(self.membership.members.values())
                if m.address in peers and gate(peers[m.address]) is m]

    # --- out, section 4 --------------------------------------------------------------------

    @micropython.native
    def transmit(self, now, destination_mac, ethertype, buf, off, n):
        """Send the Ethernet payload buf[off:off+n]; `headroom` bytes before it are overwritten.

        No VL1 buffer has to be moved when off % 4 is headroom % 4. A neighbour solicitation that
        needs no wire is answered through `above` before this returns.
        """
        member = self.membership.last
        if (member is None or member.mac != destination_mac or not self._open
                or now >= member.push_ms or n > self.mtu):
            member = self._prepare(now, destination_mac, ethertype, buf, off, n)
            if member is None:
                return
        at = off - _FRAME_HEADER
        copy(buf, at, self.id, 0, 8)
        buf[off - 2] = ethertype >> 8
        buf[off - 1] = ethertype & 255
        self.vl1.send_frame(now, member.address, buf, at, n + _FRAME_HEADER)

    def _prepare(self, now, destination_mac, ethertype, buf, off, n):
        """See to all that a frame may need; returns the Member to send it to as a FRAME, if that
        is still to be done."""
        if not self._usable or n > self.mtu:
            return self.vl1.count("frame_not_sendable")
        if destination_mac[0] & 1:
            return self._transmit_multicast(now, destination_mac, ethertype, buf, off, n)
        if destination_mac == self.mac:
            return self.above.receive(now, self.mac, self.mac, ethertype, buf, off, n)
        if destination_mac[0] != self.mac[0]:
            return self._transmit_bridged(now, destination_mac, ethertype, buf, off, n)
        member = self.membership.towards(destination_mac)
        policy = self._policy
        if policy is not None and not policy.outbound(
                now, member.address, member, destination_mac, ethertype, buf, off, n):
            return self.vl1.count("rules_out")
        if now >= member.push_ms:
            self.push(now, member)
        return member

    def _transmit_bridged(self, now, destination_mac, ethertype, buf, off, n):
        """To a MAC that is no member's: by the bridge that had it, or by all of them."""
        policy, vl1 = self._policy, self.vl1
        if policy is not None and not policy.outbound(
                now, _NOBODY, None, destination_mac, ethertype, buf, off, n):
            return vl1.count("rules_out")
        bridge = self._behind.get(destination_mac)
        bridges = (bridge,) if bridge in self._bridges else self._bridges[:limits.BRIDGES]
        payload = (self.id + b"\0" + destination_mac + self.mac + struct.pack(">H", ethertype)
                   + bytes(memoryview(buf)[off:off + n]))
        for address in bridges:
            member = self.membership.member(address)
            if policy is None or policy.outbound(
                    now, address, member, destination_mac, ethertype, buf, off, n, False):
                vl1.send(now, address, packet.EXT_FRAME, payload)

    def push(self, now, member, asked=False):
        """Our credentials, ahead of what needs them."""
        for payload in self.membership.pushes(now, member, asked):
            self.vl1.send(now, member.address, packet.NETWORK_CREDENTIALS, payload, True)

    def _transmit_multicast(self, now, destination_mac, ethertype, buf, off, n):
        config, policy = self.config, self._policy
        data = bytes(memoryview(buf)[off:off + n])
        group = destination_mac + b"\0\0\0\0"
        if group == _BROADCAST_GROUP:
            if ethertype == _ARP and n >= 28 and data[2:8] == _ARP_REQUEST:
                group = destination_mac + data[24:28]   # only its owner gets the question
            elif not config.flags & BROADCAST:
                return self.vl1.count("broadcast_off")
        elif ethertype == _IPV6:
            from mpcore.vl2 import emulation    # of IPv6 alone

            answer = emulation.advertisement(config, ethertype, data)
            if answer is not None:
                return self.above.receive(now, answer[0], self.mac, ethertype,
                                          bytearray(answer[1]), 0, len(answer[1]))
        if not config.multicast_limit:
            return self.vl1.count("multicast_off")
        if policy is not None and not policy.outbound(
                now, _NOBODY, None, destination_mac, ethertype, buf, off, n):
            return self.vl1.count("rules_out")
        self._replicate(now, self.id + group, ethertype, data)

    def _replicate(self, now, key, ethertype, data):
        """Send a multicast to each listener, and look for more (spec/vl2-multicast.md 9)."""
        replicator = self._replicator(now)
        if replicator is not None:
            self.push(now, self.membership.member(replicator))
            self.vl1.send(now, replicator, packet.MULTICAST_FRAME,
                           multicast.order(key, self.mac, ethertype, data), True)
            return
        limit = self.config.multicast_limit
        listeners = self._groups.members(now, key)
        want = max(limit - len(listeners) + 1, 1)
        asked = self._asked_more if listeners else self._asked
        ask = want > 1 and asked.allow(now, key)
        payload = multicast.frame(key, want, ethertype, data)
        bridges = self._bridges
        targets = multicast.rotated([a for a in listeners if a not in bridges],
                                    self.vl1.entropy(1)[0])
        targets = (list(bridges) + targets)[:limit]
        if want > 1:
            self._outbound.hold(now, key, payload, targets, limit)
        self.vl1.work.in_turns(now, self._copies(
            now, targets, payload, self._gather(now, key, want) if ask else ()))

    def _copies(self, now, targets, payload, asking):
        for address in targets:
            self._copy(now, address, payload)
            yield
        yield from asking

    def _replicator(self, now):
        """Address of who sends multicasts to all listeners for us; None if nobody does."""
        replicators = self.config.specialists_as(REPLICATOR)
        if self.vl1.address in replicators:
            return None
        peers = [self.vl1.peers[a] for a in replicators if a in self.vl1.peers]
        live = [peer for peer in peers if peer.direct(now)]
        return min(live, key=lambda peer: peer.latency_ms(now)).address if live else None

    def _gather(self, now, key, want):
        root = self.vl1.best_root(now)
        asked = [root.address] if root is not None else []
        asked.extend([address for address in self.contacts() if address not in asked])
        payload = multicast.gather(key, want, self.config.com_raw)
        for address in asked[:_ASKED]:
            self.vl1.send(now, address, packet.MULTICAST_GATHER, payload)
            yield

    def _copy(self, now, address, payload):
        """One listener's copy of a multicast."""
        member = self.membership.member(address)
        policy = self._policy
        if policy is not None and not policy.outbound(
                now, address, member, payload[13:19], payload[23] << 8 | payload[24], payload,
                multicast.DATA, len(payload) - multicast.DATA, False):
            return self.vl1.count("rules_out")
        self.push(now, member)
        self.vl1.send(now, address, packet.MULTICAST_FRAME, payload,
                       not self.config.flags & PLAIN_MULTICAST)

    def learned(self, now, key, address):
        """A listener of a group came to be known: it gets what waits."""
        for payload in self._outbound.due(now, key, address) if self._usable else ():
            self._copy(now, address, payload)

    # --- in, sections 5 and 9 --------------------------------------------------------------
    # Each returns whether the sender may talk here; if not, the packet is worth keeping.

    def _admit(self, now, peer, received):
        """The Member that sent this, or None. It is told if we lack what it has been certified."""
        member = self.membership.gate(peer)
        if member is None or member.unread and self.membership.lacks(member):
            if not self.checks.waiting(peer.address) and self._refused.allow(now, peer.address):
                self.vl1.send_error(now, peer, received,
                                     packet.E_NEED_MEMBERSHIP_CERTIFICATE, self.id)
        if member is None:
            return None
        member.heard_ms = now
        self.vl1.trust(now, peer, received)
        if now - member.announced_ms >= _ANNOUNCE_MS:
            self.vl1.work.in_turns(now, self._announce_one(now, member))
        return member

    @micropython.native
    def receive_talk(self, now, peer, buf, at, end):
        """The payload buf[at:end] of a FRAME on this network, of the same member as the last one
        and with nothing to be settled between us; False, and nothing has happened, when it is
        another."""
        member = self.membership.talker
        if (member is None or member.allowed is not peer.identity or not self._open
                or now - member.announced_ms >= _ANNOUNCE_MS or end - at <= _FRAME_HEADER
                or not equal(buf, at, self.id)):
            return False
        member.heard_ms = peer.trusted_ms = now
        at += _FRAME_HEADER
        self.above.receive(now, member.mac, self.mac, buf[at - 2] << 8 | buf[at - 1], buf, at,
                           end - at)
        return True

    def receive_frame(self, now, peer, received):
        """FRAME: its MACs are those of the sender and us."""
        received.need(_FRAME_HEADER + 1)
        member = self._admit(now, peer, received)
        if member is None:
            return False
        self.membership.talker = member
        buf, at = received.buf, received.at + _FRAME_HEADER
        ethertype, n = buf[at - 2] << 8 | buf[at - 1], received.end - at
        if not self._usable:
            self.vl1.count("frame_refused")
        elif self._judge(now, member, member.mac, self.mac, ethertype, buf, at, n) != _DROP:
            self.above.receive(now, member.mac, self.mac, ethertype, buf, at, n)
        return True

    def receive_ext_frame(self, now, peer, received):
        """EXT_FRAME: it carries its MACs."""
        received.need(9)
        buf, at, end = received.buf, received.at + 9, received.end
        flags = buf[at - 1]
        if flags & _COM:
            from mpcore.vl2.credentials import COM

            com, length = COM.from_bytes(buf, at, end)
            at += length
            self.offer(now, (com,), peer.address)
        member = self._admit(now, peer, received)
        if member is None:
            return False
        if end - at < 15 or self._receive_ext(now, member, buf, at, end):
            if flags & _ACKNOWLEDGE:
                self.vl1.send_ok(now, peer, received, self.id)
        return True

    def _receive_ext(self, now, member, buf, at, end):
        """Whether the frame may be acknowledged, though rules may have stopped it."""
        destination_mac, source_mac = bytes(buf[at:at + 6]), bytes(buf[at + 6:at + 12])
        if not self._usable or source_mac == bytes(6) or source_mac == self.mac:
            self.vl1.count("frame_refused")
            return False
        ethertype = buf[at + 12] << 8 | buf[at + 13]
        at += 14
        n = end - at
        verdict = self._judge(now, member, source_mac, destination_mac, ethertype, buf, at, n)
        if verdict == _DROP:
            return True
        if verdict != _SUPER_ACCEPT and not (
                self._may_bear(member, source_mac) and self._takes(destination_mac)):
            self.vl1.count("frame_refused")
            return False
        self.above.receive(now, source_mac, destination_mac, ethertype, buf, at, n)
        return True

    def receive_multicast(self, now, peer, received):
        """MULTICAST_FRAME, spec/vl2-multicast.md 6."""
        buf, end = received.buf, received.end
        com, limit, source_mac, group, ethertype, at = multicast.parse_frame(buf, received.at, end)
        if com is not None:
            self.offer(now, (com,), peer.address)
        member = self._admit(now, peer, received)
        if member is None:
            return False
        if not self._usable or not self.config.multicast_limit:
            self.vl1.count("multicast_off")
            return True
        if end > at:
            source_mac = source_mac or member.mac
            if (not group[0] & 1 or source_mac[0] & 1 or source_mac == self.mac
                    or source_mac == bytes(6) or not self._may_bear(member, source_mac)):
                self.vl1.count("frame_refused")
                return True
            if self._judge(now, member, source_mac, group[:6], ethertype, buf, at,
                           end - at) != _DROP:
                self.above.receive(now, source_mac, group[:6], ethertype, buf, at, end - at)
            if not self.listens(group) and self._unwanted.allow(now, peer.address + group):
                self.vl1.send_error(now, peer, received, packet.E_UNWANTED_MULTICAST,
                                     self.id + group)
        if limit:
            key = self.id + group
            found = self._groups.gathered(now, key, peer.address, limit, self.listens(group),
                                          self.vl1.entropy(1)[0])
            if found is not None:
                self.vl1.send_ok(now, peer, received, multicast.frame_answer(key, found))
        return True

    def _judge(self, now, member, source_mac, destination_mac, ethertype, buf, off, n):
        """DROP, ACCEPT or SUPER_ACCEPT, by the rules."""
        if self._policy is None:
            return _ACCEPT
        verdict = self._policy.inbound(now, member, source_mac, destination_mac, ethertype, buf,
                                       off, n)
        if verdict == _DROP:
            self.vl1.count("rules_in")
        return verdict

    def _may_bear(self, member, mac):
        """Whether a frame from this member may bear this source MAC: only bridges pass others'."""
        if mac == member.mac:
            return True
        if member.address not in self._bridges:
            return False
        if mac not in self._behind and len(self._behind) >= limits.BRIDGE_ROUTES:
            self._behind.popitem()
        self._behind[mac] = member.address
        return True

    def _takes(self, mac):
        """Whether frames to this MAC are for us; nobody is behind us."""
        return mac == self.mac or bool(mac[0] & 1 and self.config.multicast_limit)

    # --- credentials -----------------------------------------------------------------------

    def offer(self, now, found, giver):
        """Store credentials that `giver` (address) sent; see correspondence.py."""
        if found:
            from mpcore.vl2 import correspondence

            correspondence.offer(self, now, found, giver)


class _Nobody:
    """Nothing is above yet."""

    def receive(self, *frame):
        pass


def _ignore(*args):
    """Nobody is interested."""
