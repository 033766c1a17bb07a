"""What is said about networks besides frames: lists of listeners, credentials and configs
(spec/vl2-credentials.md 6, 7; spec/vl2-config.md 2, 3, 7; spec/vl2-multicast.md 3, 4, 7).

Loaded when some of it comes; what lasts is VL2's and its Networks', which are given.
"""

from mpcore import on_demand
from mpcore.vl1 import packet
from mpcore.vl2 import multicast
from mpcore.vl2.credentials import FAST_PROPAGATE, REVOCATION_TYPE

# Loaded to read a config, in place of what has checked its signature.
_TO_READ = ("mpcore.vl2.credentials", "mpcore.vl2.config_text")
_STILL = ("mpcore.vl2.correspondence", "mpcore.vl2.exchange", "mpcore.vl2.dictionary")


def read(vl2, now, peer, received):
    """One packet. Raises ValueError."""
    verb = received.verb
    if verb == packet.OK:
        return _on_ok_config(vl2, now, peer, received)
    if verb == packet.ERROR:
        if received.in_re_verb == packet.NETWORK_CONFIG_REQUEST:
            return _on_config_error(vl2, now, peer, received)
        return _on_frame_error(vl2, now, peer, received)
    return _VERBS[verb](vl2, now, peer, received)


def ready(vl2, peer, received):
    """Whether a packet that waits can be handled now."""
    if received.verb == packet.NETWORK_CREDENTIALS:
        from mpcore.vl2 import credentials

        return not _unknown_controllers(vl2, credentials.unpack(
            received.buf, received.at, received.end))
    network = vl2.network_of(received)
    if network is None:
        return True
    if received.verb == packet.NETWORK_CONFIG:
        return network.enrolment.controller() is not None
    return network.membership.gate(peer) is not None


# --- listeners -----------------------------------------------------------------------------

def _on_like(vl2, now, peer, received):
    network = vl2.network_of(received)
    if network is not None and not vl2.may_ask(now, network.id, peer):
        # Real nodes answer the first frame by their list, which they repeat only after a minute;
        # their credentials come with their own first frame, after it.
        return vl2.hold(now, peer, received)
    network_id = allowed = None
    for key in multicast.parse_likes(received.buf, received.at, received.end):
        if key[:8] != network_id:
            network_id = key[:8]
            allowed = vl2.may_ask(now, network_id, peer)
        if allowed:
            vl2.learn(now, key, peer.address)


def _on_gather(vl2, now, peer, received):
    key, limit, com = multicast.parse_gather(received.buf, received.at, received.end)
    network = vl2.networks.get(key[:8])
    if network is not None and com is not None:
        network.offer(now, (com,), peer.address)
    if not limit:
        return
    if not vl2.may_ask(now, key[:8], peer):
        if network is not None and network.checks.waiting(peer.address):
            vl2.hold(now, peer, received)
        return
    found = vl2.groups.gathered(now, key, peer.address, limit,
                                network is not None and network.listens(key[8:]),
                                vl2.vl1.entropy(1)[0])
    if found is not None:
        vl2.vl1.send_ok(now, peer, received, key + found)


def _on_frame_error(vl2, now, peer, received):
    network = vl2.network_of(received)
    if network is None:
        return
    if received.error == packet.E_NEED_MEMBERSHIP_CERTIFICATE:
        member = network.membership.members.get(peer.address)
        if member is not None:      # we sent it something, and it lacks our credentials
            network.push(now, member, True)
    elif received.error == packet.E_UNWANTED_MULTICAST:
        received.need(multicast.KEY)
        if network.membership.gate(peer) is not None:
            key = bytes(received.buf[received.at:received.at + multicast.KEY])
            vl2.groups.remove(key, peer.address)


# --- credentials ---------------------------------------------------------------------------

def _unknown_controllers(vl2, found):
    """Controllers of our networks that credentials wait for the identity of."""
    networks = [vl2.networks.get(credential.network_id) for credential in found]
    return [network.controller for network in networks
            if network is not None and network.controller is not None
            and network.enrolment.controller() is None]


def _on_credentials(vl2, now, peer, received):
    from mpcore.vl2 import credentials

    found = credentials.unpack(received.buf, received.at, received.end)
    for address in _unknown_controllers(vl2, found):
        vl2.vl1.lookup.whois(now, address)
        return vl2.hold(now, peer, received)
    for network in list(vl2.networks.values()):
        network.offer(now, [c for c in found if c.network_id == network.id], peer.address)


