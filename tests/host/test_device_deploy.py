"""An app on its way to a board: what is sent, what is not, and what a torn one leaves."""

import json
import random

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from host_tools.boards import facts, images, romfs
from host_tools.cli import main
from host_tools.device import deploy as deploying
from host_tools.device import link as linking
from host_tools.device import probe, romfs_partition
from host_tools.device import tree as trees
from host_tools.device.link import TEMPORARY, LinkError, Lost, file_of, open_link
from tests.host.repl_board import ReplBoard

UNIX = facts.load()["unix"]
CORE = {"lib/mpcore/__init__.mpy": b"core" * 500, "lib/mpcore/nic.mpy": b"nic" * 900}
MAIN = 'def start():\n    print("started")\n'


@pytest.fixture(name="app")
def app_fixture(tmp_path, monkeypatch):
    """A small app, and a small core."""
    monkeypatch.setattr(trees, "core", lambda board, sets=None: dict(CORE))
    app = tmp_path / "app"
    (app / "data").mkdir(parents=True)
    (app / "main.py").write_text(MAIN)
    (app / "helper.py").write_text("X = 1\n")
    (app / "data" / "table.bin").write_bytes(bytes(range(256)) * 40)
    return app


@pytest.fixture(name="board")
def board_fixture(tmp_path):
    with ReplBoard(tmp_path) as board:
        yield board


def deploy(board, app):
    with open_link(board.port) as link:
        return deploying.deploy(link, app)


def on_board(board):
    with open_link(board.port) as link:
        return link.walk()[0]


def slot(board, name):
    """{path below a slot: File}."""
    prefix = f"/{name}/"
    return {path.removeprefix(prefix): file for path, file in on_board(board).items()
            if path.startswith(prefix)}


def state(board):
    with open_link(board.port) as link:
        return json.loads(link.read("/slots.json"))


def wanted(app):
    return {path: file_of(data) for path, data in trees.tree(UNIX, app).items()}


# What a board gets

def test_a_first_deployment_fills_a_slot_and_makes_it_the_good_one(board, app):
    sent = deploy(board, app)
    assert slot(board, "a") == wanted(app) and slot(board, "b") == {}
    assert {"main.mpy", "helper.mpy", "board.mpy", "facts.mpy", "data/table.bin",
            "lib/mpcore/nic.mpy"} <= wanted(app).keys()
    assert {"/boot.py", "/main.py", "/slots.mpy", "/slots.json"} <= on_board(board).keys()
    said = state(board)
    assert (said["good"], said["trial"]) == ("a", None)
    assert said["hash"] == {"a": trees.digest(trees.tree(UNIX, app))}
    assert (sent.slot, sent.sent, sent.changed) == ("a", sent.size, True)


def test_a_second_one_sends_nothing(board, app, monkeypatch):
    deploy(board, app)
    monkeypatch.setattr(linking.Link, "write", None)
    sent = deploy(board, app)
    assert (sent.slot, sent.sent, sent.copied, sent.removed, sent.changed) == (
        "a", 0, 0, 0, False)


def test_a_change_goes_into_the_other_slot_and_only_it_is_sent(board, app):
    deploy(board, app)
    before = wanted(app)
    (app / "helper.py").write_text("X = 2\nY = 3\n")
    (app / "data" / "table.bin").rename(app / "data" / "renamed.bin")
    sent = deploy(board, app)
    tree = trees.tree(UNIX, app)
    assert slot(board, "b") == wanted(app) and slot(board, "a") == before
    assert state(board)["good"] == "b"
    assert sent.sent == len(tree["helper.mpy"]) + len(tree["main.mpy"])
    assert sent.copied == len(tree) - 2
    (app / "data" / "renamed.bin").unlink()
    deploy(board, app)
    assert slot(board, "a") == wanted(app) and state(board)["good"] == "a"
    with open_link(board.port) as link:
        assert "/a/data" not in link.walk("/a")[1]


def test_where_there_is_no_room_for_two_the_good_slot_is_written_anew(tmp_path, app):
    (app / "large.bin").write_bytes(bytes(120_000))
    with ReplBoard(tmp_path, blocks=75) as board:
        deploy(board, app)
        (app / "helper.py").write_text("X = 2\n")
        sent = deploy(board, app)
        assert (sent.slot, state(board)["good"]) == ("a", "a")
        assert slot(board, "a") == wanted(app)
        assert sent.sent < 5000


def test_where_there_is_no_room_at_all_nothing_is_begun(tmp_path, app):
    (app / "large.bin").write_bytes(bytes(400_000))
    with ReplBoard(tmp_path, blocks=75) as board:
        with pytest.raises(ValueError, match="too small: 4.. KB are needed and 2.. KB are free"):
            deploy(board, app)
        assert on_board(board) == {}


