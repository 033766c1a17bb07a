"""The program for boards, compiled: joined, with short names, and native where that pays."""

import ast
import re
from collections import namedtuple
from functools import cache

from host_tools import unix_port
from host_tools.boards import (
    bundles, chunks, common_names, constants, evaluated, mpy, names, rare, sets, specialised,
    steady, unused)
from host_tools.boards import program as programs

# texts: {module: source} of the files, chunks and aliases. names: {module: what tracebacks say},
# see names.renamed. chunks: {module: modules that its file has}, none for an alias. sets: {module:
# its set}.
Program = namedtuple("Program", "texts names chunks sets")

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
def outside():
    """Texts of the files that use the core on boards and stay as they are."""
    return tuple(path.read_text() for path in sorted((unix_port.ROOT / "boards").rglob("*.py")))


@cache
def program(platform, in_place=False):
    """The Program for a `sys.platform` of MicroPython. in_place: its code runs where it lies."""
    texts = {module: sets.MODULES[module].read_text() for module in sets.modules([platform])}
    part_of = {module: name for name, part in sets.sets(platform).items()
               for module in part.modules}
    return joined(texts, platform, sets.ROOTS["core"], names.PUBLIC, part_of, outside(),
                  running=None if in_place else steady.functions(),
                  facts=specialised.IN_PLACE if in_place else ())


def joined(texts, platform, core, offered, part_of, outside, kept=(),
           constant=(), running=None, facts=()):
    """The Program of {module: text}.

    core: modules that are loaded together, their package first. offered: those that apps import,
    with names that stay. part_of: {module: its set}. outside: texts that use the program. kept:
    further names that stay. constant: modules whose constants others read by name. running:
    functions (steady.py) but for which methods are put aside; None leaves all where they are.
    facts: see specialised.Platform.
    """
    modules = {name: programs.Module(name, specialised.Platform(
        platform, sets.HOST_TWINS, facts).visit(ast.parse(text))) for name, text in texts.items()}
    for module in modules.values():
        evaluated.evaluate(module)
    constants.fold(modules, constant)
    for module in modules.values():
        module.tree = specialised.Branches().visit(module.tree)
        constants.without_const(module)
    kept = names.public(modules).union(kept)
    used = set().union(*(module.identifiers() | module.strings() for module in (
        programs.Module("outside", text) for text in outside)))
    bundles.without_stars(modules)
    if running is not None:             # whose classes need it, come after it
        core = (core[0], rare.LOADER[0], *core[1:])
    parts = chunks.chunks(modules, core, {*offered, *core}, part_of)
    lasting = [part.name for part in parts[:[part.name for part in parts].index(core[0]) + 1]]
    modules = bundles.bundled(modules, parts, lasting, offered)
    lasting = [name for name in lasting if name in modules]
    others = bundles.globals_for_others(modules, offered)
    if running is not None:
        home, rest = rare.loader([modules[name] for name in lasting])
        others[home].add(rest)
    unused.remove(modules, others, kept | used | names.platform_names()["reserved"])
    aside = {}
    if running is not None:
        rare.gather(modules, lasting, others, steady.WATCHED, running)
        aside = rare.put_aside(modules, home, rest, lasting, steady.WATCHED, running,
                               steady.SELDOM)
        modules |= aside
    _, told = names.renamed(modules, outside, kept)
    texts = {}
    for name in modules:
        module = programs.Module(name, ast.unparse(modules[name].tree))
        if name == core[0]:
            module.tree.body += _loading(lasting[:-1])
        common_names.own(module)
        common_names.first(module)
        texts[name] = ast.unparse(module.tree) + "\n"
    own = {part.name: part.modules for part in parts if part.name in texts}
    own |= {name: module.origins for name, module in aside.items()}
    return Program(texts, told, own, {
        name: part_of[core[0] if name in aside else name] for name in texts})


def _loading(parts):
    """Statements that load parts, and free what was needed only for that before the next."""
    return ast.parse("".join(f"__import__({name!r})\n__import__('gc').collect()\n"
                             for name in parts)).body


def core_texts(architecture, platform, names):
    """{module: source} of the core in some sets, whose code is to run where it lies."""
    texts = program(platform, True).texts
    return {module: _for(architecture, texts[module])
            for module in files_of(platform, names, in_place=True)}


def _for(architecture, text):
    """A source for an architecture: native but for kernels only where that has room."""
    return _NATIVE.sub("\n", text) if architecture in _BYTECODE else text


@cache
def public_names():
    """Names of the core that apps may use."""
    return names.public({name: programs.Module(name, sets.MODULES[name].read_text())
                         for name in names.PUBLIC})


def file_of(module):
    """The path of a module's source, relative to the directory of all."""
    return sets.file_of(module) if module in sets.MODULES else module.replace(".", "/") + ".py"


@cache
def compiled(architecture, platform, options=(), plain=False):
    """{module: content of its .mpy} of everything that such a board may load.

    plain: every module for itself, as it is written.
    """
    if not plain:                       # a module's name is there already: it names the source
        return mpy.compiled(architecture, {
            module: _for(architecture, text) for module, text in program(platform).texts.items()
        }, ("-O3", *options))
    files = {sets.file_of(module): module for module in sets.modules([platform])}
    contents = mpy.compiled(
        architecture, {file: _for(architecture, sets.MODULES[module].read_text())
                       for file, module in files.items()}, options)
    return {files[file]: content for file, content in contents.items()}


def files_of(platform, names=tuple(sets.ROOTS), plain=False, in_place=False):
    """The modules that have a file, of some of the sets; sorted."""
    if plain:
        return sets.modules([platform], names)
    return sorted(module for module, name in program(platform, in_place).sets.items()
                  if name in names)
