"""The package that `mip install` puts onto a board: every file of the core that runs there.

    python -m host_tools.package        writes package.json anew
"""

import json
from pathlib import Path

from mpcore import VERSION

ROOT = Path(__file__).parent.parent
HOST_ONLY = {"mpcore/port/cpython.py", "mpcore/port/micropython_shim.py",
             "mpcore/crypto/native.py", "mpcore/vl1/hashcash_integers.py"}


def listing():
    """The content of package.json."""
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "mpcore").rglob("*.py")}
    return {"version": ".".join(map(str, VERSION)),
            "urls": [[file, file] for file in sorted(files - HOST_ONLY)], "deps": []}


def text():
    """The same as the file has it: one line for each file."""
    content = listing()
    urls = ",\n".join("    " + json.dumps(url) for url in content.pop("urls"))
    return json.dumps(content)[:-1] + f', "urls": [\n{urls}\n]}}\n'


if __name__ == "__main__":
    (ROOT / "package.json").write_text(text())
