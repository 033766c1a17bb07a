"""iperf3 in Python, as it comes: a client of Debian's server, or a server for one of its clients.

    with_iperf3.py client HOST [reverse]
    with_iperf3.py server
"""

import json
import sys

import iperf3

if sys.argv[1] == "server":
    print(json.dumps({"serving": 5201}))
    iperf3.server_once()
else:
    iperf3.client(sys.argv[2], reverse="reverse" in sys.argv)
print(json.dumps({"works": True}))
