"""The package that `mip install` puts onto a board: every source of the core that runs on one.

    python -m host_tools.package        writes package.json anew

`make boards` has the same compiled, in sets, for each kind of board (host_tools/boards).
"""

from host_tools.boards import listings, sets
from host_tools.boards.facts import PLATFORMS
from host_tools.unix_port import ROOT


def text():
    """The content of package.json."""
    return listings.package([sets.file_of(module) for module in sets.modules(PLATFORMS)])


if __name__ == "__main__":
    (ROOT / "package.json").write_text(text())
