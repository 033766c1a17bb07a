"""Where a user's machine keeps what can be had again."""

import os
from pathlib import Path


def directory(name):
    """The directory of that name in the cache of this user; it may not be there yet."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    return base / "filament" / name
