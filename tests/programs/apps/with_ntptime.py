"""ntptime asks clock.py.

    with_ntptime.py HOST SECONDS
"""

import json
import sys

import ntptime

ntptime.host = sys.argv[1]
told = ntptime.time()
print(json.dumps({"works": told == int(sys.argv[2]), "told": told}))
