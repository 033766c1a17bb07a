"""`filament vectors`: the recorded behaviour of the real implementation, on both runtimes."""

import json
import random
import shutil
from pathlib import Path

import pytest

from host_tools import vectors
from host_tools.vector_checks import check_file

VECTORS = Path(__file__).parent.parent / "vectors"
FILES = sorted(str(path.relative_to(VECTORS)) for path in VECTORS.rglob("*.json"))


def load(name):
    return json.loads((VECTORS / name).read_text())


def check(data, tmp_path):
    path = tmp_path / "vectors.json"
    path.write_text(json.dumps(data))
    return check_file(str(path))


def report(directory, capsys, runtime="cpython"):
    """(exit code, parsed report) of a run."""
    code = vectors.run(directory, runtime, json_output=True)
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_every_file_passes(runtime, micropython, capsys):
    code, total = report(VECTORS, capsys, runtime)
    assert [failure for file in total["files"] for failure in file["failures"]] == []
    assert code == 0 and total["failed"] == 0 and total["runtime"] == runtime
    assert [file["file"] for file in total["files"]] == FILES
    assert all(file["passed"] > 100 for file in total["files"])
    assert total["passed"] == sum(file["passed"] for file in total["files"])


def flip(text):
    """Another hex text of the same length."""
    return text[:-1] + ("0" if text[-1] != "0" else "1")


# One value of each kind of check, and what becomes of it.
CORRUPTIONS = [
    ("addressing.json", ("mac", 0, "mac"), flip),
    ("addressing.json", ("ip_scope", 0, "usable_for_path"), lambda v: not v),
    ("addressing.json", ("mac_first_octet_by_low_byte",), flip),
    ("hello.json", ("cases", 0, "datagrams", 0, "hex"), flip),
    ("hello.json", ("cases", 0, "datagrams", 1, "plaintext"), flip),
    ("hello.json", ("cases", 0, "datagrams", 0, "fields", 6, 3), lambda v: "13"),
    ("identity.json", ("text_parsing", 0, "accepted"), lambda v: False),
    ("netconf.json", ("dictionary_encode", 1, "encoded"), flip),
    ("netconf.json", ("coms", 0, "verify"), lambda v: -1),
    ("netconf.json", ("configs", 0, "config", "multicast_limit"), lambda v: v + 1),
    ("netconf.json", ("sent_configs", 0, "packets", 0, "payload"), flip),
    ("packets.json", ("packets", 50, "wire"), flip),
    ("packets.json", ("tampered", 0, "ok"), lambda v: True),
    ("packets.json", ("fragmented", 1, "orders", 0, "delivered"), lambda v: v + 1),
    ("primitives.json", ("salsa20_12", 5, "keystream"), flip),
    ("primitives.json", ("lz4_blocks", 0, "ok"), lambda v: False),
    ("rules.json", ("evaluations", 0, "result"), lambda v: "redirect"),
    ("sessions/lan.json", ("datagrams", 20, "packet", "payload"), flip),
    ("sessions/lan.json", ("datagrams", 20, "kind"), lambda v: "head"),
    ("world.json", ("worlds", 0, "blob"), flip),
    ("world.json", ("replacement", 0, "replace"), lambda v: not v),
    ("world.json", ("node_behaviour", 0, "steps", 0, "upstreams_after"), lambda v: v[:-1]),
]


def quick(data):
    """A file without what takes seconds to check: it needs the memory-hard hash."""
    if data["meta"]["file"] == "hello":
        del data["cases"][1:]
    elif data["meta"]["file"] == "identity":
        sections = [name for name in data if name not in ("meta", "text_parsing")]
        data.update({name: [] for name in sections})
        del data["text_parsing"][1:]
    return data


