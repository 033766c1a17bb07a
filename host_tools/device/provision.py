"""A board's identity, planet and settings: made on the host, kept there, written to the board.

Boards cannot generate an identity, which takes 2 MiB. What a board has is kept in a home directory
on the host as well, laid out as a node's and readable by its owner only; a board that lost its
files gets the same ones again.
"""

import json
from collections import namedtuple
from pathlib import Path

from host_tools import home
from host_tools.device.link import TEMPORARY, LinkError, file_of
from mpcore.dns.message import label
from mpcore.vl1 import inet
from mpcore.vl1.identity import Identity
from mpcore.vl1.world import PLANET, World

SETTINGS = "node.secret.json"
DEFAULTS = {"network": None, "ssid": None, "key": None, "hostname": None, "bind": "0.0.0.0:9993",
            "loopback": False, "allow": []}
MAX_FILE = 16384            # bytes of a file that is read from a board
_KEY_LENGTHS = range(8, 65)
_SSID_MAX = 32
_GROUP_OR_OTHERS = 0o077
_REPLACED = "identity.replaced"     # the address that the board had before
_OF_AN_IDENTITY = ("/networks.d", "/peers.d")       # on the board: of no use to another identity

# identity: an Identity. before: the address that it replaces, or None. files: {path on the board:
# bytes}.
Provision = namedtuple("Provision", "identity before files")


def home_of(base, unique, port):
    """The directory for a board: by its chip's number, or by its port where it has none."""
    known = unique.strip("0")
    return Path(base, "boards", unique if known else Path(port).name)


def read_key(path, stdin):
    """A Wi-Fi key from a file that only its owner can read; "-" is standard input. Raises
    ValueError."""
    if path == "-":
        text = stdin.readline()
        if not text:
            raise ValueError("standard input has no Wi-Fi key; an empty line is for an open "
                             "network")
    else:
        if Path(path).stat().st_mode & _GROUP_OR_OTHERS:
            raise ValueError(f"{path}: others than you can read this key; `chmod 600 {path}`, and "
                             "repeat this")
        text = Path(path).read_text()
    return checked_key(text.strip("\r\n"))


def checked_key(text):
    """A Wi-Fi key, None for an open network. Raises ValueError, without the key in it."""
    if not text:
        return None
    if len(text) not in _KEY_LENGTHS or not text.isascii() or not text.isprintable():
        raise ValueError("a Wi-Fi key has 8 to 63 characters, all of them ASCII")
    return text


def checked(settings):
    """Settings with all DEFAULTS in them. Raises ValueError for what a board could not use."""
    if not isinstance(settings, dict):
        raise ValueError(f"{SETTINGS}: not an object")
    settings = DEFAULTS | settings
    if settings["network"] is None:
        raise ValueError("--network is missing: the ID that `filament serve` printed")
    home.network_id(settings["network"])
    if settings["ssid"] is not None and not 0 < len(settings["ssid"].encode()) <= _SSID_MAX:
        raise ValueError(f"a Wi-Fi network's name has 1 to {_SSID_MAX} bytes")
    if settings["hostname"] is not None:
        label(settings["hostname"])
    inet.parse(settings["bind"])
    for address in settings["allow"]:
        home.address(address)
    return settings


def stored_settings(store):
    """The settings that a home directory keeps, {} where there are none. Raises ValueError."""
    data = store.load(SETTINGS)
    try:
        settings = {} if data is None else json.loads(data)
    except ValueError as error:
        raise ValueError(f"{store.home}/{SETTINGS}: {error}") from error
    if not isinstance(settings, dict):
        raise ValueError(f"{store.home}/{SETTINGS}: not an object")
    return settings


def identity_on(link):
    """The Identity of the board, or None. Raises LinkError when its file is damaged."""
    data = link.read("/" + home.SECRET, MAX_FILE)
    if data is None:
        return None
    try:
        identity = Identity.from_text(data.decode())
        if identity.private is None:
            raise ValueError("no private key")
    except ValueError as error:
        raise LinkError(f"{link.target}: the identity on the board is damaged ({error}); "
                        "`filament provision --rotate` makes a new one") from error
    return identity


