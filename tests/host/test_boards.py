"""What `make boards` makes: complete, the same every time, within its budgets, and it runs."""

import contextlib
import functools
import hashlib
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.boards import __main__ as boards
from host_tools.boards import compiling, facts, listings, mpy, names, romfs, sets
from host_tools.unix_port import ROOT

KNOWN = facts.load()
HEAP = "32M"
TIMEOUT_S = 300

# Bytes of .mpy files, and of the machine code in them. Whoever grows a set by more than SLACK
# decides so here; whoever makes it smaller lowers the figure.
SLACK = 0.03
BUDGETS = {
    "core": {"armv6m": (169100, 33180), "armv7emsp": (191500, 62540), "rv32imc": (177400, 36620),
             "xtensawin": (180100, 39340), "x64": (262600, 134030)},
    "socket": (16330, 0), "dns": (13040, 0), "ipv6": (3230, 0), "roles": (15460, 0),
    "aes": (1160, 0), "upkeep": (8580, 0),
}


def build(directory):
    return boards.build(KNOWN.values(), listings.USUAL, directory)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    directory = tmp_path_factory.mktemp("boards")
    return SimpleNamespace(facts=build(directory), directory=directory)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The unix port's files with names as they are written, for what reaches into the inside."""
    directory = tmp_path_factory.mktemp("plain")
    return SimpleNamespace(directory=directory, facts=boards.build(
        [KNOWN["unix"]], listings.USUAL, directory, plain=True))


@pytest.fixture(params=facts.ARCHITECTURES)
def kind(request, built):
    """One architecture's files: `directory`, `platform`, and `files`, relative to it."""
    directory = built.directory / request.param
    return SimpleNamespace(
        name=request.param, directory=directory,
        platform=boards.platforms(KNOWN.values())[request.param],
        files={path.relative_to(directory).as_posix()
               for path in directory.glob("mpcore/**/*.mpy")})


