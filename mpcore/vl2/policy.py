"""What one network's rules and capabilities make of a frame (spec/vl2-rules.md 3)."""

import struct

from micropython import const

from mpcore.vl1 import packet
from mpcore.vl2 import addressing, emulation, rules
from mpcore.vl2.credentials import CAPABILITY_TYPE, OWNERSHIP_TYPE, TAG_TYPE
from mpcore.vl2.rules import ACCEPT, DROP, NO_MATCH, REDIRECT, SUPER_ACCEPT

# EXT_FRAME flags of copies and redirected frames, spec/vl2-frames.md 3
_TEE_OUT = const(0x02)
_REDIRECT_OUT = const(0x04)
_TEE_IN = const(0x08)
_REDIRECT_IN = const(0x0A)
_WATCH = const(0x14)


class Policy:
    """Judges the frames of a network, and sends the copies that its rules ask for.

    membership: the network's. `wanted` lists the types of others' credentials that the rules can
    ask for.
    """

    def __init__(self, vl1, membership, config):
        """Raises ValueError, naming it, when a rule of the config cannot be honoured."""
        self._vl1 = vl1
        self._membership = membership
        self._mac = addressing.mac_of(membership.network_id, vl1.address)
        parsed = rules.parse(config.rules)
        own = sorted(config.capabilities, key=lambda capability: capability.id)
        sets = [parsed] + [rules.parse(capability.rules) for capability in own]
        for one in sets:
            unknown = rules.unsupported(one)
            if unknown is not None:
                raise ValueError(unknown)
        self._config = config
        self._rules = parsed
        self._own = sets[1:]
        self._tags = {tag.id: tag.value for tag in config.tags}
        self._ownerships = config.ownerships
        self._capability_rules = {}
        self.wanted = _wanted(parsed)

    def outbound(self, now, address, member, destination_mac, ethertype, buf, off, n, copies=True):
        """Whether buf[off:off+n] may leave for a member.

        address: its address, five zeros where the frame is for several. member: its Member or None.
        copies: let the rules copy and redirect, which they do only once for a frame to several.
        """
        payload = memoryview(buf)[off:off + n]
        tags = None if member is None else self._membership.tags_of(member)
        frame = rules.Frame(False, self._vl1.address, address, self._vl1.address, self._mac,
                            destination_mac, ethertype, payload, self._tags, tags,
                            self._config.flags, self._we_own, self._vl1.entropy)
        verdict = self._decide(frame, self._own)
        if copies and verdict != DROP:
            self._copy(now, frame, _TEE_OUT)
            if verdict == REDIRECT:
                self._send(now, frame.redirect, _REDIRECT_OUT, frame, n)
        return verdict == ACCEPT or verdict == SUPER_ACCEPT

    def inbound(self, now, member, source_mac, destination_mac, ethertype, buf, off, n):
        """DROP, ACCEPT or SUPER_ACCEPT for a frame buf[off:off+n] that a member sent us."""
        payload = memoryview(buf)[off:off + n]

        def owns(value):
            return self._owns(member, value)

        frame = rules.Frame(True, member.address, self._vl1.address, self._vl1.address, source_mac,
                            destination_mac, ethertype, payload, self._tags,
                            self._membership.tags_of(member), self._config.flags, owns,
                            self._vl1.entropy)
        verdict = self._decide(frame, self._rules_of(member))
        if verdict != DROP:
            self._copy(now, frame, _TEE_IN)
            if verdict == REDIRECT:
                self._send(now, frame.redirect, _REDIRECT_IN, frame, n)
                return DROP
        return verdict

    def _decide(self, frame, capabilities):
        """DROP, ACCEPT, SUPER_ACCEPT or REDIRECT, by the rules or else by a capability."""
        verdict = rules.evaluate(self._rules, frame)
        if verdict != NO_MATCH:
            return verdict
        copy = frame.copy
        for one in capabilities:
            verdict = rules.evaluate(one, frame)
            if verdict in (ACCEPT, SUPER_ACCEPT, REDIRECT):
                if frame.copy is None:
                    frame.copy = copy
                return verdict
        return DROP

    def _rules_of(self, member):
        """Rule sets of a member's capabilities; one that cannot be honoured accepts nothing."""
        sets = []
        for capability in self._membership.capabilities_of(member):
            parsed = self._capability_rules.get(capability.rules)
            if parsed is None:
                try:
                    parsed = rules.parse(capability.rules)
                    if rules.unsupported(parsed) is not None:
                        parsed = ()
                except ValueError:
                    parsed = ()
                self._capability_rules[capability.rules] = parsed
            sets.append(parsed)
        return sets

    # --- copies ----------------------------------------------------------------------------

    def _copy(self, now, frame, flags):
        if frame.copy is not None:
            target, length, watch = frame.copy
            self._send(now, target, flags | _WATCH if watch else flags, frame, length)

    def _send(self, now, target, flags, frame, n):
        payload = (self._membership.network_id + bytes((flags,)) + frame.destination_mac
                   + frame.source_mac + struct.pack(">H", frame.ethertype)
                   + bytes(frame.payload[:n]))
        for credentials in self._membership.pushes(now, self._membership.member(target)):
            self._vl1.send(now, target, packet.NETWORK_CREDENTIALS, credentials, True)
        self._vl1.send(now, target, packet.EXT_FRAME, payload, True)

    # --- ownership, section 4 --------------------------------------------------------------

    def _we_own(self, value):
        return any([certificate.owns(value) for certificate in self._ownerships])

    def _owns(self, member, value):
        if len(value) == 16 and emulation.owner(self._config, value) == member.address:
            return True     # the address itself says whose it is
        return any([certificate.owns(value) for certificate in
                    self._membership.in_force(member, OWNERSHIP_TYPE)])


def _wanted(parsed):
    """Types of credentials of the other member that a rule set can ask for."""
    if rules.undecided(parsed):
        return (CAPABILITY_TYPE, TAG_TYPE, OWNERSHIP_TYPE)
    wanted = (TAG_TYPE,) if rules.compares_tags(parsed) else ()
    return wanted + (OWNERSHIP_TYPE,) if rules.asks_ownership(parsed) else wanted
