"""rules.json: verdicts of the rules engine (spec/vl2-rules.md)."""

import os

from mpcore.vl2 import rules

from host_tools.vector_checks import each, same, unhex

_VERDICTS = {rules.NO_MATCH: "no_match", rules.DROP: "drop", rules.ACCEPT: "accept",
             rules.SUPER_ACCEPT: "super_accept", rules.REDIRECT: "redirect"}


def checks(data):
    for label, entry in each(data, "evaluations"):
        yield label, _evaluation, entry


def _evaluation(entry):
    frame = rules.Frame(
        entry["inbound"], unhex(entry["source"]), unhex(entry["destination"]),
        unhex(entry["self"]), unhex(entry["mac_source"]), unhex(entry["mac_destination"]),
        entry["ethertype"], memoryview(unhex(entry["frame"])), _tags(entry["local_tags"]),
        _tags(entry["remote_tags"]), entry["network_flags"], None, os.urandom)
    data = unhex(entry["rules"])
    parsed = rules.parse(data)
    same(rules.emit(parsed), data, "rules written back")
    same(_VERDICTS[rules.evaluate(parsed, frame)], entry["result"], "verdict")
    same(frame.redirect and frame.redirect.hex(), entry.get("redirect_to"), "target")
    copy = None
    if "copy_to" in entry:
        copy = (unhex(entry["copy_to"]), entry["copy_length"], entry["copy_is_watch"])
    same(frame.copy, copy, "copy")


def _tags(table):
    return None if table is None else {int(tag): value for tag, value in table.items()}