def prepare(store, link, settings, planet, generate, rotate=False, app_config=None):
    """The Provision for the board at a Link; what belongs to it is in the home directory then.

    store: a Store of that directory. settings: as checked() returns them. planet: path of a planet
    file, or None for that of the directory or the board. generate(): makes an Identity. rotate:
    make a new one in place of that on the board. app_config: path of an app's own settings, or
    None. Raises ValueError, LinkError.
    """
    kept = home.load_identity(store)
    world = _planet(store, link, planet)
    if rotate:
        before = kept or _or_none(link)
        identity = generate()
    else:
        there = identity_on(link)
        before = None
        replaced = store.load(_REPLACED)    # by a --rotate that may not have reached the board
        if kept and there and kept.address != there.address and (
                replaced != there.address.hex().encode()):
            raise ValueError(
                f"the board is {there.address.hex()}, and {store.home} has "
                f"{kept.address.hex()}: name the board's own directory with --home, or give it a "
                "new identity with --rotate")
        identity = kept or there or generate()
    if kept is None or kept.address != identity.address:
        if before is not None:
            store.store(_REPLACED, before.address.hex().encode())
        home.save_identity(store, identity)
    text = (json.dumps(settings) + "\n").encode()
    for name, data in ((home.PLANET_FILE, world), (SETTINGS, text)):
        if store.load(name) != data:
            store.store(name, data)
    files = {"/" + home.SECRET: identity.to_text(secret=True).encode(),
             "/" + home.PLANET_FILE: world, "/" + SETTINGS: text}
    if app_config is not None:
        files["/" + app_name(app_config)] = _json(app_config)
    return Provision(identity, before and before.address, files)


def app_name(path):
    """What an app's settings are called on the board: APP.secret.json, whatever the file's name
    is. Raises ValueError for the name of a file of ours."""
    name = Path(path).name
    if ".secret" not in name:
        name = Path(path).stem + ".secret.json"
    if name in (SETTINGS, home.SECRET):
        raise ValueError(f"{path}: {name} is what `filament provision` makes itself")
    return name


def write(link, provision, tell=lambda path: None):
    """Write what the board does not have yet; returns the paths written."""
    there = link.files(provision.files)
    link.remove(*(path + TEMPORARY for path in provision.files))
    secret = "/" + home.SECRET
    if there.get(secret) not in (None, file_of(provision.files[secret])):
        link.remove(*_OF_AN_IDENTITY)
    written = []
    for path, data in provision.files.items():
        if there.get(path) != file_of(data):
            tell(path)
            link.write(path, data)
            written.append(path)
    return written


def _or_none(link):
    try:
        return identity_on(link)
    except LinkError:
        return None


def _planet(store, link, path):
    if path is not None:
        data, where = Path(path).read_bytes(), path
    else:
        data, where = store.load(home.PLANET_FILE), f"{store.home}/{home.PLANET_FILE}"
        if data is None:
            data, where = link.read("/" + home.PLANET_FILE, MAX_FILE), "/planet on the board"
    if data is None:
        raise ValueError("--planet is missing: the planet file of your network's root, such as "
                         "net/planet that `filament serve --home net` made")
    try:
        world, length = World.from_bytes(data)
        if length != len(data) or world.type != PLANET:
            raise ValueError("something else")
        if not world.verify(world.update_key):
            raise ValueError("its signature does not fit")
    except ValueError as error:
        raise ValueError(f"{where} is no planet, or damaged ({error}): name with --planet a file "
                         "such as net/planet that `filament serve --home net` made") from error
    return data


def _json(path):
    data = Path(path).read_bytes()
    try:
        if len(data) > MAX_FILE or not isinstance(json.loads(data), dict):
            raise ValueError(f"not an object of at most {MAX_FILE} bytes")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return data
