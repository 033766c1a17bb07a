"""The program for boards, compiled: what of it is native, and whether its names are short."""

import re
from functools import cache

from host_tools import unix_port
from host_tools.boards import facts as board_facts
from host_tools.boards import mpy, names, sets

# Only the kernels are native where memory for machine code is short: on a Pico W it is the heap's
# (26 KB less), on ESP32s instruction RAM, of which little is free. An RP2350 has heap enough.
_BYTECODE = ("armv6m", "xtensawin", "rv32imc")
_NATIVE = re.compile(r"^ *@micropython\.native\n", re.MULTILINE)


def platforms(boards):
    """{architecture: the `sys.platform` of its boards}. Raises ValueError when they differ."""
    found = {}
    for board in boards:
        if found.setdefault(board.mpy_arch, board.platform) != board.platform:
            raise ValueError(f"{board.board}: another platform with {board.mpy_arch} exists "
                             "already; files are built for each architecture once")
    return found


@cache
def program():
    """(texts, names) of all modules for boards, made short; see names.shortened."""
    texts = {module: sets.MODULES[module].read_text()
             for module in sets.modules(board_facts.PLATFORMS)}
    outside = [path.read_text() for path in sorted((unix_port.ROOT / "boards").rglob("*.py"))]
    return names.shortened(texts, outside)


@cache
def compiled(architecture, platform, options=(), plain=False):
    """{module: content of its .mpy} of everything that such a board may load."""
    modules = sets.modules([platform])
    if not plain:                       # a module's name is there already: it names the source
        texts = {module: program()[0][module] for module in modules}
        if architecture in _BYTECODE:
            texts = {module: _NATIVE.sub("", text) for module, text in texts.items()}
        return mpy.compiled(architecture, texts, ("-O3", *options))
    files = {sets.file_of(module): module for module in modules}
    contents = mpy.compiled(
        architecture, {file: sets.MODULES[module] for file, module in files.items()}, options)
    return {files[file]: content for file, content in contents.items()}
