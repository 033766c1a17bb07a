"""Who belongs to one network, by their credentials and ours (spec/vl2-credentials.md)."""

import micropython
from micropython import const

from mpcore import limits
from mpcore.vl1.peer import NEVER
from mpcore.vl2 import addressing
from mpcore.vl2.bundle import bundle
from mpcore.vl2.config import Certified
from mpcore.vl2.credentials import CAPABILITY_TYPE, COM_TYPE, REVOCATION_TYPE, TAG_TYPE

_PUSH_MS = const(500001)
_PUSH_AGAIN_MS = const(1001)    # some nodes ignore what comes within a second of the last
_PUSH_BYTES = const(9000)       # of credentials in one packet


class Member(Certified):
    """What is known of another member, and when we last sent it what."""

    held = {}                   # (type, ID) -> tag, capability or certificate of ownership;
                                # this one, of who has none, stays empty
    unread = 0                  # a bit for each type of those that it has and no rule asked for
                                # when they came
    refused = None              # the identity that it was found not to be allowed for
    tags = None                 # those in force, by ID; None = to be worked out
    capabilities = None         # those in force, by ascending ID; None likewise

    def __init__(self, network_id, address):
        self.address = address
        self.mac = addressing.mac_of(network_id, address)
        self.heard_ms = NEVER       # its last frame
        self.announced_ms = NEVER   # our groups, to it
        self.pushed_ms = NEVER      # our credentials, to it ...
        self.push_ms = NEVER        # ... and when they are due again
        self.allowed = None         # the identity that it was found to be allowed for

    def reconsider(self):
        """Credentials changed, theirs or ours."""
        self.allowed = None
        if self.refused is not None:        # seldom: there is no room for it before
            self.refused = None
        if self.held:
            self.tags = self.capabilities = None


