"""Identity, planet and settings on their way to a board, and what is kept of them."""

import json
import stat

import pytest
from click.testing import CliRunner

from host_tools import home
from host_tools.cli import main
from host_tools.command import Store
from host_tools.device import commands_serial, provision
from host_tools.device import link as linking
from host_tools.device.link import Lost, open_link
from host_tools.simulation.lan import ROOT_AT, planet
from tests.core.scenes import identity
from tests.host.repl_board import ReplBoard

NETWORK = "8056c2e21c000001"
KEY = "correct horse battery"
ADDRESSES = [identity(i).address.hex() for i in range(4)]


@pytest.fixture(name="board")
def board_fixture(tmp_path):
    with ReplBoard(tmp_path) as board:
        yield board


@pytest.fixture(name="provision_it")
def provision_it_fixture(tmp_path, monkeypatch, board):
    """provision_it(*arguments) -> click's result; identities come from a list."""
    made = iter(range(1, 4))
    monkeypatch.setattr(commands_serial, "generate_identities", lambda: [identity(next(made))])
    (tmp_path / "planet").write_bytes(planet([(identity(0), [ROOT_AT])]).to_bytes())

    def provision_it(*arguments, directory="home", **options):
        return CliRunner().invoke(main, ["provision", board.port, "--home",
                                         str(tmp_path / directory), *arguments], **options)
    return provision_it


@pytest.fixture(name="first")
def first_fixture(provision_it, tmp_path):
    """A board that is provisioned."""
    return done(provision_it("--network", NETWORK, "--planet", str(tmp_path / "planet"), "--json"))


