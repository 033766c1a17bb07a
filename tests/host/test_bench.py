"""`make bench` measures what it says and writes what it documents, here with little of each."""

import json
import os

import pytest

from host_tools import loopback
from host_tools.bench import __main__ as bench
from host_tools.bench import (
    board, faces, idle, join, kernels, profile, reaction, section, throughput, valgrind)
from host_tools.emulator import reacting
from tests.core.scenes import identity


def quick(tmp_path):
    return section.Options(tmp_path, rounds=1, quick=True)


def facts(result):
    """What the JSON gets; every section has this shape."""
    found = json.loads(json.dumps(result.facts()))
    assert set(found) == {"tables", "targets", "notes", "figures"}
    for table in found["tables"]:
        assert set(table) == {"title", "columns", "rows"} and table["rows"]
        assert all(len(row) == len(table["columns"]) for row in table["rows"])
    for target in found["targets"]:
        assert set(target) == {"what", "target", "reached", "met"}
    return found


def needed(what, reason):
    """Skip for a reason that CI must not have."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}: {reason}")
    pytest.skip(f"{what}: {reason}")


def test_faces_and_heap(tmp_path):
    identities = [identity(i) for i in range(3)]
    with loopback.Network(tmp_path / "network", identities, ["echo", "ping"]) as network:
        measured = faces.Bench(network)
        for variant in (("micropython", "node", "event"), ("micropython", "node", "stream"),
                        ("cpython", "node", "event"), ("cpython", "platform + crypto", "stream")):
            assert variant in faces.VARIANTS
            found = measured.time(variant, 10)
            assert found["us"] > 0 and found["bulk_us"] > 0
        heap = dict(measured.heap())
    assert heap["import mpcore.nic"] > heap["import mpcore"] > 0
    assert heap["each further connection"] < heap["first connection"]


def test_a_face_is_compared_with_the_platforms_own_with_crypto():
    figures = {("cpython", "platform + crypto", "stream"): {"us": 100},
               ("cpython", "platform", "stream"): {"us": 50},
               ("cpython", "node", "event"): {"us": 150}}
    faces.compare(figures, "us")
    assert json.dumps(figures["cpython", "node", "event"]) == '{"us": 150, "us_ratio": 1.5}'


def test_idle(tmp_path):
    found = facts(idle.measure(quick(tmp_path)))
    assert {row["profile"] for row in found["figures"]["idle"]} == set(idle.PROFILES)
    assert all(row["mb_day"] > 0 for row in found["figures"]["idle"])


def test_join(tmp_path):
    found = facts(join.measure(quick(tmp_path)))
    starts = {(row["runtime"], row["start"]): row for row in found["figures"]["join"]}
    assert len(starts) == 6
    for row in starts.values():
        assert 0 < row["loaded"] < row["ok"] <= row["stream"]
        assert row["frame"] <= row["stream"]
    assert len(found["targets"]) == 3


def test_reaction(tmp_path):
    try:
        result = reaction.measure(quick(tmp_path))
    except section.Skipped as reason:
        needed("reaction", reason)
    if result.notes:
        needed("libzt", result.notes)
    found = facts(result)
    apart = set(reaction.APART) if len(os.sched_getaffinity(0)) > 1 else set()
    assert set(found["figures"]) == {"node", "plain", "libzt"} | apart
    for thing in reaction.THINGS:
        plain = found["figures"]["plain"][thing]
        assert 0 < plain["p50_us"] <= plain["p99_us"] and plain["count"] > 0
    assert found["figures"]["node"]["tcp_push"]["count"] == 20
    assert len(found["targets"]) == 4


def test_quantiles():
    ordered = list(range(1, 101))
    assert reaction.quantile(ordered, .5) == 51 and reaction.quantile(ordered, .99) == 100
    assert reaction.quantile([7], .99) == 7 and reaction.quantile([], .5) is None


def entry(a, b, *mb_s, rings=None):
    return {"from": a, "to": b, "rings": rings, "MB_s": list(mb_s)}


def test_throughput_is_held_against_the_targets():
    found = facts(throughput.summary({
        "by": "netem",
        "clean": [entry("micropython", "cpython", 7, 6, 5.5), entry("libzt", "libzt-2", 60),
                  entry("cpython", "micropython", 4, 4.5, 6),
                  entry("micropython", "libzt", 2, rings=throughput.LARGE)],
        "bad": [entry("micropython", "cpython", 0.3, 0, 0.2), entry("libzt", "libzt-2", 0),
                entry(throughput._RENO, throughput._RENO, 0.25)]}))
    assert [(target["what"], target["met"]) for target in found["targets"]] == [
        ("micropython to cpython", True), ("cpython to micropython", False),
        ("bad line, micropython to cpython, beside Reno's", False)]


@pytest.mark.parametrize("piece", [
    *(piece for _, piece, _, _ in kernels._KERNELS), *kernels._BLOCKS[:2],
    *(piece for piece, _, _ in kernels._LAYERS)])
def test_each_piece_does_its_work(piece):
    assert kernels.allocated(piece) >= 0


def test_instructions_are_counted():
    try:
        valgrind.need()
    except section.Skipped as reason:
        needed("valgrind", reason)
    small, large = [kernels.instructions(piece, 2, 42) for piece in ("armor 64", "armor 1400")]
    assert 1000 < small < large


def test_layers_add_up():
    half = {"armor segment": 10, "dearmor segment": 11, "port": 5, "vl1": 50, "vl2": 70,
            "tcp": 130}
    found = kernels.layers(half, 200)
    assert sum(count for _, count in found) == 200
    assert [count for _, count in found] == [5, 21, 29, 20, 60, 65]


def test_the_profile_shows_every_layer():
    figures = {"whole": {"instructions": 200},
               "layers": [{"layer": "low", "instructions": 150, "share": 0.75},
                          {"layer": "high", "instructions": 50, "share": 0.25}],
               "kernels": [{"kernel": "armor", "instructions": 12345, "heap": None}]}
    text = profile.document(figures)
    assert "low " in text and "75.0 %" in text and "| armor | 12,345 |  |" in text
    low, high = [line for line in text.splitlines() if "█" in line]
    assert low.count("█") > 2 * high.count("█") and high.index("█") > low.rindex("█")


def memory(used, s=30):
    return {"s": s, "used": used, "free": 205_568 - used, "largest_free": 5_000}


def test_the_board_is_held_against_the_targets():
    fast, slow = [reacting.quantiles([[1_000_000 * ms // 8, ms * 1_000_000] for ms in times])
                  for times in ([4] * 150 + [7], [4] * 150 + [12] * 2)]
    assert fast["count"] == 151 and (fast["p50_ms"], fast["p99_ms"], fast["max_ms"]) == (4, 4, 7)
    assert slow["p99_ms"] == 12 and slow["p50_cycles"] == 500_000
    bulb = {"joined_ms": 2000, "following_ms": 2500, "joined": memory(120_000),
            "reacting": [memory(130_000), memory(130_500, 60)], "reactions": fast,
            "reacting_peers": [memory(150_000)], "reactions_peers": slow}
    found = facts(board.summary({"X25519": 17_000_000}, {
        "udp": fast, "tcp": fast, "cold_ms": 2100, "warm_ms": 1300}, bulb))
    assert [target["met"] for target in found["targets"]] == [True, True, True, False, True]
    assert ["X25519", 17_000_000, 136.0] in found["tables"][0]["rows"]
    assert reacting.growth(bulb["reacting"]) == 500


def test_a_target_is_judged():
    assert section.at_most("wait", 3, 3, "ms").met
    assert not section.at_most("wait", 3, 3.1, "ms").met
    assert section.at_least("speed", 5, 5, "MB/s").met
    missing = section.at_least("speed", 5, None, "MB/s")
    assert (missing.met, missing.reached) == (None, "not measured")


def test_one_section_is_measured_and_others_are_kept(tmp_path, capsys):
    output = tmp_path / "bench.json"
    kept = {"about": "Kept.", "skipped": "no board", "seconds": 1}
    output.write_text(json.dumps({"sections": {"faces": kept}}))
    assert bench.main(["--only", "idle", "--quick", "--output", str(output)]) == 0
    written = json.loads(output.read_text())
    assert set(written) == {"when", "machine", "sections"}
    assert list(written["sections"]) == ["faces", "idle"] and written["sections"]["faces"] == kept
    assert set(written["sections"]["idle"]) == {"about", "tables", "targets", "notes", "figures",
                                                "seconds"}
    document = output.with_suffix(".md").read_text()
    assert "## idle" in document and "Skipped: no board" in document
    assert "low_bandwidth" in capsys.readouterr().out


def test_an_unknown_section_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        bench.main(["--only", "idle,bench"])
    assert ended.value.code == 2 and "no section bench" in capsys.readouterr().err


def test_a_section_that_fails_costs_no_other(tmp_path, monkeypatch, capsys):
    def broken(options):
        raise RuntimeError("broken")

    monkeypatch.setattr(idle, "measure", broken)
    output = tmp_path / "bench.json"
    assert bench.main(["--only", "idle", "--output", str(output)]) == 1
    assert json.loads(output.read_text())["sections"] == {}
    assert "broken" in capsys.readouterr().err


@pytest.mark.parametrize("name", bench.SECTIONS)
def test_every_section_says_what_it_is(name):
    module = bench.importlib.import_module(f"host_tools.bench.{name}")
    assert len(module.ABOUT) > 80 and callable(module.measure)
