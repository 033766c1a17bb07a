"""A stub resolver over the stack of a node (RFC 1035, 2308): where to ask, CNAMEs, the cache."""

from micropython import const

from mpcore.dns import message
from mpcore.dns.exchange import NO_SUCH_NAME, Exchange
from mpcore.dns.multicast import LOCAL
from mpcore.limits import (DNS_CACHE, DNS_CACHED_BYTES, DNS_QUERIES, DNS_RECORDS,
                           DNS_WAITING)

# Errors, as getaddrinfo's
UNKNOWN = const(-2)             # no such name, or nothing of this type
AGAIN = const(-3)               # nobody could tell; later somebody may

_MAX_ALIASES = const(8)         # CNAMEs between a name and what it stands for
_MAX_TTL_S = const(86400)
_MAX_NEGATIVE_TTL_S = const(300)
_MAX_LOCAL_TTL_S = const(10)    # RFC 6762 6.7: we do not hear of changes


class Resolver:
    """Looks up names; sans-IO, as the stack is.

    stack: ip.stack.Stack. zones: callable without arguments -> list of (domain, [server IP]),
    what the networks' configs say. wake: called without arguments when poll() is due at once;
    None where whoever drives the stack polls after every datagram anyway.
    """

    def __init__(self, stack, zones, wake=None):
        self._stack = stack
        self._zones = zones
        self._wake = wake
        self._queries = []
        self._cache = {}        # (name, kind) -> (when it expires, error, data)

    def query(self, now, name, kind, callback):
        """Ask for the records of a name (as message.name_from gives it) of one kind.

        callback(error, data) is called once, perhaps before this returns: error is 0 and data the
        list of the records' data, or it is UNKNOWN or AGAIN.
        """
        key = name.lower(), kind
        known = self._cache.get(key)
        if known is not None and now < known[0]:
            return callback(known[1], known[2])
        for query in self._queries:
            if query.key == key:
                return query.callbacks.append(callback)
        if not (message.is_within(name, LOCAL) or self.servers(name)):
            return callback(UNKNOWN, ())
        if len(self._queries) >= DNS_WAITING:
            return callback(AGAIN, ())
        self._queries.append(_Query(key, callback))
        if self._wake is not None:
            self._wake()

    def poll(self, now):
        """Do what is due; returns the ms at which to call again, or None."""
        next_ms = None
        i = 0
        while i < min(len(self._queries), DNS_QUERIES):
            at_ms = self._poll_query(now, self._queries[i])
            if at_ms is not None:   # or else that query has left the list
                i += 1
                next_ms = at_ms if next_ms is None else min(next_ms, at_ms)
        return next_ms

    def servers(self, name):
        """Who is asked for a name: the servers of the domain that it lies in, else all."""
        best = message.ROOT
        everybody = []
        nearest = everybody
        for domain, servers in self._zones():
            everybody.extend([server for server in servers if server not in everybody])
            if len(domain) > len(best) and message.is_within(name, domain):
                best, nearest = domain, servers
        return nearest

    def _poll_query(self, now, query):
        while True:
            if query.exchange is None:
                try:
                    query.exchange = self._ask(now, query)
                except OSError:     # there are no more sockets
                    return self._finish(now, query, AGAIN)
            at_ms = query.exchange.poll(now)
            if at_ms is not None:
                return at_ms
            answer, query.exchange = query.exchange.answer, None
            if answer is None:
                return self._finish(now, query, UNKNOWN if query.is_local() else AGAIN)
            if not self._goes_on(now, query, answer):
                return None

    def _ask(self, now, query):
        if query.is_local():
            from mpcore.dns.one_shot import OneShot     # costs nothing where it is not used
            return OneShot(now, self._stack, query.name, query.kind, self._wake)
        return Exchange(self._stack, query.name, query.kind, self.servers(query.name), self._wake)

    def _goes_on(self, now, query, answer):
        """Take an answer. Whether another name is to be asked for now; else it is finished."""
        asked = query.name
        while True:
            found, alias = query.read(answer)
            if found:
                return self._finish(now, query, 0, found)
            if alias is None:
                break
            query.name = alias
            query.aliases += 1
            if query.aliases > _MAX_ALIASES:
                return self._finish(now, query, AGAIN)
        if query.name != asked and answer.rcode != NO_SUCH_NAME:
            return True
        query.ttl_s = min(query.ttl_s, _negative_ttl_s(answer))
        return self._finish(now, query, UNKNOWN)

    def _finish(self, now, query, error, data=()):
        """Tell the result, and keep it as long as it holds."""
        self._queries.remove(query)
        size = sum([len(each) for each in data])
        if error != AGAIN and query.ttl_s and size <= DNS_CACHED_BYTES:
            cache = self._cache
            if len(cache) >= DNS_CACHE and query.key not in cache:
                del cache[min(cache, key=lambda key: cache[key][0])]
            cache[query.key] = now + 1000 * query.ttl_s, error, data
        for callback in query.callbacks:
            callback(error, data)


class _Query:
    """A question under way; `name` is what is asked for now, after any CNAMEs."""

    def __init__(self, key, callback):
        self.key = key
        self.name, self.kind = key
        self.callbacks = [callback]
        self.exchange = None
        self.aliases = 0
        self.ttl_s = _MAX_LOCAL_TTL_S if self.is_local() else _MAX_TTL_S

    def is_local(self):
        return message.is_within(self.name, LOCAL)

    def read(self, answer):
        """(data of the records that answer, the name that this one stands for or None)."""
        found = []
        alias = None
        for section, name, kind, _, ttl_s, data in answer:
            if section == message.ANSWER and name.lower() == self.name:
                if kind == self.kind and len(found) < DNS_RECORDS:
                    found.append(data)
                elif kind == message.CNAME and alias is None:
                    alias = data.lower()
                else:
                    continue
                self.ttl_s = min(self.ttl_s, ttl_s)
        return found, alias


def _negative_ttl_s(answer):
    """How long it holds that there is nothing (RFC 2308 5)."""
    for record in answer:
        if record.section == message.AUTHORITY and record.kind == message.SOA:
            minimum = int.from_bytes(record.data[-4:], "big")
            return min(record.ttl, minimum, _MAX_NEGATIVE_TTL_S)
    return 0