class Membership:
    """The credentials of one network: ours, those of others, and what was revoked."""

    def __init__(self, network_id, max_members=limits.PEERS):
        self.network_id = network_id
        self._max_members = max_members
        self.config = None
        self.members = {}           # address -> Member
        self._wanted = ()           # credential types that are worth verifying
        self._revoked = {}          # (address, type, ID) -> threshold
        self.last = None            # the member that the last frame went to ...
        self.talker = None          # ... and the one that the last FRAME came from, allowed then

    def configure(self, config, wanted):
        """Take over a config. wanted: types of others' credentials that its rules can ask for."""
        self.config = config
        self._wanted = wanted if config.public else (COM_TYPE,) + wanted
        for member in self.members.values():
            member.push_ms = NEVER
            member.reconsider()

    def member(self, address):
        """The Member with this address, made when there is none."""
        member = self.members.get(address)
        if member is None:
            if len(self.members) >= self._max_members:
                idle = min(self.members.values(),
                           key=lambda m: max(m.heard_ms, m.pushed_ms))
                del self.members[idle.address]
                self.last = self.talker = None
            member = self.members[address] = Member(self.network_id, address)
        return member

    @micropython.native
    def towards(self, mac):
        """The Member with this MAC; frames come in runs, so the last one is kept at hand."""
        member = self.last
        if member is None or member.mac != mac:
            address = addressing.address_of(self.network_id, mac)
            member = self.last = self.member(address)
        return member

    def gate(self, peer):
        """The Member that a vl1 Peer is, or None when it may not talk here (section 7)."""
        config = self.config
        if config is None:
            return None
        member = self.members.get(peer.address)
        if member is None:
            if not config.public:
                return None
            member = self.member(peer.address)
        identity = peer.identity
        if member.allowed is identity:
            return member
        if member.refused is identity:
            return None
        self.talker = None
        if not config.public and not self._agrees(member, identity):
            member.allowed, member.refused = None, identity
            return None
        member.allowed = identity
        return member

    def _agrees(self, member, identity):
        ours, theirs = self.config.com, member.com
        return (ours is not None and theirs is not None
                and theirs.timestamp > self._threshold(member.address, COM_TYPE, 0)
                and ours.agrees(theirs, identity))

    # --- others' credentials ---------------------------------------------------------------

    def wants(self, credential):
        """Whether a credential would change something, so that its signature is worth checking.

        One that no rule can ask for is not, but it is noted that there is one; see lacks().
        """
        if credential.TYPE == REVOCATION_TYPE:
            return credential.threshold > self._threshold(*_revoked_key(credential))
        member = self.members.get(credential.issued_to)
        key = (credential.TYPE, credential.id)
        if credential.TYPE not in self._wanted:
            if member is not None and credential.TYPE != COM_TYPE:
                member.unread |= 1 << credential.TYPE
            return False
        old = None
        if member is not None:
            if member.unread:
                member.unread &= ~(1 << credential.TYPE)
            old = member.com if credential.TYPE == COM_TYPE else member.held.get(key)
        if old is not None and (old.raw == credential.raw or old.timestamp > credential.timestamp):
            return False
        return credential.timestamp > self._threshold(credential.issued_to, *key)

    def add(self, credential):
        """Store a credential that the controller signed, under the address it was issued to.

        Returns whether this changes something.
        """
        if not self.wants(credential):
            return False
        if credential.TYPE == REVOCATION_TYPE:
            self._revoke(credential)
            return True
        member = self.member(credential.issued_to)
        if credential.TYPE == COM_TYPE:
            member.com = credential
        else:
            key = (credential.TYPE, credential.id)
            held = member.held = member.held or {}
            if key not in held and len(held) >= limits.CREDENTIALS:
                del held[min(held, key=lambda k: held[k].timestamp)]
            held[key] = credential
        member.reconsider()
        return True

    def lacks(self, member):
        """Whether a member is known to have credentials that rules ask for since they came: it is
        to be asked for them, as to keep what nobody needs would cost more than to get it again."""
        return any([member.unread >> kind & 1 for kind in self._wanted])

    def _revoke(self, revocation):
        key = _revoked_key(revocation)
        revoked = self._revoked
        if key not in revoked and len(revoked) >= limits.REVOCATIONS:
            del revoked[min(revoked, key=lambda k: revoked[k])]
        revoked[key] = revocation.threshold
        member = self.members.get(revocation.issued_to)
        if member is not None:
            member.reconsider()

    def _threshold(self, address, kind, id):
        return self._revoked.get((address, kind, id), -1)

    def tags_of(self, member):
        """The tags of a member that are in force, as {ID: value}."""
        if member.tags is None:
            member.tags = {tag.id: tag.value for tag in self.in_force(member, TAG_TYPE)}
        return member.tags

    def capabilities_of(self, member):
        """The capabilities of a member that are in force, by ascending ID."""
        if member.capabilities is None:
            member.capabilities = sorted(self.in_force(member, CAPABILITY_TYPE),
                                         key=lambda capability: capability.id)
        return member.capabilities

    def in_force(self, member, kind):
        """The credentials of one type that a member holds and our config lets count."""
        config = self.config
        return [c for c in member.held.values() if c.TYPE == kind
                and abs(c.timestamp - config.timestamp) <= config.credential_max_delta
                and c.timestamp > self._threshold(member.address, kind, c.id)]

    # --- our credentials, section 8 --------------------------------------------------------

    def pushes(self, now, member, asked=False):
        """Payloads of NETWORK_CREDENTIALS that are due to a member; they count as sent.

        asked: it said that it lacks them.
        """
        again_ms = member.pushed_ms + _PUSH_AGAIN_MS
        due_ms = min(again_ms, member.push_ms) if asked else member.push_ms
        if self.config is None or now < due_ms:
            return ()
        member.pushed_ms = now
        member.push_ms = now + (_PUSH_AGAIN_MS if now < again_ms else _PUSH_MS)
        return _payloads(self.config)


def _revoked_key(revocation):
    return revocation.issued_to, revocation.credential_type, revocation.credential_id


def _payloads(config):
    """Our credentials as few NETWORK_CREDENTIALS payloads (section 6), COM and tags first. They
    are made when they are due, which is seldom: to keep them would be to keep all of it twice."""
    com = config.com_raw
    sections = [], [], [], []       # capabilities, tags, revocations, certificates of ownership
    payloads = []
    size = len(com)
    for section, held in ((1, config.tags_raw), (3, config.ownerships_raw),
                          (0, config.capabilities_raw)):
        for raw in held:
            if size + len(raw) > _PUSH_BYTES:
                payloads.append(bundle(com, sections))
                com, sections, size = b"", ([], [], [], []), 0
            sections[section].append(raw)
            size += len(raw)
    if size:
        payloads.append(bundle(com, sections))
    return payloads