def run(micropython, script, *arguments, **options):
    """Output of a script on MicroPython, which must succeed."""
    done = subprocess.run([micropython, "-X", "heapsize=" + HEAP, script, *map(str, arguments)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=TIMEOUT_S, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


# What is compiled

def test_there_is_a_board_for_every_architecture(built):
    assert set(built.facts["architectures"]) == set(facts.ARCHITECTURES)


def test_every_module_is_compiled_for_its_architecture(kind):
    assert kind.files == {compiling.file_of(module)[:-3] + ".mpy"
                          for module in compiling.files_of(kind.platform)}
    codes = {"x64": 2, "armv6m": 4, "armv7emsp": 7, "xtensawin": 10, "rv32imc": 11}
    for file in kind.files:
        content = (kind.directory / file).read_bytes()
        assert content[2] >> 2 == (codes[kind.name] if mpy.native_size(content) else 0)
        module = file[:-4].removesuffix("/__init__").replace("/", ".")
        assert module.encode() in content, "tracebacks do not name it"
        assert str(ROOT).encode() not in content


def test_the_files_of_boards_and_apps_compile_without_a_word(kind):
    files = {str(path.relative_to(ROOT)): path for path in (ROOT / "boards").rglob("*.py")}
    assert files.keys() == mpy.compiled(kind.name, files).keys()


def test_what_mpy_cross_complains_of_is_told(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import micropython\n@micropython.viper\ndef f():\n    a = 1\n    a = {}\n")
    with pytest.raises(ValueError, match="(?s)wrong.py for xtensawin: .*ViperTypeError"):
        mpy.compiled("xtensawin", {"wrong.py": wrong})


def test_a_second_build_is_the_same_to_the_byte(built):
    again = built.directory.with_name(built.directory.name + "-again")
    build(again)
    before, after = ({path.relative_to(directory): hashlib.sha256(path.read_bytes()).digest()
                      for path in directory.rglob("*") if path.is_file()}
                     for directory in (built.directory, again))
    assert before == after


def test_files_of_modules_that_are_gone_go(tmp_path):
    boards._write_anew(tmp_path, {"mpcore/x.mpy": b"", "mpcore/y.mpy": b""})
    boards._write_anew(tmp_path, {"mpcore/y.mpy": b"1"})
    assert [path.name for path in tmp_path.rglob("*.mpy")] == ["y.mpy"]


@given(st.binary(max_size=60))
def test_whatever_the_bytes_are_native_size_tells_what_is_wrong(noise):
    with contextlib.suppress(ValueError):
        mpy.native_size(b"M\x06" + noise)


def test_a_file_that_is_cut_short_is_found(built):
    content = (built.directory / "armv6m/mpcore/crypto/aes.mpy").read_bytes()
    assert mpy.native_size(content) > 500
    for end in range(len(content)):
        with pytest.raises(ValueError):
            mpy.native_size(content[:end])


# Sets

def test_a_module_is_in_one_set_or_only_for_cpython(micropython, tmp_path):
    for platform in facts.PLATFORMS:
        found = [module for part in sets.sets(platform).values() for module in part.modules]
        assert len(found) == len(set(found))
        port = "mpcore.port.micropython_" + ("unix" if platform == "linux" else "board")
        assert [name for name in found if name.startswith("mpcore.port.micropython_")] == [
            *(["mpcore.port.micropython_board"] if platform != "linux" else []),
            "mpcore.port.micropython_common", *([port] if platform == "linux" else []),
            "mpcore.port.micropython_native"]
    assert sets.HOST_TWINS < sets.MODULES.keys()
    assert sets.MODULES.keys() - set(sets.modules(facts.PLATFORMS)) == sets.HOST_TWINS | {
        "mpcore.port.cpython", "mpcore.port.micropython_shim",      # chosen by the platform
        "mpcore.crypto.salsa_lanes"}                                # what the twins import
    for platform in facts.PLATFORMS:        # twins in bytecode: where machine code may not fit
        in_bytecode = [name for name in sets.modules([platform])
                       if name.endswith(("_bytecode", "_slices", "_struct"))]
        assert len(in_bytecode) == (9 if platform == "esp32" else 0)
    script = tmp_path / "twins.py"
    script.write_text(
        "import sys\nsys.path.insert(0, sys.argv[1])\nfor name in sys.argv[2:]:\n"
        "    try:\n        __import__(name)\n        print(name)\n"
        "    except ImportError:\n        pass\n")
    assert run(micropython, script, ROOT, *sets.HOST_TWINS) == ""


def test_a_set_is_what_nothing_else_needs_at_once():
    found = sets.sets("rp2")
    assert all(part.needs == (() if name in ("core", "aes") else ("core",))
               for name, part in found.items())
    assert "mpcore.ip.icmpv6" in found["ipv6"].modules      # by import, not by name
    assert "mpcore.crypto.aes" in found["core"].modules


def test_what_is_needed_at_once_cannot_be_a_set_of_its_own(monkeypatch):
    monkeypatch.setitem(sets.ROOTS, "tcp", ("mpcore.ip.tcp",))
    with pytest.raises(ValueError, match="mpcore.ip.tcp at once, so core cannot do without tcp"):
        sets.sets.__wrapped__("rp2")


def test_plain_files_name_their_sources_and_differ(plain, built):
    assert plain.facts["names"] == {} and not (plain.directory / names.FILE).exists()
    for path in plain.directory.rglob("*.mpy"):
        file = path.relative_to(plain.directory / "x64").as_posix()
        assert (file[:-4] + ".py").encode() in path.read_bytes()
        joined = built.directory / "x64" / file
        assert not joined.exists() or joined.read_bytes() != path.read_bytes()


def test_the_core_runs_without_the_other_sets(plain, micropython, tmp_path):
    package = json.loads((plain.directory / "x64/core.json").read_text())
    for target, url in package["urls"]:
        (tmp_path / "lib" / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(plain.directory / "x64" / url, tmp_path / "lib" / target)
    script = tmp_path / "without.py"
    script.write_text("""
import sys
sys.path[:] = [sys.argv[1], ".frozen"]
import mpcore
from mpcore import NIC, aio
from mpcore.ip.stack import Stack

class Link:
    mac, mtu, headroom = bytes((2, 0, 0, 0, 0, 1)), 2800, 60
    def transmit(self, *args):
        pass

stack = Stack(lambda n: bytes(n))
interface = stack.add_interface(Link())
interface.set_addresses(0, [(bytes((10, 0, 0, 1)), 24), (bytes((0xFD,)) + bytes(15), 64)])
print(len(interface.addresses), stack.counters)
for name in ("socket", "dns", "roles"):
    try:
        __import__("mpcore." + name)
        print(name)
    except ImportError:
        pass
""")
    assert run(micropython, script, tmp_path / "lib") == "1 {'ipv6_missing': 1}\n"


# What names the files

def urls(directory, name):
    listed = json.loads((directory / f"{name}.json").read_text())
    assert listed["version"] == listings.version() and listed["mpy"] == "6.3"
    assert all(target == url for target, url in listed["urls"])
    return [url for _, url in listed["urls"]]


def test_package_json_names_every_file_and_each_set_its_own(kind):
    assert sorted(kind.files) == urls(kind.directory, "package")
    assert sorted(kind.files) == sorted(
        file for name in sets.ROOTS for file in urls(kind.directory, name))


def test_mip_installs_them(built, micropython, tmp_path):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    directory = built.directory / "x64"
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=directory))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    script = tmp_path / "install.py"
    script.write_text("import mip, sys\nmip.install(sys.argv[1], target=sys.argv[2])\n")
    try:
        run(micropython, script, f"http://127.0.0.1:{server.server_port}/socket.json",
            tmp_path / "lib")
    finally:
        server.shutdown()
        server.server_close()
    installed = {path.relative_to(tmp_path / "lib").as_posix(): path.read_bytes()
                 for path in (tmp_path / "lib").rglob("*.mpy")}
    assert installed == {file: (directory / file).read_bytes()
                         for file in urls(directory, "socket")}


def frozen(kind, **chosen):
    """{path in the firmware: path of its source}, as MicroPython's build reads the manifest."""
    options, named = SimpleNamespace(), {}
    options.defaults = lambda **defaults: options.__dict__.update(defaults | chosen)

    def module(path, base_path="."):
        named[path] = (kind.directory / base_path / path).resolve(strict=True)

    def package(name, files, base_path="."):
        for file in files:
            module(f"{name}/{file}", base_path)

    exec((kind.directory / "manifest.py").read_text(),
         {"options": options, "package": package, "module": module})
    return named


def test_the_manifest_names_every_module(kind):
    every = frozen(kind, bulb=True, **dict.fromkeys(sets.ROOTS, True))
    files = {file[:-4] + ".py" for file in kind.files}
    assert {file: path for file, path in every.items() if file.startswith("mpcore/")} == {
        file: kind.directory.resolve() / "frozen" / file for file in files}
    assert sorted(every.keys() - files) == ["bulb.py", "main.py", "sse.py"]
    assert sorted(frozen(kind)) == sorted(
        map(compiling.file_of, compiling.files_of(kind.platform, listings.USUAL)))


def test_what_is_frozen_is_what_is_compiled(kind):
    texts = {module: (kind.directory / "frozen" / compiling.file_of(module)).read_text()
             for module in compiling.files_of(kind.platform)}
    assert texts == compiling.program(kind.platform).texts


def test_the_manifest_of_plain_files_freezes_the_sources(plain):
    named = frozen(SimpleNamespace(directory=plain.directory / "x64"))
    assert named == {sets.file_of(module): sets.MODULES[module]
                     for module in sets.modules(["linux"], listings.USUAL)}


# ROMFS

_WALK = """
import hashlib, os, sys, vfs
with open(sys.argv[1], "rb") as file:
    image = file.read()
vfs.mount(vfs.VfsRom(memoryview(image)), "/rom")

def walk(path):
    for name, kind, *_ in os.ilistdir(path):
        inner = path + "/" + name
        if kind == 0x4000:
            walk(inner)
        else:
            with open(inner, "rb") as file:
                print(inner, hashlib.sha256(file.read()).digest().hex())

walk("/rom")
"""


def mounted(micropython, tmp_path, image):
    """{path: hash of its content} of an image, as MicroPython sees it."""
    (tmp_path / "walk.py").write_text(_WALK)
    (tmp_path / "image.romfs").write_bytes(image)
    lines = run(micropython, tmp_path / "walk.py", tmp_path / "image.romfs").splitlines()
    return {path.removeprefix("/rom/"): digest for path, digest in map(str.split, lines)}


def test_micropython_reads_every_file_of_an_image(kind, micropython, tmp_path):
    found = mounted(micropython, tmp_path, (kind.directory / "filament.romfs").read_bytes())
    assert {path: digest for path, digest in found.items() if path.startswith("lib/")} == {
        "lib/" + file: hashlib.sha256((kind.directory / file).read_bytes()).hexdigest()
        for name in listings.USUAL for file in urls(kind.directory, name)}
    assert {path for path in found if not path.startswith("lib/")} == {
        "bulb.mpy", "sse.mpy", "start_bulb.mpy"}


def test_files_of_any_size_are_found_again(micropython, tmp_path):
    files = {"a": b"", "b/c": bytes(127), "b/d": bytes(128), "b/e/f": b"x" * 20000}
    assert mounted(micropython, tmp_path, romfs.image(files)) == {
        path: hashlib.sha256(content).hexdigest() for path, content in files.items()}


def test_the_bulb_starts_from_an_image(built, micropython, tmp_path):
    script = tmp_path / "start.py"
    script.write_text("""
import sys, vfs
with open(sys.argv[1], "rb") as file:
    image = file.read()
vfs.mount(vfs.VfsRom(memoryview(image)), "/rom")
sys.path[:] = ["/rom", "/rom/lib", sys.argv[2], ".frozen"]
try:
    import start_bulb
    start_bulb.start()
except OSError as error:
    print(error.errno)
for name, module in sys.modules.items():
    if name.split(".")[0] in ("mpcore", "bulb", "sse") and hasattr(module, "__file__"):
        assert module.__file__.startswith("/rom/"), module.__file__
import mpcore.nic
print(mpcore.nic.__file__)
""")
    started, errno, nic = run(micropython, script, built.directory / "x64/filament.romfs",
                              ROOT / "boards/unix", cwd=tmp_path).splitlines()
    assert json.loads(started)["event"] == "started"
    assert errno == "2"             # there is no bulb.secret.json
    assert nic == "/rom/lib/mpcore/nic.mpy"


# They run

@pytest.mark.parametrize("name", ["test_nic.py", "test_aio.py", "test_socket.py"])
def test_the_portable_tests_pass_on_mpy_files(plain, micropython, tmp_path, name):
    script = tmp_path / "run.py"
    script.write_text("""
import sys
lib, root, name = sys.argv[1:]
sys.path[:] = [lib, root + "/tests", root + "/tests/core", root, ".frozen"]
import micropython_runner
passed, failed = micropython_runner._run(root + "/tests/core/" + name)
assert passed and not failed
modules = [module.__file__ for name, module in sys.modules.items()
           if name.split(".")[0] == "mpcore"]
assert len(modules) > 40
for file in modules:
    assert file.startswith(lib) and file.endswith(".mpy"), file
""")
    run(micropython, script, plain.directory / "x64", ROOT, name)


# Sizes

def test_what_is_told_adds_up(kind, built):
    told = built.facts["architectures"][kind.name]
    for name, part in told["sets"].items():
        assert part["mpy"] == sum((kind.directory / file).stat().st_size
                                  for file in urls(kind.directory, name))
        for field in ("mpy", "native"):
            assert part[field] == sum(size[field] for size in part["modules"].values())
    assert told["romfs"] == (kind.directory / "filament.romfs").stat().st_size
    assert json.loads((built.directory / "sizes.json").read_text()) == built.facts
    table = (built.directory / "sizes.md").read_text()
    assert all(f"| {module} |" in table for module in compiling.files_of(kind.platform))


@pytest.mark.parametrize("name", sets.ROOTS)
def test_a_set_keeps_to_its_budget(kind, built, name):
    budget = BUDGETS[name]
    figures = budget[kind.name] if isinstance(budget, dict) else budget
    part = built.facts["architectures"][kind.name]["sets"][name]
    for field, figure in zip(("mpy", "native"), figures):
        assert part[field] <= figure * (1 + SLACK), (
            f"{field} of {name} for {kind.name} is {part[field]}, its budget {figure}")


def test_an_image_spares_the_heap_what_it_holds(built):
    heap = {place: sum(taken.values()) for place, taken in built.facts["import_heap"].items()}
    assert heap["ROMFS"] < 0.7 * heap[".mpy"] < 0.7 * heap["source"]
    modules = sets.loaded("linux", sets.ROOTS["core"])
    assert set(modules) < set(sets.sets("linux")["core"].modules)
    assert modules.index("mpcore.limits") < modules.index("mpcore.node") < len(modules) - 1


# Boards

def test_every_directory_of_a_board_has_its_facts():
    assert KNOWN.keys() == {path.name for path in (ROOT / "boards").iterdir()
                            if path.is_dir() and path.name not in (
                                "apps", "renewal", "__pycache__")}
    for board in KNOWN.values():
        assert board.wifi_power_save in (None, "PM_NONE")   # all else waits for beacons


def test_a_board_is_told_all_that_its_programs_ask_of_its_facts():
    for board in KNOWN.values():
        told = {line.partition(" ")[0] for line in facts.constants(board).splitlines()}
        assert set(re.findall(r"\bfacts\.([A-Z0-9_]+)", facts.program(board).read_text())) <= told


GOOD = (ROOT / "boards/esp32/facts.py").read_text()


@pytest.mark.parametrize("old, new, complaint", [
    ('"xtensawin"', '"xtensa"', "MPY_ARCH cannot be 'xtensa'"),
    ("0x1000", '"0x1000"', "FLASH_OFFSET cannot be '0x1000'"),
    ("0x1000", "True", "FLASH_OFFSET cannot be True"),
    ("147984", "-1", "HEAP_CONNECTED cannot be -1"),
    ("(0x1B0000, 0x200000)", "(4097, 8192)", r"FLASH_FREE cannot be \(4097, 8192\)"),
    ("(0x1B0000, 0x200000)", "(8192, 4096)", r"FLASH_FREE cannot be \(8192, 4096\)"),
    ("(0x3F440000, 0x40210000)", "(0x3F440000,)", r"FLASH_MAP cannot be \(1061421056,\)"),
    ("0x40210000", "0x40210002", "FLASH_MAP cannot be"),
    ("0x40210000", "1 << 40", "line 19 is no NAME = constant"),
    ("27fdf0", "27FDF0", "FIRMWARE_CALLS cannot be"),
    ("0x4016262C, 0x401453AC", "0x4016262C, None", "FIRMWARE_CALLS cannot be"),
    ("(0x3F440000, 0x40210000)", "None", "FLASH_MAP and FIRMWARE_CALLS go together"),
    ("LED_PIN = 2", "LED_PIN = None", "LED_PIN and LED_LIT go together"),
    ("TICK_MS = 10", "TICK_MS = None", "TICK_MS and TICK_REMEDY go together"),
    ("UF2_BOARD = None", "UF2_BOARD = 'RP2'", "UF2_FAMILY and UF2_BOARD go together"),
    ("0x1000", "None", "ESPTOOL_CHIP and FLASH_OFFSET go together"),
    ("USB_IDS = ()", "USB_IDS = (1, 2)", r"USB_IDS cannot be \(1, 2\)"),
    ("USB_IDS = ()", "USB_IDS = ((1, 2, 3),)", r"USB_IDS cannot be \(\(1, 2, 3\),\)"),
    ("USB_IDS = ()", "USB_IDS = ((1, 65536, 'either'),)", "USB_IDS cannot be"),
    ("0x400000", "-1", "FLASH_SIZE cannot be -1"),
    ("\nCHIP = ", "\nCHOP = ", "missing or unknown: CHIP, CHOP"),
    ("\nCHIP = ", "\nCHIP = 1 +", "line 11 is no NAME = constant"),
    ("\nCHIP = ", "\nimport os; CHIP = ", "line 11 is no NAME = constant"),
    ("\nCHIP = ", "\nCHIP == ", "line 11 is no NAME = constant"),
    ("\nCHIP = ", "\nCHIP = = ", "invalid syntax"),
])
def test_facts_that_cannot_be_are_refused(old, new, complaint):
    assert facts.read("esp32", GOOD).heap_connected == 147984
    assert GOOD.count(old) == 1
    with pytest.raises(ValueError, match="boards/esp32/facts.py: .*" + complaint):
        facts.read("esp32", GOOD.replace(old, new))


# The command

def command(*arguments):
    return subprocess.run([sys.executable, "-m", "host_tools.boards", *arguments], cwd=ROOT,
                          capture_output=True, text=True, timeout=TIMEOUT_S)


def test_the_command_builds_for_one_board_and_answers_in_json(tmp_path):
    done = command("--board", "esp32c3", "--romfs", "dns", "--output", tmp_path, "--json")
    told = json.loads(done.stdout)
    assert told == json.loads((tmp_path / "sizes.json").read_text())
    assert list(told["architectures"]) == ["rv32imc"] and told["import_heap"] == {}
    assert told["romfs_sets"] == ["core", "dns"]


def test_piped_its_tables_are_markdown(tmp_path):
    done = command("--board", "unix", "--output", tmp_path)
    assert done.stdout.startswith("## Sets") and "\x1b" not in done.stdout
    assert done.stdout.endswith(f"written: {tmp_path}\n")


@pytest.mark.parametrize("arguments, complaint", [
    (("--romfs", "core,nothing"), "no set nothing; there are core, socket"),
    (("--board", "toaster"), "invalid choice: 'toaster'"),
])
def test_it_says_what_there_is_instead(arguments, complaint):
    done = command(*arguments)
    assert done.returncode == 2 and complaint in done.stderr
