"""The cases, one concern a module. Each module's `cases(scene)` yields those that its members can
try, in the order in which they need each other."""

from cases import (bulb, ciphers, configuration, enrolment, ipv6, logs, multicast, names, nat,
                   paths, restarts, rules, sessions, traffic, worlds)

_CONCERNS = (enrolment, traffic, paths, ciphers, configuration, rules, multicast, names, bulb,
             ipv6, worlds, restarts, nat, sessions, logs)


def plan(scene):
    """The cases for the members of a scene, in the order in which they are to be run."""
    return [case for concern in _CONCERNS for case in concern.cases(scene)]
