"""What real nodes complain about."""

from cases.case import Case
from scene import check

# libzt's own file of a network that it was told to leave; nothing that came from us.
_OWN_FILE = "unable to write to file"


def cases(scene):
    yield Case("log", "no real node has logged an error", quiet_logs, list(scene.members))


def quiet_logs(scene):
    """What libzt and zerotier-one wrote to their logs."""
    complaints = [f"{name}: {line}" for name in scene.real_nodes for line in scene.log(name)
                  if "error" in line.lower() and _OWN_FILE not in line]
    check(not complaints, "; ".join(complaints))
    return {}