def test_a_file_system_that_is_full_after_all_is_said_and_the_next_run_mends_it(
        tmp_path, app, monkeypatch):
    with ReplBoard(tmp_path, blocks=30) as board:
        with open_link(board.port) as link:
            link.write("/mine.bin", bytes(80_000))
        with monkeypatch.context() as patch:
            patch.setattr(deploying, "room", lambda tree: 0)
            with pytest.raises(LinkError, match="its file system is full: remove what"):
                deploy(board, app)
        assert not any(deploying.is_main(path) for path in slot(board, "a"))
        with open_link(board.port) as link:
            link.remove("/mine.bin")
        deploy(board, app)
        assert slot(board, "a") == wanted(app)


def test_somebody_elses_program_is_kept_aside(board, app):
    with open_link(board.port) as link:
        link.write("/main.py", b"print('mine')\n")
        link.write("/boot.py", b"# mine\n")
    deploy(board, app)
    with open_link(board.port) as link:
        assert link.read("/main.py.before-filament") == b"print('mine')\n"
        assert link.read("/boot.py.before-filament") == b"# mine\n"
        link.write("/slots.py", b"from another time\n")
        link.write("/identity.secret", b"not ours to touch")
    deploy(board, app)
    there = on_board(board)
    assert "/slots.py" not in there and "/identity.secret" in there


def test_secrets_and_what_is_hidden_stay_on_the_host(app):
    for name in ("bulb.secret.json", ".hidden", "__pycache__/x.pyc", ".git/config", "x.tmp"):
        (app / name).parent.mkdir(exist_ok=True)
        (app / name).write_text("x")
    assert wanted(app).keys() - CORE.keys() == {
        "main.mpy", "helper.mpy", "data/table.bin", "board.mpy", "facts.mpy"}


def test_a_directory_without_main_is_no_app(tmp_path):
    with pytest.raises(ValueError, match="no main.py; an app is a directory with a main.py"):
        trees.tree(UNIX, tmp_path)


def test_what_is_no_app_is_said_before_a_board_is_asked(tmp_path):
    def told(target):
        done = CliRunner().invoke(main, ["deploy", target, str(tmp_path)])
        assert done.exit_code == 1
        return " ".join(done.output.replace("│", " ").split())      # it is wrapped

    for target in "/dev/null", "10.147.17.53":      # neither of which would answer
        assert "no main.py" in told(target)
        (tmp_path / "main.py").write_text("def start(:\n")
        assert "py:1: invalid syntax" in told(target)
        (tmp_path / "main.py").unlink()


def test_what_does_not_compile_is_said(app):
    (app / "helper.py").write_text("x = 1\ndef broken(:\n")
    with pytest.raises(ValueError, match="app/helper.py:2: invalid syntax"):
        trees.tree(UNIX, app)
    (app / "helper.py").write_text("return 1\n")      # which only the compiler refuses
    with pytest.raises(ValueError, match="app/helper.py"):
        trees.tree(UNIX, app)


def test_an_app_can_have_a_board_file_of_its_own(app):
    (app / "board.py").write_text("def led():\n    pass\n")
    own = wanted(app)["board.mpy"]
    (app / "board.py").unlink()
    assert own != wanted(app)["board.mpy"]


def test_a_board_of_another_kind_is_refused(board, app, monkeypatch):
    with open_link(board.port) as link:
        with pytest.raises(ValueError, match="runs code for x64, and esp32 for xtensawin"):
            deploying.deploy(link, app, "esp32")
        monkeypatch.setattr(probe, "board_of", lambda found: None)
        with pytest.raises(ValueError, match="none of the boards that are known; name the neare"):
            deploying.deploy(link, app)
        monkeypatch.setattr(deploying.mpy, "version", lambda: ("9.9", "7.0"))
        with pytest.raises(ValueError, match="micropython 1.29.0 cannot load what mpy-cross 9.9"):
            deploying.deploy(link, app, "unix")
    assert on_board(board) == {}


# Torn

@pytest.mark.parametrize("seed", range(16))
def test_a_cable_pulled_at_any_byte_leaves_the_old_program_or_none_and_the_next_run_mends_it(
        tmp_path, app, seed):
    dice = random.Random(seed)
    with ReplBoard(tmp_path, blocks=dice.choice((60, 256))) as board:
        fresh = dice.random() < 0.3
        old = {} if fresh else wanted(app)
        if not fresh:
            deploy(board, app)
            (app / "helper.py").write_text("X = 2\n")
            (app / "data" / "table.bin").write_bytes(b"other" * 2000)
        new = wanted(app)
        with pytest.raises(Lost), open_link(board.port) as link:
            board.unplug_after(link, dice.randrange(30_000))
            while True:
                deploying.deploy(link, app)
                link.write("/again", bytes(5000))
        board.start()
        for name in deploying.SLOTS:
            there = slot(board, name)
            if any(map(deploying.is_main, there)):
                assert there in (old, new)
        deploy(board, app)
        there = on_board(board)
        assert slot(board, state(board)["good"]) == new
        assert not [path for path in there if path.endswith(TEMPORARY) and path != "/again.tmp"]


