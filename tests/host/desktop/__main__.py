"""Prints the table of programs that the last run of the tests of the desktop has recorded.

    make test ARGS="-k test_desktop" && python -m tests.host.desktop
"""

import json

from tests.host.desktop.scene import RECORD

print("| program | version | by | how | works |\n|---|---|---|---|---|")
for row in json.loads(RECORD.read_text()).values():
    print(f"| {row['program']} | {row['version']} | `{row['way']}` | {row['what']} "
          f"| {'yes' if row['works'] else 'NO'} |")
