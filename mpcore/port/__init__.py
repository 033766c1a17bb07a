"""Floor 0: the only place that asks which platform it is.

    now_ms(), wall_ms()     the monotonic clock and the time of day, in ms
    entropy(n)              n random bytes fit for keys
    Port(home, bind)        storage and UDP sockets (base.BasePort)
    Loop                    callbacks from asyncio
    Wake                    what asyncio's tasks wait for
    Native, constant, native_module     the platform's own sockets and their numbers
    to_sockaddr, to_endpoint, lookup    addresses as those take and give them, and names
    wait                    sleep until a socket is ready
    CODE_IN_HEAP            whether the code of modules lies in the heap, and leaves it when they
                            are forgotten: so on RP2, unless they are in an image; on ESP32
                            native code stays
"""

import sys

CODE_IN_HEAP = sys.platform == "rp2" and not __file__.startswith("/rom/")

if sys.implementation.name != "micropython":
    from mpcore.port import micropython_shim
    sys.modules.setdefault("micropython", micropython_shim)
    from mpcore.port.cpython import (
        Loop, Native, Port, Wake, constant, entropy, lookup, native_module, now_ms, to_endpoint,
        to_sockaddr, wait, wall_ms)
else:
    if sys.platform in ("linux", "darwin"):
        from mpcore.port.micropython_unix import (
            Loop, Port, Wake, entropy, now_ms, to_endpoint, to_sockaddr, wait, wall_ms)
    else:
        from mpcore.port.micropython_board import (
            Loop, Port, Wake, entropy, now_ms, to_endpoint, to_sockaddr, wait, wall_ms)

    def __getattr__(name):
        if name in ("Native", "constant", "lookup", "native_module"):
            # Not `from mpcore.port import`, for which MicroPython would ask here first.
            import mpcore.port.micropython_native as found      # costs nothing where not used
            return getattr(found, name)
        raise AttributeError(name)
