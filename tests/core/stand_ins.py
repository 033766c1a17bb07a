"""Files for a board without that board: what they import is made up."""

import sys

from tests.core.support import ROOT


class Module:
    """Anything with these attributes, as a module."""

    def __init__(self, **names):
        for name in names:
            setattr(self, name, names[name])


def load(name, directory, modules):
    """Import a module anew from a directory of the project, with {name: Module} in place of what
    it imports."""
    before = {each: sys.modules.get(each) for each in modules}
    sys.modules.pop(name, None)
    sys.modules.update(modules)
    sys.path.insert(0, ROOT + "/" + directory)
    try:
        return __import__(name)
    finally:
        sys.path.pop(0)
        sys.modules.pop(name, None)
        for each in before:
            if before[each] is None:
                del sys.modules[each]
            else:
                sys.modules[each] = before[each]