def offer(network, now, found, giver):
    """Store credentials that `giver` (address) sent as far as they are good and news, at once
    or after a while, and spread what is to be spread.

    Nothing is done while the controller's identity is not known.
    """
    controller = network.enrolment.controller()
    if controller is None:
        return
    if network.checks.distrusts(now, giver):
        return network.vl1.count("credentials_ignored")
    for credential in found:
        # What changes nothing of a known member now, will not after what waits to be checked.
        membership = network.membership
        if credential.issued_to not in membership.members or membership.wants(credential):
            _check(network, credential, controller, giver)
    network.checks.run(now)


def _check(network, credential, controller, giver):
    network.checks.add(giver, credential.raw, _verdict(network, credential, controller),
                       lambda now, good: _store(network, now, credential, giver, good),
                       giver == network.controller)


def _verdict(network, credential, controller):
    """In slices: whether a credential is good; None when nobody needs to know."""
    if network.membership.wants(credential):    # now that those before it are stored
        return (yield from credential.verification(controller))


def _store(network, now, credential, giver, good):
    if good is None:
        return
    if not good:
        network.checks.forged(now, giver)
    elif network.membership.add(credential) and credential.TYPE == REVOCATION_TYPE:
        if credential.flags & FAST_PROPAGATE:
            from mpcore.vl2 import credentials

            payload = credentials.pack((), (), (), (credential,), ())
            _spread(network, now, packet.NETWORK_CREDENTIALS, payload, (giver, credential.signer))
        if credential.issued_to == network.vl1.address:
            network.enrolment.request(now)      # to be told at once how we stand


# --- configs -------------------------------------------------------------------------------

def _on_config(vl2, now, peer, received):
    network = vl2.network_of(received)
    if network is None or network.controller is None:
        return
    if network.enrolment.controller() is None:
        vl2.vl1.lookup.whois(now, network.controller)
        return vl2.hold(now, peer, received)
    _receive_config(network, now, peer, received, False)
    vl2.checked(now)


def _on_ok_config(vl2, now, peer, received):
    network = vl2.network_of(received)
    if network is not None and peer.address == network.controller:
        _receive_config(network, now, peer, received, True)
        vl2.checked(now)


def _on_config_error(vl2, now, peer, received):
    from mpcore.vl2 import exchange

    network_id, details = exchange.parse_error(received.buf, received.at, received.end)
    network = vl2.networks.get(network_id)
    if network is not None and peer.address == network.controller:
        network.enrolment.on_error(now, received.error, details)


def _receive_config(network, now, peer, received, solicited):
    """A chunk of config in OK(NETWORK_CONFIG_REQUEST) or NETWORK_CONFIG."""
    from mpcore.vl2 import exchange

    chunk = exchange.Chunk.from_bytes(received.buf, received.at, received.end)
    if not network.enrolment.expects(now, peer, chunk):
        return
    answered = received.head()

    def checked(now, good):
        _take_chunk(network, now, peer, answered, chunk, solicited, good)

    if chunk.signature is None:
        return checked(now, True)
    network.checks.add(peer.address, chunk.body,
                       chunk.verification(network.enrolment.controller()), checked,
                       peer.address == network.controller)
    network.checks.run(now)


def _take_chunk(network, now, peer, received, chunk, solicited, good):
    from mpcore.vl2 import exchange

    new, text = network.enrolment.on_chunk(now, peer, chunk, good)
    if new and chunk.flags & exchange.FAST_PROPAGATE:
        _spread(network, now, packet.NETWORK_CONFIG, chunk.body, (peer.address,
                                                                  network.controller))
    if text is not None:
        # A poll of its own: what it changes is told to many, and a board's stack is short.
        on_demand.make_room(_STILL)
        network.vl1.work.start(
            now, text, _reading(network, text), lambda now, config: _take_config(
                network, now, peer, received, chunk.update_id, text, config, solicited))


def _reading(network, text):
    yield from on_demand.load(*_TO_READ)
    return (yield from network.enrolment.reading(text))


def _take_config(network, now, peer, received, update_id, text, config, solicited):
    config = network.enrolment.take(now, peer, text, config, solicited)
    if config is not None and not solicited:
        # It is ECHO that is acknowledged, as the reference does it.
        network.vl1.send_ok(now, peer, received, network.id + update_id, in_re_verb=packet.ECHO)


def _spread(network, now, verb, payload, spared):
    for address in list(network.membership.members):
        if address not in spared and address in network.vl1.peers:
            network.vl1.send(now, address, verb, payload, True)


_VERBS = {packet.MULTICAST_LIKE: _on_like, packet.MULTICAST_GATHER: _on_gather,
          packet.NETWORK_CREDENTIALS: _on_credentials, packet.NETWORK_CONFIG: _on_config}
