"""Who has asked a controller for a config lately (spec/controller.md 2, 6, 7)."""

from micropython import const

from mpcore import limits

_ONLINE_MS = const(120000)
_SERVED_MS = const(180000)       # who got a config may LIKE and GATHER here for so long


class Session:
    """One member on one network."""

    def __init__(self):
        self.asked_ms = 0
        self.served_ms = None     # when it last got a config; None: not since it may have one
        self.rules_revision = 0   # of the rules engine it said it has; 0 means none


class Sessions:
    """The sessions of all members, by (network ID, address); the longest silent makes room."""

    def __init__(self):
        self._sessions = {}

    def asked(self, now, key, rules_revision):
        """The session of a member that has just asked."""
        sessions = self._sessions
        session = sessions.get(key)
        if session is None:
            if len(sessions) >= limits.SESSIONS:
                del sessions[min(sessions, key=lambda k: sessions[k].asked_ms)]
            session = sessions[key] = Session()
        session.asked_ms = now
        session.rules_revision = rules_revision
        return session

    def online(self, now, key):
        """The session of a member that asked less than 120 s ago, else None."""
        session = self._sessions.get(key)
        if session is not None and now - session.asked_ms < _ONLINE_MS:
            return session
        return None

    def served(self, now, key):
        """Whether a member got a config less than 180 s ago and was not thrown out since."""
        session = self._sessions.get(key)
        return (session is not None and session.served_ms is not None
                and now - session.served_ms < _SERVED_MS)

    def withdraw(self, key):
        """A member was thrown out."""
        session = self._sessions.get(key)
        if session is not None:
            session.served_ms = None

    def forget(self, network_id):
        """A network is no more."""
        for key in [key for key in self._sessions if key[0] == network_id]:
            del self._sessions[key]
