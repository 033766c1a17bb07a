"""Where firmware comes from: a cache, a server; and what of it is not taken."""

import contextlib
import http.server
import os
import threading
from pathlib import Path

import pytest

from host_tools.boards import facts, uf2
from host_tools.device import firmware, user_cache
from tests.host import stock_firmware as stock

KNOWN = facts.load()
C3, PICO_W = KNOWN["esp32c3"], KNOWN["rp2_pico_w"]


@contextlib.contextmanager
def site(files, shown_size=None):
    """A server of {name: content} on loopback; yields its URL and the paths asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            content = files.get(self.path.rpartition("/")[2])
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(shown_size or len(content)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/firmware", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


def test_names_are_those_of_micropython_org():
    assert {board.board: firmware.file_name(board) for board in KNOWN.values()
            if board.firmware} == {
        "esp32": "ESP32_GENERIC-20251209-v1.27.0.bin",
        "esp32c3": "ESP32_GENERIC_C3-20251209-v1.27.0.bin",
        "esp32c6": "ESP32_GENERIC_C6-20251209-v1.27.0.bin",
        "esp32s2": "ESP32_GENERIC_S2-20251209-v1.27.0.bin",
        "esp32s3": "ESP32_GENERIC_S3-20251209-v1.27.0.bin",
        "rp2_pico_w": "RPI_PICO_W-20251209-v1.27.0.uf2",
        "rp2_pico2_w": "RPI_PICO2_W-20251209-v1.27.0.uf2"}


@pytest.mark.parametrize("board", [C3, PICO_W], ids=lambda board: board.board)
def test_it_is_fetched_once_and_then_kept(board, tmp_path):
    name, content, steps = firmware.file_name(board), stock.of(board.board), []
    with site({name: content}) as (url, asked):
        found = firmware.obtain(board, url, tmp_path / "a/b", lambda *step: steps.append(step))
        again = firmware.obtain(board, url, tmp_path / "a/b")
        assert asked == [f"/firmware/{name}"]
    assert found.content == again.content == content
    assert found.sha256 == again.sha256 == firmware.hashlib.sha256(content).hexdigest()
    assert (found.version, found.date) == (firmware.VERSION, firmware.DATE)
    assert found.source == f"{url}/{name}" and again.source == str(tmp_path / "a/b" / name)
    assert steps[-1] == (len(content), len(content)) and len(steps) > 5
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == [name]


def test_the_cache_is_where_a_desktop_has_it(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert user_cache.directory("firmware") == Path("/somewhere/filament/firmware")
    for unset in ("", "relative/paths/are/to/be/ignored"):
        monkeypatch.setenv("XDG_CACHE_HOME", unset)
        monkeypatch.setenv("HOME", "/home/me")
        assert user_cache.directory("firmware") == Path("/home/me/.cache/filament/firmware")


@pytest.mark.parametrize("content, shown_size, error, expected", [
    (None, None, OSError, "Not Found.*get that file on a machine that reaches it, and name it "
                          "with --firmware"),
    (lambda: stock.of("esp32c3"), 2_000_000, OSError, "broke off after 1724720 of 2000000 bytes"),
    (lambda: stock.of("esp32c3")[:-5], None, ValueError, "is not used: .*it is cut off"),
    (lambda: stock.of("esp32c6"), None, ValueError, "it is for the ESP32-C6"),
    (lambda: b"<html>", None, ValueError, "no image for an ESP32"),
    (lambda: b"\xe9" * (17 << 20), None, ValueError, "larger than 16 MB"),
])
def test_what_is_not_the_firmware_is_not_kept(content, shown_size, error, expected, tmp_path):
    files = {} if content is None else {firmware.file_name(C3): content()}
    with site(files, shown_size) as (url, _), pytest.raises(error, match=f"(?s){expected}"):
        firmware.obtain(C3, url, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_never_another_version(tmp_path):
    s3 = KNOWN["esp32s3"]
    older = stock.content(stock.OLDER)
    with site({firmware.file_name(s3): older}) as (url, _), pytest.raises(
            ValueError, match="MicroPython 1.24.1 of 2024-11-29, and 1.27.0 of 2025-12-09 is"):
        firmware.obtain(s3, url, tmp_path)
    kept = tmp_path / firmware.file_name(s3)
    kept.write_bytes(older)
    with pytest.raises(ValueError, match="1.24.1.*; remove that file, and it is fetched anew"):
        firmware.obtain(s3, "http://127.0.0.1:9", tmp_path)
    assert firmware.from_file(kept, s3).version == "1.24.1"     # who names a file gets it


def test_without_a_way_there_the_file_and_its_place_are_named(tmp_path):
    with site({}) as (url, _):
        pass                    # nobody listens there any more
    name = firmware.file_name(PICO_W)
    with pytest.raises(OSError, match=f"{url}/{name} cannot be fetched .*refused.*: get that "
                                      "file on a machine that reaches it"):
        firmware.obtain(PICO_W, url, tmp_path)


def test_a_cache_that_is_damaged_is_told_of_and_one_that_cannot_be_written_does_no_harm(tmp_path):
    name = firmware.file_name(C3)
    (tmp_path / name).write_bytes(stock.of("esp32c3")[:1_000_000])
    with pytest.raises(ValueError, match="cut off; remove that file"):
        firmware.obtain(C3, "http://127.0.0.1:9", tmp_path)
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    with site({name: stock.of("esp32c3")}) as (url, _):
        assert firmware.obtain(C3, url, in_the_way / "cache").version == firmware.VERSION


def test_a_file_without_a_name_in_it_is_taken_as_it_is(tmp_path):
    content = uf2.encode(bytes(4096), uf2.FLASH)
    (tmp_path / "own.uf2").write_bytes(content)
    found = firmware.from_file(tmp_path / "own.uf2", PICO_W)
    assert found.version is None and found.content == content
    with pytest.raises(IsADirectoryError if os.name == "posix" else OSError):
        firmware.from_file(tmp_path, PICO_W)
