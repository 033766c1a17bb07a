"""Where a controller's records are kept: one JSON blob each (spec/controller.md 5, 9)."""

import json

from mpcore.roles import records

_DIRECTORY = "controller.d/network/"
_SUFFIX = ".json"


class RecordsStore:
    """The records of networks and members, in memory and in storage.

    load(name), store(name, data), remove(name), list_names(prefix): the port's. A record is in
    storage before it is in memory, so that nothing is answered that a restart would undo.
    networks: {network ID: record}. members: {network ID: {address: record}}.
    """

    def __init__(self, load, store, remove, list_names):
        self._store = store
        self._remove = remove
        self.networks = {}
        self.members = {}
        for name in list_names(_DIRECTORY):
            if not name.endswith(_SUFFIX):
                continue
            try:
                self._restore(name[len(_DIRECTORY):-len(_SUFFIX)], load(name))
            except (ValueError, TypeError, IndexError) as error:
                raise ValueError(f"{name} is damaged: {error}")

    def save_network(self, record):
        """Keep a network's record, with the next revision; returns what is kept."""
        network_id = bytes.fromhex(record["id"])
        record = self._save(_network_name(record), record)
        self.networks[network_id] = record
        self.members.setdefault(network_id, {})
        return record

    def save_member(self, record):
        """Keep a member's record, with the next revision; returns what is kept."""
        record = self._save(_member_name(record), record)
        self.members[bytes.fromhex(record["nwid"])][bytes.fromhex(record["address"])] = record
        return record

    def remove_network(self, record):
        """Forget a network and all its members."""
        network_id = bytes.fromhex(record["id"])
        for member in list(self.members[network_id].values()):
            self.remove_member(member)
        self._remove(_network_name(record))
        del self.networks[network_id]
        del self.members[network_id]

    def remove_member(self, record):
        """Forget a member."""
        self._remove(_member_name(record))
        del self.members[bytes.fromhex(record["nwid"])][bytes.fromhex(record["address"])]

    def _save(self, name, record):
        record = dict(record)
        record["revision"] += 1
        self._store(name, json.dumps(record).encode())
        return record

    def _restore(self, path, data):
        """Take in one blob, at <network> or <network>/member/<address>."""
        parts = path.split("/")
        network_id = bytes.fromhex(parts[0])
        stored = json.loads(data)
        members = self.members.setdefault(network_id, {})
        if len(parts) == 1:
            self.networks[network_id] = records.restore_network(network_id, stored)
        else:
            address = bytes.fromhex(parts[2])
            members[address] = records.restore_member(network_id, address, stored)


def _network_name(record):
    return f"{_DIRECTORY}{record['id']}{_SUFFIX}"


def _member_name(record):
    return f"{_DIRECTORY}{record['nwid']}/member/{record['address']}{_SUFFIX}"
