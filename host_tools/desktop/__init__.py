"""Programs of a desktop on virtual networks, unmodified.

`Overlay` for this very process: its sockets, and with them asyncio, aiohttp, httpx, uvicorn,
requests, reach the virtual networks and the platform's at once. `filament run` does it for other
Python programs, `filament proxy` (SOCKS5) and `filament forward` for programs of any kind.
"""


def __getattr__(name):
    if name == "Overlay":
        from host_tools.desktop.overlay import Overlay
        return Overlay
    raise AttributeError(name)
