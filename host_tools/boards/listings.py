"""What names the files: package.json for `mip install`, manifest.py for freezing."""

import json

from host_tools.boards import sets
from mpcore import VERSION

# A set that freezing takes unless it is told not to; as the ROMFS image.
USUAL = ("core", "socket", "dns", "ipv6", "upkeep")


def version():
    """Filament's, such as "0.1.0"."""
    return ".".join(map(str, VERSION))


def package(files, **facts):
    """The text of a package.json: `files` are its relative URLs and the paths on the board.

    facts: further fields, which mip passes over.
    """
    urls = ",\n".join("    " + json.dumps([file, file]) for file in sorted(files))
    head = json.dumps({"version": version(), **facts, "deps": []})
    return head[:-1] + f', "urls": [\n{urls}\n]}}\n'


def manifest(files, found, platform, base, app, app_base):
    """The text of a manifest.py that freezes the sources, an option for each set but the core.

    files: {set: paths of its files, "mpcore/…"}. found: {set: sets.Set}. base, app_base: where
    those and an app's files are, from the manifest. app: (name of its option, its files).
    """
    options = ", ".join(f"{name}={name in USUAL}" for name in found if name != "core")
    parts = [f'"""Freezes Filament {version()} into firmware, for `sys.platform` {platform}.\n\n'
             'include("this/manifest.py", roles=True) takes a set that is left out otherwise.\n'
             '"""\n', f"options.defaults({options}, {app[0]}=False)\n"]
    for name in found:
        listed = "".join(f'    "{file.removeprefix("mpcore/")}",\n' for file in files[name])
        wanted = [other for other, part in found.items() if name in (other, *part.needs)]
        call = f'package("mpcore", files=(\n{listed}), base_path="{base}")\n'
        parts.append(f"# {sets.PURPOSES[name]}\n" + (
            call if name == "core" else
            f"if {' or '.join(f'options.{other}' for other in wanted)}:\n"
            + "".join(f"    {line}\n" for line in call.splitlines())))
    parts.append(f"if options.{app[0]}:\n" + "".join(
        f'    module("{file}", base_path="{app_base}")\n' for file in app[1]))
    return "\n".join(parts)
