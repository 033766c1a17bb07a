"""`filament demo`: sets the scene, shows it, and measures how fast the bulb reacts."""

import asyncio
import json
import signal
from contextlib import nullcontext

from rich.console import Console
from rich.live import Live

from host_tools.demo import view
from host_tools.demo.scene import Scene

_FRAME_S = 0.1
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(identities, seconds, headless, seed, output, picture=None):
    """Run the demonstration; returns the exit code, 0 when the bulb has reacted.

    identities: one for each of scene.NODES. seconds: how long, counted from the bulb's start; None
    until Ctrl-C. output: where the figures are written as JSON; the nodes' home directories are
    made beside it. picture: an SVG file for what the view showed last.
    """
    console = Console()
    scene = Scene(output.parent.resolve() / "demo", identities, seed)
    asyncio.run(_play(scene, seconds, None if headless else console))
    output.write_text(json.dumps(scene.figures.as_dict(), indent=2) + "\n")
    if picture:
        view.save(scene, picture)
    console.print(scene.figures.summary(), soft_wrap=True, highlight=False)
    return 0 if scene.figures.reactions_ms else 1


async def _play(scene, seconds, console):
    """Run the scene until the time is over or somebody stops it."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stopped.set)
    acting = asyncio.create_task(_act(scene, seconds))
    acting.add_done_callback(lambda task: stopped.set())
    try:
        with Live(console=console, screen=True) if console else nullcontext() as live:
            while not stopped.is_set():
                if live:
                    live.update(view.render(scene))
                await asyncio.sleep(_FRAME_S)
    finally:
        acting.cancel()
        await asyncio.wait([acting])
        await scene.stop()
    if not acting.cancelled():
        acting.result()


async def _act(scene, seconds):
    await scene.start()
    try:
        await asyncio.wait_for(scene.watch(), seconds)
    except asyncio.TimeoutError:
        await scene.count()