def done(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def said(result):
    """Its sentence, without the frame around it."""
    return " ".join(result.output.replace("│", " ").split())


def on_board(board):
    """{path: content} of what is on it."""
    with open_link(board.port) as link:
        return {path: link.read(path) for path in link.walk()[0]}


# What a board gets

def test_a_board_gets_identity_planet_and_settings(board, first, tmp_path):
    there = on_board(board)
    assert first["written"] == ["/identity.secret", "/planet", "/node.secret.json"]
    assert set(there) == set(first["written"])
    assert there["/identity.secret"].decode() == identity(1).to_text(secret=True)
    assert there["/planet"] == (tmp_path / "planet").read_bytes()
    assert json.loads(there["/node.secret.json"]) == provision.DEFAULTS | {"network": NETWORK}
    assert first["address"] == ADDRESSES[1] and first["public"] == identity(1).to_text()


def test_the_host_keeps_it_for_its_owner_only(first, tmp_path):
    for name in ("identity.secret", "node.secret.json"):
        assert stat.S_IMODE((tmp_path / "home" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


def test_a_second_run_writes_nothing_and_needs_no_options(board, first, provision_it, monkeypatch):
    before = on_board(board)
    monkeypatch.setattr(linking.Link, "write", None)
    again = done(provision_it("--json"))
    assert again["written"] == [] and again["address"] == first["address"]
    assert on_board(board) == before
    assert "the board has all of it already" in provision_it().output


def test_only_what_has_changed_is_written_and_the_rest_stays(board, first, provision_it):
    changed = done(provision_it("--hostname", "lamp", "--allow", ADDRESSES[0],
                                "--allow", ADDRESSES[2], "--json"))
    assert changed["written"] == ["/node.secret.json"]
    assert done(provision_it("--bind", "0.0.0.0:9994", "--json"))["written"] == changed["written"]
    settings = json.loads(on_board(board)["/node.secret.json"])
    assert settings == provision.DEFAULTS | {
        "network": NETWORK, "hostname": "lamp", "allow": [ADDRESSES[0], ADDRESSES[2]],
        "bind": "0.0.0.0:9994"}


def test_a_lost_file_comes_back_from_the_host_and_a_lost_home_from_the_board(
        board, first, provision_it, tmp_path):
    with open_link(board.port) as link:
        link.remove("/identity.secret")
    assert done(provision_it("--json"))["written"] == ["/identity.secret"]
    other = done(provision_it("--network", NETWORK, "--json", directory="other"))
    assert other["written"] == [] and other["address"] == ADDRESSES[1]
    assert home.load_identity(Store(tmp_path / "other")).address.hex() == ADDRESSES[1]


# Another identity

def test_rotating_makes_a_new_identity_and_says_whom_to_authorise(board, first, provision_it):
    with open_link(board.port) as link:
        link.write("/networks.d/x.conf", b"of the identity before")
        link.write("/peers.d/y.peer", b"likewise")
    told = provision_it("--rotate")
    assert told.exit_code == 0
    assert f"filament authorize {ADDRESSES[2]} --home net" in told.output
    assert f"filament authorize {ADDRESSES[1]} --revoke --home net" in told.output
    there = on_board(board)
    assert there["/identity.secret"].decode() == identity(2).to_text(secret=True)
    assert not [path for path in there if path.startswith(("/networks.d", "/peers.d"))]


def test_a_rotation_whose_cable_was_pulled_is_completed_by_the_next_run(
        board, first, provision_it, monkeypatch):
    def cut(link, path, data, tell=None):
        raise Lost("the connection has broken")

    with monkeypatch.context() as patch:
        patch.setattr(linking.Link, "write", cut)
        assert "the connection has broken" in provision_it("--rotate").output
    assert done(provision_it("--json")) | {"home": ""} == first | {
        "address": ADDRESSES[2], "public": identity(2).to_text(), "home": "",
        "written": ["/identity.secret"]}


def test_a_board_that_is_another_ones_is_not_overwritten(board, first, provision_it, tmp_path):
    home.save_identity(Store(tmp_path / "home"), identity(3))
    told = provision_it()
    assert told.exit_code == 1 and "--rotate" in told.output and ADDRESSES[1] in told.output
    assert on_board(board)["/identity.secret"].decode() == identity(1).to_text(secret=True)


def test_a_damaged_identity_on_the_board_is_said(board, first, provision_it):
    with open_link(board.port) as link:
        link.write("/identity.secret", b"\xff half of it")
    told = provision_it()
    assert told.exit_code == 1 and "the identity on the board is damaged" in told.output
    assert provision_it("--rotate").exit_code == 0


# The key of the Wi-Fi network

def test_a_wifi_key_comes_from_a_file_or_standard_input_and_is_told_to_nobody(
        board, first, provision_it, tmp_path):
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    file.chmod(0o644)
    told = provision_it("--wifi", "home", "--wifi-key-file", str(file))
    assert told.exit_code == 1 and "others than you can read this key" in said(told)
    file.chmod(0o600)
    told = provision_it("--wifi", "home", "--wifi-key-file", str(file))
    assert told.exit_code == 0 and KEY not in told.output
    assert json.loads(on_board(board)["/node.secret.json"])["key"] == KEY
    told = provision_it("--wifi", "away", "--wifi-key-file", "-", input="another key\n")
    assert told.exit_code == 0 and "another key" not in told.output
    settings = json.loads(on_board(board)["/node.secret.json"])
    assert (settings["ssid"], settings["key"]) == ("away", "another key")
    told = provision_it("--wifi", "away", "--wifi-key-file", "-", input="")
    assert told.exit_code == 1 and "standard input has no Wi-Fi key" in said(told)
    assert json.loads(on_board(board)["/node.secret.json"]) == settings
    # The same network needs no key again; another one does.
    assert done(provision_it("--wifi", "away", "--json"))["written"] == []
    told = provision_it("--wifi", "third")
    assert told.exit_code == 1 and "the Wi-Fi key is missing" in told.output


def test_a_wifi_key_is_asked_for_without_an_echo(first, provision_it, monkeypatch):
    asked = []
    monkeypatch.setattr(commands_serial, "_interactive", lambda: True)
    monkeypatch.setattr("rich_click.prompt",
                        lambda text, **how: asked.append((text, how["hide_input"])) or KEY)
    told = provision_it("--wifi", "home")
    assert told.exit_code == 0 and KEY not in told.output
    [(text, hidden)] = asked
    assert "home" in text and hidden


@pytest.mark.parametrize("key", ["short", "x" * 65, "ümlaut is no key", "tab\tin it"])
def test_what_is_no_key_is_refused_without_repeating_it(key):
    with pytest.raises(ValueError) as caught:
        provision.checked_key(key)
    assert key not in str(caught.value)


# What cannot be

@pytest.mark.parametrize("arguments, complaint", [
    ((), "--network is missing"),
    (("--network", "8056"), "not a network ID"),
    (("--network", NETWORK), "--planet is missing"),
    (("--network", NETWORK, "--allow", "12"), "not an address"),
    (("--network", NETWORK, "--hostname", "x" * 64), "1 to 63 bytes"),
    (("--network", NETWORK, "--wifi-key-file", "-"), "--wifi is missing"),
])
def test_what_is_missing_or_wrong_is_said(board, provision_it, arguments, complaint):
    told = provision_it(*arguments)
    assert told.exit_code == 1 and complaint in said(told)
    assert on_board(board) == {}


@pytest.mark.parametrize("damage", [
    lambda data: b"x" * 100, lambda data: b"", lambda data: data[:-1], lambda data: data + b"x",
    *(lambda data, at=at: data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
      for at in (3, 20, 90, 150, 200, 250))])
def test_a_planet_that_is_none_or_damaged_is_refused(board, provision_it, tmp_path, damage):
    data = (tmp_path / "planet").read_bytes()
    (tmp_path / "planet").write_bytes(damage(data))
    told = provision_it("--network", NETWORK, "--planet", str(tmp_path / "planet"))
    assert told.exit_code == 1 and "is no planet, or damaged" in said(told)
    assert on_board(board) == {} and not (tmp_path / "home" / "identity.secret").exists()



def test_an_apps_settings_go_along(board, first, provision_it, tmp_path):
    (tmp_path / "bulb.json").write_text('{"place": [1, 2]}')
    told = done(provision_it("--app-config", str(tmp_path / "bulb.json"), "--json"))
    assert told["written"] == ["/bulb.secret.json"]
    assert on_board(board)["/bulb.secret.json"] == b'{"place": [1, 2]}'
    for name, text in (("list.json", "[]"), ("none.json", "{"), ("node.secret.json", "{}")):
        (tmp_path / name).write_text(text)
        assert provision_it("--app-config", str(tmp_path / name)).exit_code == 1


def test_a_board_has_a_directory_of_its_own():
    assert provision.home_of("base", "e66138528361bb32", "/dev/ttyACM0").parts == (
        "base", "boards", "e66138528361bb32")
    assert provision.home_of("base", "0000", "/dev/ttyACM0").parts == ("base", "boards", "ttyACM0")