@pytest.mark.parametrize("name, path, change", CORRUPTIONS)
def test_one_changed_value_fails(name, path, change, tmp_path):
    data = quick(load(name))
    assert check(data, tmp_path)["failed"] == 0
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = change(place[path[-1]])
    result = check(data, tmp_path)
    assert result["failed"] and result["failures"]


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_a_failure_is_told_and_counted(runtime, micropython, tmp_path, capsys):
    data = load("world.json")
    data["worlds"][0]["id"] = "00" * 8
    (tmp_path / "world.json").write_text(json.dumps(data))
    shutil.copy(VECTORS / "addressing.json", tmp_path)
    code, total = report(tmp_path, capsys, runtime)
    assert code == 1 and total["failed"] == 1
    assert [file["failed"] for file in total["files"]] == [0, 1]
    assert total["files"][1]["failures"] == [
        f"worlds[0] single_root: id is {load('world.json')['worlds'][0]['id']}, not " + "00" * 8]
    assert vectors.run(tmp_path, runtime) == 1
    out = capsys.readouterr().out
    assert "worlds[0] single_root" in out and "\x1b" not in out


@pytest.mark.parametrize("name", ["packets.json", "netconf.json", "world.json", "primitives.json",
                                  "addressing.json", "rules.json"])
def test_order_and_number_of_entries_do_not_matter(name, tmp_path):
    data = load(name)
    chance = random.Random(1)
    for section in data.values():
        if isinstance(section, list):
            chance.shuffle(section)
    assert check(data, tmp_path)["failed"] == 0
    data = load(name)
    referred_to = ("identities", "signing_keys", "worlds", "pairs", "packets", "coms", "configs")
    for section, entries in data.items():
        if isinstance(entries, list) and section not in referred_to:
            del entries[::2]
    result = check(data, tmp_path)
    assert result["passed"] and not result["failed"]


def test_optional_behaviour_may_come_out_either_way(tmp_path):
    data = load("primitives.json")
    optional = [entry for entry in data["lz4_blocks"] if entry.get("optional")]
    assert optional
    for entry in optional:
        entry["ok"] = not entry["ok"]
        entry["uncompressed"] = "00"
    assert check(data, tmp_path)["failed"] == 0
    data = quick(load("identity.json"))
    data["text_parsing"] = [entry for entry in load("identity.json")["text_parsing"]
                            if entry["lenient_quirk"]]
    assert data["text_parsing"]
    for entry in data["text_parsing"]:
        entry["accepted"] = not entry["accepted"]
    assert check(data, tmp_path)["failed"] == 0


@pytest.mark.parametrize("text, message", [
    ("{", ""),
    ("[]", "not a file of test vectors"),
    ('{"files": 3}', "not a file of test vectors"),
    ('{"meta": {"format": "zt-vectors/2", "file": "world"}}', "unknown format zt-vectors/2"),
    ('{"meta": {"format": "zt-vectors/1", "file": "weather"}}', "unknown kind"),
    ('{"meta": {"format": "zt-vectors/1", "file": "rules"}}', "not in the documented form"),
    ('{"meta": {"format": "zt-vectors/1", "file": "rules"}, "evaluations": []}',
     "nothing in it to check"),
    ('{"meta": {"format": "zt-vectors/1", "file": "rules"}, "evaluations": [3]}',
     "AttributeError"),
])
@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_what_is_no_file_of_vectors_is_an_error(text, message, runtime, micropython, tmp_path,
                                                capsys):
    (tmp_path / "some.json").write_text(text)
    code, total = report(tmp_path, capsys, runtime)
    assert code == 1 and total["failed"] == 1 and total["passed"] == 0
    assert message in total["files"][0]["failures"][0]


def test_a_directory_without_vectors_is_an_error(tmp_path, capsys):
    (tmp_path / "README.md").write_text("no vectors here")
    for runtime in ("cpython", "micropython"):
        assert vectors.run(tmp_path, runtime) == 1
        assert "no vector files" in capsys.readouterr().out


def test_micropython_without_memory_is_told(micropython, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(vectors, "_HEAP", "700K")
    shutil.copy(VECTORS / "rules.json", tmp_path)
    code, total = report(tmp_path, capsys, "micropython")
    assert code == 1
    assert "MemoryError" in total["files"][0]["failures"][0]
