"""A small share of `make sweep`: every connection over bad paths ends, and ends right."""

import json
import xml.etree.ElementTree

import pytest

from host_tools import tcp_sweep
from mpcore.ip.connection import Connection
from mpcore.ip.ring import Ring

JOBS = tcp_sweep.jobs(seeds=2, crowds=4, losses=(0, 3, 10, 30))


@pytest.mark.parametrize("job", JOBS, ids=lambda job: "-".join(map(str, job)))
def test_every_connection_ends_and_ends_right(job):
    result = tcp_sweep.run(job)
    assert result["ended"] and not result["wrong"] and not result["hanging"], result
    profile, ring, loss, seed = job
    if profile != "crowd" and loss <= 10:
        assert result["delivered"] == 1
    elif profile == "crowd" and loss <= 10 and seed % 4 != 3:
        # Only what its own application dropped has failed.
        assert result["delivered"] >= tcp_sweep.CROWD - 4


def test_the_same_seed_gives_the_same_result():
    job = "crowd", tcp_sweep.SMALL, 10, 3
    assert tcp_sweep.run(job) == tcp_sweep.run(job)


def test_wrong_bytes_would_be_seen(monkeypatch):
    write = Ring.write

    def damage(self, at, source, off, n):
        write(self, at, source, off, n)
        self.bytes[(self.head + at) % self.size] ^= 1

    monkeypatch.setattr(Ring, "write", damage)
    assert tcp_sweep.run(("loss", tcp_sweep.SMALL, 0, 0))["wrong"] == 1


def test_a_hang_would_be_seen(monkeypatch):
    monkeypatch.setattr(Connection, "keep_alive", lambda *arguments: None)
    assert sum(tcp_sweep.run(("crowd", tcp_sweep.SMALL, 10, seed))["hanging"]
               for seed in (7, 19)) > 0


def test_the_command_writes_a_chart_and_results(tmp_path, monkeypatch, capsys):
    # Up to 10 % none may fail: the chart has a point of both.
    monkeypatch.setattr(tcp_sweep, "LOSSES", (0, 10))
    monkeypatch.setattr(tcp_sweep, "SIZES", {tcp_sweep.SMALL: 20000, tcp_sweep.LARGE: 20000})
    monkeypatch.setattr(tcp_sweep, "jobs", lambda seeds: [
        job for job in JOBS if job[0] != "crowd" and job[2] in (0, 10)])
    monkeypatch.setattr(tcp_sweep, "Pool", _NoPool)
    output, results = tmp_path / "deep" / "sweep.svg", tmp_path / "sweep.json"
    assert tcp_sweep.main(["--output", str(output), "--json", str(results)]) == 0
    root = xml.etree.ElementTree.parse(output).getroot()
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 4
    for line in lines:
        points = [tuple(map(float, point.split(","))) for point in line.get("points").split()]
        (x0, y0), (x1, y1) = points
        assert 0 < x0 < x1 < 860 and 0 < y0 < y1 < 540      # loss makes it slower
    assert sum(result["delivered"] for result in json.loads(results.read_text())) == 16
    assert "hanging 0" in capsys.readouterr().out


class _NoPool:
    def __init__(self, processes):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def map(self, function, jobs, chunksize):
        return list(map(function, jobs))
