"""The `filament` command: what it writes, what it answers, and how it refuses."""

import json
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from host_tools import cli, generate, home
from mpcore.port import Port
from mpcore.vl1.identity import Identity
from tests.core.support import vectors

ROOT = Path(__file__).parent.parent.parent
CASES = vectors("identity.json")
SECRET = CASES["identities"][0]["secret_text"]
PUBLIC = CASES["identities"][0]["public_text"]
OTHER = CASES["identities"][1]["public_text"]
INVALID = next(case["public_text"] for case in CASES["invalid_identities"] if case["text_parses"])


def run(*arguments):
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])


def done(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "identity.secret"
    path.write_text(SECRET)
    return path


@pytest.fixture
def public(tmp_path):
    path = tmp_path / "identity.public"
    path.write_text(PUBLIC + "\n")
    return path


def test_generate_writes_both_files_and_overwrites_only_when_forced(tmp_path, monkeypatch):
    made = iter([SECRET, CASES["identities"][1]["secret_text"]])
    monkeypatch.setattr(generate, "generate",
                        lambda count, progress: [Identity.from_text(next(made))])
    directory = tmp_path / "new"
    assert done("identity", "generate", directory).strip() == PUBLIC
    assert (directory / "identity.secret").read_text() == SECRET
    assert (directory / "identity.public").read_text() == PUBLIC
    assert mode(directory / "identity.secret") == 0o600
    refused = run("identity", "generate", directory)
    assert refused.exit_code == 1 and "--force" in refused.output
    assert (directory / "identity.secret").read_text() == SECRET
    facts = json.loads(done("identity", "generate", directory, "--force", "--json"))
    assert facts == {"address": OTHER[:10], "public": OTHER}
    assert (directory / "identity.public").read_text() == OTHER


def test_a_generated_identity_is_valid_and_no_worker_is_left(tmp_path):
    seen = []
    identity, = generate.generate(1, lambda found, hashes: seen.append((found, hashes)))
    assert identity.locally_valid() and identity.private
    assert seen[0] == (0, 1) and seen[-1][0] == 1
    assert not generate.multiprocessing.active_children()


def test_validate_says_and_exits_what_is_true(public, tmp_path):
    assert "is valid" in done("identity", "validate", public)
    wrong = tmp_path / "wrong"
    wrong.write_text(INVALID)
    result = run("identity", "validate", wrong, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"address": INVALID[:10], "valid": False}


def test_getpublic_keeps_the_secret(secret):
    assert done("identity", "getpublic", secret) == PUBLIC + "\n"


def test_sign_and_verify(secret, public, tmp_path):
    message = tmp_path / "message"
    message.write_bytes(b"\x00hello")
    signature = done("identity", "sign", secret, message).strip()
    assert "is valid" in done("identity", "verify", public, message, signature)
    message.write_bytes(b"\x00hellp")
    assert run("identity", "verify", public, message, signature).exit_code == 1


def test_planet_make_show_verify_and_succeed(public, tmp_path):
    file, key = tmp_path / "planet", tmp_path / "planet.secret"
    make = ["planet", "make", file, "--root", public, "10.0.0.1/9993,[fd00::1]:9993", "--key", key]
    done(*make)
    assert mode(key) == 0o600
    first = json.loads(done("planet", "show", file, "--json"))
    assert first["roots"] == [{"identity": PUBLIC, "endpoints": ["10.0.0.1/9993", "fd00::1/9993"]}]
    assert "signature valid" in done("planet", "verify", file)
    done(*make)
    second = json.loads(done("planet", "show", file, "--json"))
    assert second["id"] == first["id"] and second["timestamp"] > first["timestamp"]
    assert second["update_key"] == first["update_key"]
    assert "signature valid" in done("planet", "verify", file, "--key", first["update_key"])
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    assert run("planet", "verify", file).exit_code == 1


@pytest.mark.parametrize("arguments, words", [
    (["identity", "validate", "{here}/none"], "No such file"),
    (["identity", "validate", "{here}/junk"], "not an identity"),
    (["identity", "getpublic", "{here}"], "is a directory"),
    (["identity", "sign", "{here}/identity.public", "{here}/junk"], "no private key"),
    (["identity", "verify", "{here}/identity.public", "{here}/junk", "xyz"], "hex"),
    (["planet", "show", "{here}/junk"], "cut short"),
    (["planet", "make", "{here}/p", "--root", "{here}/identity.public", "nowhere", "--key",
      "{here}/k.secret"], "nowhere"),
    (["planet", "make", "{here}/p", "--root", "{here}/identity.public", "10.0.0.1/9", "--key",
      "{here}/k"], "secret"),
    (["node", "--home", "{here}", "--join", "12"], "16 hexadecimal digits"),
    (["serve", "--home", "{here}", "--bind", "x:y"], "not an IP address: x"),
    (["node", "--home", "{here}"], "no planet"),
    (["node", "--home", "{here}", "--planet", "{here}/junk"], "cut short"),
    (["serve", "--home", "{here}", "--bind", "0.0.0.0:9993"], "--advertise"),
    (["serve", "--home", "{here}", "--bind", "127.0.0.1:39993", "--pool", "10.0.0.0/31"], "pool"),
    (["serve", "--home", "{here}", "--role", "controller"], "no planet"),
    (["status", "--home", "{here}"], "no node runs"),
    (["ping", "10.0.0.1", "--home", "{here}"], "no node runs"),
    (["ping", "10.0.0", "--home", "{here}"], "10.0.0"),
    (["lookup", "bulb.local", "--home", "{here}"], "no node runs"),
    (["dns", "--home", "{here}"], "no node runs"),
    (["node", "--home", "{here}", "--hostname", "a" * 64], "1 to 63 bytes"),
    (["authorize", "0123456789", "--home", "{here}"], "no node runs"),
    (["vectors", "{here}/none"], "does not exist"),
    (["demo", "--seconds", "0"], "0"),
    (["nonsense"], "nonsense"),
])
def test_a_mistake_is_one_sentence_and_an_exit_code(tmp_path, secret, public, arguments, words):
    (tmp_path / "junk").write_text("junk")
    result = run(*[argument.format(here=tmp_path) for argument in arguments])
    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, SystemExit)
    assert words in " ".join(result.output.replace("│", " ").split())
    assert SECRET[-60:] not in result.output