def test_what_arrives_damaged_is_not_made_the_good_one(board, app, monkeypatch):
    whole = linking.Link.write

    def damage(link, path, data, *tell):
        whole(link, path, b"?" + data[1:] if path.endswith("table.bin") else data, *tell)

    with monkeypatch.context() as patch:
        patch.setattr(linking.Link, "write", damage)
        with pytest.raises(LinkError, match="what is on the board is not what was sent"):
            deploy(board, app)
    assert "/slots.json" not in on_board(board)
    deploy(board, app)
    assert slot(board, "a") == wanted(app)


# Plans

_PATHS = st.sampled_from(["main.mpy", "x.mpy", "lib/y.mpy", "lib/deep/z.mpy", "data/t"])
_TREES = st.dictionaries(_PATHS, st.sampled_from([b"", b"1", b"22", b"333"]))


@given(_TREES, _TREES, _TREES)
def test_a_plan_makes_a_slot_what_is_wanted(tree, in_a, in_b):
    contents = {f"/{name}/{path}": data for name, held in (("a", in_a), ("b", in_b))
                for path, data in held.items()}
    directories = sorted({path[:at] for path in contents for at in range(1, len(path))
                          if path[at] == "/"})
    files = {path: file_of(data) for path, data in contents.items()}
    what = deploying.plan("a", tree, files, directories)
    after = {path: data for path, data in contents.items() if path not in what.remove}
    for path, (source, file) in what.copy.items():
        assert source.startswith("/b/") and file == file_of(contents[source])
        after[path] = contents[source]
    after |= what.send
    assert {path.removeprefix("/a/"): data for path, data in after.items()
            if path.startswith("/a/")} == tree
    assert {path: data for path, data in after.items() if path.startswith("/b/")} == {
        path: data for path, data in contents.items() if path.startswith("/b/")}
    if in_a == tree:
        assert what == deploying.Plan({}, {}, [], len(tree))
    elif "main.mpy" in tree:
        assert "/a/main.mpy" in what.send       # it is removed before, and is the last


@given(st.one_of(st.none(), st.text(), st.binary().map(lambda data: data.decode("latin-1")),
                 st.dictionaries(st.sampled_from(["good", "hash", "trial"]), st.one_of(
                     st.none(), st.sampled_from(["a", "b", "c"]), st.lists(st.none()),
                     st.just({}))).map(json.dumps)))
def test_any_state_of_slots_names_a_slot_or_none(text):
    said = deploying.state_of(text)
    assert said["good"] in (None, "a", "b") and isinstance(said["hash"], dict)


# Where the core is not in files

FAKE_VFS = '''
import sys, vfs
class Fake:
    mount, umount, VfsRom = vfs.mount, vfs.umount, vfs.VfsRom
    part = bytearray({size})
    def rom_ioctl(self, op, n=0, offset=0, data=b""):
        if op == 1: return 1
        if op == 2: return self.part
        if op == 3: self.part[offset:offset + data] = b"\\xff" * data; return 4
        if op == 4: self.part[offset:offset + len(data)] = data; return 0
        if op == 5: return 0
        if op == 6: return 4096
sys.modules["vfs"] = fake = Fake()
'''


def test_a_romfs_partition_gets_the_core(board, app):
    with open_link(board.port) as link:
        link.run(FAKE_VFS.format(size=16384))
        assert probe.read(link).romfs == (16384,)
        sent = deploying.deploy(link, app)
        again = deploying.deploy(link, app)
        files = link.walk("/a")[0]
        link.run("vfs.mount(vfs.VfsRom(fake.part), '/rom')")
        there = {path: file for path, file in link.walk("/rom")[0].items()}
        link.run("vfs.umount('/rom')")
        assert there == {"/rom/" + path: file_of(data) for path, data in CORE.items()}
        assert not [path for path in files if "/lib/" in path]
        assert sent.sent > sum(map(len, CORE.values())) and again.sent == 0
        link.run("fake.part[20] ^= 1")
        assert deploying.deploy(link, app).sent == sum(map(len, [romfs.image(CORE)]))


def test_a_romfs_partition_that_is_too_small_is_left_alone(board, app):
    with open_link(board.port) as link:
        link.run(FAKE_VFS.format(size=4096))
        deploying.deploy(link, app)
        assert len(link.walk("/a/lib")[0]) == len(CORE)
        assert link.run("print(bytes(fake.part).strip(b'\\0'))") == "b''\n"


