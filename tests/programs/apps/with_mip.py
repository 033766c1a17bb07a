"""mip installs a package from web.py and imports it.

    with_mip.py HOST DIRECTORY
"""

import json
import sys

import mip

host, directory = sys.argv[1:]
mip.install("http://%s/package/" % host, target=directory)
sys.path.insert(0, directory)
import parcel

print(json.dumps({"works": parcel.VALUE == "came by mip"}))
