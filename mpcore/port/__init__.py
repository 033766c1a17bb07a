"""Floor 0: the only place that asks which platform it is."""

import sys

if sys.implementation.name != "micropython":
    from mpcore.port import micropython_shim
    sys.modules.setdefault("micropython", micropython_shim)
