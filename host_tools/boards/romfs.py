"""A ROMFS image, as firmware with a partition for it mounts at /rom: bytecode and constants stay
in flash there, and only native code is copied."""

from mpremote.romfs import VfsRomWriter


def image(files):
    """The image of {path: content}, with its directories; entries are in the order of names."""
    writer = VfsRomWriter()
    _add(writer, _tree(files))
    return bytes(writer.finalise())


def _tree(files):
    tree = {}
    for path, content in files.items():
        *directories, name = path.split("/")
        inner = tree
        for directory in directories:
            inner = inner.setdefault(directory, {})
        inner[name] = content
    return tree


def _add(writer, tree):
    for name, content in sorted(tree.items()):
        if isinstance(content, dict):
            writer.opendir(name)
            _add(writer, content)
            writer.closedir()
        else:
            writer.mkfile(name, content)