def test_a_romfs_partition_that_keeps_nothing_is_said(board, app, monkeypatch):
    with open_link(board.port) as link:
        link.run(FAKE_VFS.format(size=16384))
        monkeypatch.setattr(romfs_partition, "write", lambda link, image: None)
        with pytest.raises(LinkError, match="the ROMFS partition does not have what was written"):
            deploying.deploy(link, app)


def test_what_an_image_in_flash_has_is_left_out(app):
    tree = trees.tree(UNIX, app)
    held = {images.START: trees.sha256(tree["main.mpy"]),
            "helper.mpy": trees.sha256(tree["helper.mpy"])}
    rest = trees.tree(UNIX, app, image=images.Build("core", held))
    assert rest.keys() == {"main.mpy", "data/table.bin", "board.mpy", "facts.mpy"}
    assert rest["main.mpy"] != tree["main.mpy"] and b"start_bulb" in rest["main.mpy"]
    (app / "helper.py").write_text("X = 2\n")
    assert "helper.mpy" in trees.tree(UNIX, app, image=images.Build("core", held))


# Does it run

def network(status, online, address="10.0.0.5"):
    return json.dumps({"event": "network", "status": status, "online": online,
                       "address": address})


def test_a_node_is_online_when_it_says_so():
    running = deploying.follow([
        ">>> ", "MPY: soft reboot", '{"event": "heap", "free": 1234}',
        network("REQUESTING_CONFIGURATION", True), network("OK", False), network("OK", True),
        network("never heard", True)])
    assert running[:4] == (True, "OK", "10.0.0.5", 1234)
    denied = deploying.follow([network("ACCESS_DENIED", True)])
    assert (denied.online, denied.status) == (True, "ACCESS_DENIED")


def test_a_program_that_fails_is_told_by_its_traceback():
    running = deploying.follow(["Traceback (most recent call last):", '  File "main.py", line 1',
                                "OSError: no Wi-Fi: status 2", ">>> "])
    assert not running.online and running.said[-1] == "OSError: no Wi-Fi: status 2"


def test_a_program_that_says_nothing_is_not_online():
    assert deploying.follow([]) == deploying.Running(False, None, None, None, [], False)


@given(st.lists(st.one_of(st.text(), st.dictionaries(
    st.sampled_from(["event", "status", "online", "free"]),
    st.one_of(st.none(), st.booleans(), st.text(), st.just("network"), st.lists(st.none()))
).map(json.dumps))))
def test_whatever_a_board_prints_is_followed(lines):
    running = deploying.follow(lines)
    assert isinstance(running.online, bool) and len(running.said) <= len(lines)


# The command

def test_the_command_says_what_it_sent(board, app):
    def run(*more):
        return CliRunner().invoke(main, ["deploy", board.port, str(app), "--no-start", *more])

    told = json.loads(run("--json").stdout)
    assert told["sent"] == told["size"] > 10_000 and told["running"] is None
    again = run()
    assert again.exit_code == 0 and f"nothing to send: all {told['files']} files are there" in \
        again.output
    assert "\x1b" not in again.output


def test_the_command_waits_for_the_node(board, app, monkeypatch):
    def run(*said):
        monkeypatch.setattr(linking.Link, "restart", lambda link: None)
        monkeypatch.setattr(linking.Link, "lines", lambda link, timeout_s: iter(said))
        return CliRunner().invoke(main, ["deploy", board.port, str(app)])

    with open_link(board.port) as link:
        link.write("/identity.secret", b"0123456789:0:aa:bb")
    good = run('{"event": "heap", "free": 56789}', network("OK", True))
    assert good.exit_code == 0 and "online as 10.0.0.5, 56,789 bytes of heap free" in good.output
    for status, code, mend in (
            ("ACCESS_DENIED", 0, "filament authorize 0123456789 --home net"),
            ("NOT_FOUND", 0, "its controller has no such network"),
            ("REQUESTING_CONFIGURATION", 1, "a root answers, and its network's controller does")):
        told = run(network(status, True))
        assert told.exit_code == code and status in told.output and mend in told.output
    unreached = run(network("REQUESTING_CONFIGURATION", False))
    assert unreached.exit_code == 1 and "does the root answer?" in unreached.output
    failed = run("Traceback (most recent call last):", "ImportError: no module 'x'")
    assert failed.exit_code == 1 and "has failed: ImportError: no module 'x'" in failed.output
    assert "Wi-Fi" not in failed.output
    silent = run("hello\x1b[2J")
    assert silent.exit_code == 1 and "the node is not online" in silent.output
    assert "hello?[2J" in silent.output and "\x1b" not in silent.output
    for error in "MemoryError: memory allocation failed", "OSError: WiFi Out of Memory":
        full = run("Traceback (most recent call last):", error)
        assert full.exit_code == 1 and "heap is too small" in full.output