def test_a_damaged_home_is_refused_in_words(tmp_path):
    (tmp_path / "identity.secret").write_text(PUBLIC)
    assert "no private key" in run("serve", "--home", tmp_path).output
    (tmp_path / "identity.secret").write_text(SECRET[:200])
    assert run("serve", "--home", tmp_path).exit_code == 1


def test_a_port_that_is_taken_is_said_with_what_to_do(tmp_path, secret):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        told = run("serve", "--home", tmp_path, "--loopback", "--bind",
                   "127.0.0.1:%d" % taken.getsockname()[1])
    assert told.exit_code == 1 and "Address already in use" in told.output
    assert "name another port" in " ".join(told.output.replace("│", " ").split())


def test_networks_with_a_file_are_joined(tmp_path):
    store = Port(str(tmp_path), [])
    assert home.joined(store) == []
    store.store("networks.d/0123456789abcdef.conf", b"")
    store.store("networks.d/0123456789abcdef.local.conf", b"allowManaged=1")
    assert home.joined(store) == [bytes.fromhex("0123456789abcdef")]


def test_the_module_is_the_command():
    shown = subprocess.run([sys.executable, "-m", "host_tools", "--help"], cwd=ROOT, check=True,
                           capture_output=True, text=True).stdout
    for command in ("identity", "planet", "serve", "node", "ping", "demo", "status", "vectors"):
        assert command in shown


@pytest.mark.parametrize("name", sorted(cli.main.commands))
def test_every_command_explains_itself(name):
    assert cli.main.commands[name].help
    assert "Usage" in done(name, "--help")
