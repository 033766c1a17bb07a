"""What runs on a board on our behalf."""

# Handles its files. It is sent once in a session, and needs about 2 KB there.
FILES = """
import os, json, hashlib
from binascii import a2b_base64 as _b, hexlify as _x
def _stat(path):
    try:
        return os.stat(path)
    except OSError:
        return None
def _sum(path):
    h = hashlib.sha256()
    buf = memoryview(bytearray(512))
    with open(path, "rb") as f:
        while True:
            n = f.readinto(buf)
            if not n:
                return _x(h.digest()).decode()
            h.update(buf[:n])
def _dump(path, limit):
    with open(path, "rb") as f:
        while limit > 0:
            data = f.read(min(limit, 512))
            if not data:
                break
            print(_x(data).decode(), end="")
            limit -= len(data)
    print()
def _tell(path):
    s = _stat(path)
    if s and s[0] & 0x8000:
        print(json.dumps([path, s[6], _sum(path)]))
def _walk(top):
    for e in os.ilistdir(top):
        path = top.rstrip("/") + "/" + e[0]
        if e[1] & 0x4000:
            print(json.dumps([path, 0, None]))
            _walk(path)
        else:
            _tell(path)
def _drop(path):
    s = _stat(path)
    if s and s[0] & 0x4000:
        for e in list(os.ilistdir(path)):
            _drop(path.rstrip("/") + "/" + e[0])
        os.rmdir(path)
    elif s:
        os.remove(path)
def _make(path):
    at = path.find("/", 1)
    while at > 0:
        if not _stat(path[:at]):
            os.mkdir(path[:at])
        at = path.find("/", at + 1)
def _copy(source, temporary):
    buf = memoryview(bytearray(512))
    with open(source, "rb") as f, open(temporary, "wb") as t:
        while True:
            n = f.readinto(buf)
            if not n:
                break
            t.write(buf[:n])
def _place(path, temporary, expected):
    if _sum(temporary) != expected:
        os.remove(temporary)
        print("damaged")
    else:
        os.rename(temporary, path)
        if hasattr(os, "sync"):
            os.sync()
"""
