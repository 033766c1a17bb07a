"""`make bench` measures what it says, here with few round trips."""

import json

from host_tools import loopback
from host_tools.bench import __main__ as bench
from mpcore.vl1.identity import Identity
from tests.core.support import vectors

IDENTITIES = [Identity.from_text(case["secret_text"])
              for case in vectors("identity.json")["identities"]]


def test_faces_and_heap(tmp_path):
    with loopback.Network(tmp_path / "network", IDENTITIES[:3], ["echo", "ping"]) as network:
        measured = bench.Bench(network)
        for variant in (("micropython", "node", "event"), ("micropython", "node", "stream"),
                        ("cpython", "node", "event"), ("cpython", "platform + crypto", "stream")):
            assert variant in bench.VARIANTS
            found = measured.time(variant, 10)
            assert found["us"] > 0 and found["bulk_us"] > 0
        heap = dict(measured.heap())
    assert heap["import mpcore.nic"] > heap["import mpcore"] > 0
    assert heap["each further connection"] < heap["first connection"]


def test_a_face_is_compared_with_the_platforms_own_with_crypto():
    figures = {("cpython", "platform + crypto", "stream"): {"us": 100},
               ("cpython", "platform", "stream"): {"us": 50},
               ("cpython", "node", "event"): {"us": 150}}
    bench.compare(figures, "us")
    assert json.dumps(figures["cpython", "node", "event"]) == '{"us": 150, "us_ratio": 1.5}'
