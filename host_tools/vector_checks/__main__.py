"""Checks the files named on the command line and prints the result of each as a line of JSON."""

import json
import sys

from host_tools.vector_checks import check_file

for path in sys.argv[1:]:
    print(json.dumps(check_file(path)))
