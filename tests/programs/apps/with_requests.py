"""requests against web.py.

    with_requests.py HOST
"""

import json
import sys
import time

import requests

BASE = "http://%s" % sys.argv[1]


def ms(function):
    began = time.ticks_us()
    result = function()
    return result, time.ticks_diff(time.ticks_us(), began) / 1000


response = requests.get(BASE + "/hello/bulb")
assert response.status_code == 200, response.status_code
assert response.text.startswith("hello bulb from 10.73.1."), response.text

terms = list(range(1000))
assert requests.post(BASE + "/sum", json={"terms": terms}).json() == {"sum": sum(terms)}
assert requests.get(BASE + "/moved").text.startswith("hello again")
assert requests.get(BASE + "/nowhere").status_code == 404
body, large_ms = ms(lambda: requests.get(BASE + "/large", timeout=10).content)
assert body == b"0123456789" * 10000
_, hello_ms = ms(lambda: requests.get(BASE + "/hello/bulb").text)

print(json.dumps({"works": True, "GET_ms": hello_ms, "GET_100_kB_ms": large_ms}))
