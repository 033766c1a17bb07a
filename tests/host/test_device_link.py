"""The link to a board: MicroPython's own prompt at a pseudo-terminal, and what is no board."""

import errno
import json
import os
import random
import select
import socket
import threading

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from host_tools.device import line
from host_tools.device import link as linking
from host_tools.device.link import (
    TEMPORARY, BoardError, File, LinkError, Lost, Silent, file_of, open_link, parse_listing)
from tests.host import not_a_board
from tests.host.repl_board import ReplBoard

OLD, NEW = b"old" * 700, bytes(range(256)) * 20


@pytest.fixture(name="board")
def board_fixture(tmp_path):
    with ReplBoard(tmp_path) as board:
        yield board


@pytest.fixture(name="hurry")
def hurry_fixture(monkeypatch):
    """Nobody waits for long for what will not come."""
    monkeypatch.setattr(linking, "_ATTEMPT_S", 0.2)
    monkeypatch.setattr(line, "_QUIET_S", 0.01)


# Code

def test_code_prints_raises_and_leaves_what_it_made(board):
    with open_link(board.port) as link:
        assert link.run("x = 7\nprint('six', x)") == "six 7\n"
        assert link.ask("print('noise')\nprint('{\"x\": %d}' % x)") == {"x": 7}
        with pytest.raises(BoardError, match="an error on the board: ZeroDivisionError") as caught:
            link.run("x / 0")
        assert (caught.value.name, caught.value.code) == ("ZeroDivisionError", None)
        with pytest.raises(BoardError) as caught:
            link.run("open('nowhere')")
        assert (caught.value.name, caught.value.code) == ("OSError", errno.ENOENT)
        assert link.run("print(x)") == "7\n"
    with open_link(board.port) as link:
        assert link.run("print(x)") == "7\n"        # no reset between


def test_output_is_bounded_and_the_link_goes_on(board):
    with open_link(board.port) as link:
        assert len(link.run("print('y' * 60000)")) == 60001
        with pytest.raises(LinkError, match="prints without end"):
            link.run("print('y' * 90000)")
        assert link.run("print(1)") == "1\n"


def test_an_answer_that_does_not_come_in_time(board):
    with open_link(board.port) as link:
        with pytest.raises(Silent, match="did not answer within 0.1 s"):
            link.run("import sys\nsys.stdin.read(1)", timeout_s=0.1)
        assert link.run("print(1)") == "1\n"


def test_a_heap_that_a_program_has_filled_is_reset_over_a_serial_port(board, monkeypatch):
    reset = []
    with open_link(board.port) as link:
        monkeypatch.setattr(link._transport, "enter_raw_repl", lambda **how: reset.append(how))
        monkeypatch.setattr(linking, "_ROOM", "bytearray(1 << 26)")
        link.make_room()
        assert [how["soft_reset"] for how in reset] == [True]
        monkeypatch.setattr(link._line, "serial", False)
        with pytest.raises(BoardError, match="its heap is full: reset the board"):
            link.make_room()


# Files

def test_files_are_written_read_listed_and_removed(board):
    with open_link(board.port) as link:
        told = []
        link.write("/a/deep/file.bin", NEW, told.append)
        link.write("/é.txt", b"")
        assert sum(told) == len(NEW) and max(told) <= 1024
        files, directories = link.walk()
        assert files == {"/a/deep/file.bin": file_of(NEW), "/é.txt": file_of(b"")}
        assert directories == ["/a", "/a/deep"]
        assert link.read("/a/deep/file.bin") == NEW
        assert link.read("/a/deep/file.bin", 5) == NEW[:5]
        assert link.read("/none") is None and link.walk("/none") == ({}, [])
        assert link.files(["/é.txt", "/none", "/a"]) == {"/é.txt": file_of(b"")}
        link.copy("/a/deep/file.bin", "/b/copy", file_of(NEW))
        link.rename("/b/copy", "/b/moved")
        link.make_directory("/c/d")
        link.remove("/a", "/none", "/é.txt")
        assert link.walk() == ({"/b/moved": file_of(NEW)}, ["/b", "/c", "/c/d"])
        free, total = link.free()
        assert 0 < free < total == 256 * 4096


def test_a_copy_that_is_not_what_it_should_be_is_not_kept(board):
    with open_link(board.port) as link:
        link.write("/x", OLD)
        with pytest.raises(LinkError, match="/y arrived damaged, and was not kept"):
            link.copy("/x", "/y", file_of(NEW))
        assert set(link.walk()[0]) == {"/x"}


def test_a_full_file_system_keeps_what_was_there(tmp_path):
    with ReplBoard(tmp_path, blocks=12) as board, open_link(board.port) as link:
        link.write("/x", OLD)
        with pytest.raises(BoardError, match="its file system is full: remove what") as caught:
            link.write("/x", bytes(60000))
        assert caught.value.code == errno.ENOSPC
        assert link.walk()[0] == {"/x": file_of(OLD)}
        link.write("/x", NEW)                       # there is room again
        assert link.read("/x") == NEW


@pytest.mark.parametrize("seed", range(12))
def test_a_cable_pulled_at_any_byte_leaves_a_whole_file(tmp_path, seed):
    with ReplBoard(tmp_path) as board:
        with open_link(board.port) as link:
            link.write("/d/x", OLD)
            board.unplug_after(link, random.Random(seed).randrange(9000))
            with pytest.raises(Lost, match="plug the board in again and repeat"):
                while True:
                    link.write("/d/x", NEW)
        board.start()
        with open_link(board.port) as link:
            files = link.walk()[0]
            assert files.pop("/d/x") in (file_of(OLD), file_of(NEW))
            assert link.sweep("/") == len(files) <= 1
            assert not files or list(files) == ["/d/x" + TEMPORARY]
            link.write("/d/x", NEW)
            assert link.walk()[0] == {"/d/x": file_of(NEW)}


@given(st.text())
def test_a_listing_is_files_and_directories_or_an_error(text):
    try:
        files, directories = parse_listing(text)
    except LinkError:
        return
    assert all(isinstance(path, str) and isinstance(file, File) for path, file in files.items())
    assert all(isinstance(path, str) for path in directories)


@given(st.lists(st.one_of(
    st.tuples(st.text(), st.integers(0), st.none() | st.binary(min_size=32, max_size=32)),
    st.sampled_from([[], {}, "[", "[1]", '["x", 1.5, null]', '["x", -1, null]', '[1, 2, "3"]']))))
def test_every_line_of_a_listing_counts(entries):
    lines, whole = [], True
    for entry in entries:
        if isinstance(entry, tuple):
            path, size, digest = entry
            lines.append(json.dumps([path, size, digest and digest.hex()]))
        else:
            lines.append(entry if isinstance(entry, str) else json.dumps(entry))
            whole = False
    if not whole:
        with pytest.raises(LinkError, match="makes no sense"):
            parse_listing("\n".join(lines))
        return
    files, directories = parse_listing("\n".join(lines))
    assert set(files) == {path for path, _, digest in entries if digest is not None}
    assert directories == [path for path, _, digest in entries if digest is None]


# What is not a board

def test_a_port_that_is_not_there_says_which_ones_are(monkeypatch):
    monkeypatch.setattr(line.list_ports, "comports", lambda: [])
    with pytest.raises(LinkError, match="no such port; none is there at all: plug the board in"):
        open_link("/dev/ttyNONE")
    port = type("Port", (), {"device": "/dev/ttyACM7"})
    monkeypatch.setattr(line.list_ports, "comports", lambda: [port])
    with pytest.raises(LinkError, match="NONE: there is no such port; there are /dev/ttyACM7"):
        open_link("/dev/ttyNONE")


def test_a_port_that_may_not_be_used(monkeypatch):
    def refuse(*arguments, **options):
        raise serial.SerialException(errno.EACCES, "could not open port")

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    with pytest.raises(LinkError, match="you may not use this port; on Debian: `sudo usermod"):
        open_link("/dev/ttyACM0")


@pytest.mark.parametrize("target, complaint", [
    (os.devnull, "no serial port that can be used"), ("/", "no serial port that can be used"),
    ("socket://127.0.0.1:1", "nobody answers there"), ("carrier://pigeon", "this is no address")])
def test_what_is_no_port(target, complaint):
    with pytest.raises(LinkError, match=complaint):
        open_link(target)


def test_what_a_stream_says_at_once_is_heard(monkeypatch):
    """And is in the message when it ends then."""
    connect = socket.create_connection
    with socket.create_server(("127.0.0.1", 0)) as server:
        def connect_to_a_talker(*arguments, **options):
            ours = connect(*arguments, **options)
            theirs, _ = server.accept()
            with theirs:
                theirs.sendall(b"go away")
            select.select([ours], [], [])
            return ours

        monkeypatch.setattr(socket, "create_connection", connect_to_a_talker)
        with pytest.raises(Lost) as lost:
            open_link(f"socket://127.0.0.1:{server.getsockname()[1]}")
    assert lost.value.said == "'go away'"


def test_a_busy_port(board):
    with open_link(board.port), pytest.raises(LinkError, match="another program uses this port"):
        open_link(board.port)


def test_a_port_that_says_nothing(hurry):
    with not_a_board.silent() as port, pytest.raises(Silent, match="nothing answers; is this the"):
        open_link(port.port)


def test_a_file_is_read_in_pieces_as_an_esp32_has_no_large_one_of_heap(board):
    with open_link(board.port) as link:
        link.write("/x", NEW)
        link.run("""
_whole = open
class open:
    def __init__(self, *how):
        self._file = _whole(*how)
    def read(self, size):
        assert 0 < size <= 1024
        return self._file.read(size)
    def __enter__(self):
        return self
    def __exit__(self, *error):
        self._file.close()
""")
        assert link.read("/x") == NEW and link.read("/x", 700) == NEW[:700]


@pytest.mark.parametrize("dump, reason", [
    (b"Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\r\n" +
     b"A2 : 0x00000000 " * 40 + b"\r\nRebooting...\r\nrst:0xc (SW_CPU_RESET),boot:0x12\r\n>>> ",
     "panic'ed .LoadProhibited."),
    (b"\r\nBrownout detector was triggered\r\n\r\nets Jul 29 2019\r\n", "Brownout detector"),
    (b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x13\r\n>>> ", "POWERON"),
])
def test_a_board_that_falls_meanwhile(hurry, dump, reason):
    with not_a_board.falling(dump) as port:
        link = linking.Link(port.port, line.Line(line.open_port(port.port, line.BAUD), port.port))
        with pytest.raises(Silent, match=f"fallen and started anew meanwhile; .*{reason}"):
            link.run("work()", timeout_s=0.3)
        link.close()


def test_a_port_with_another_program(hurry):
    with not_a_board.echo() as port, pytest.raises(LinkError, match="not MicroPython's prompt"):
        open_link(port.port)


def test_a_program_that_stops_answering_later(hurry):
    with not_a_board.prompting(b"x") as port:
        with open_link(port.port) as link:
            with pytest.raises(LinkError, match="the board's answer makes no sense: 'x'"):
                link.ask("print(1)")
            with pytest.raises(LinkError, match="list of files makes no sense"):
                link.walk()
            with pytest.raises(LinkError, match="answer makes no sense"):
                link.read("/x")
            with pytest.raises(LinkError, match="answer makes no sense"):
                link.free()


def test_secrets_are_not_in_what_a_link_complains_of(board):
    with open_link(board.port) as link:
        board.unplug_after(link, 600)
        with pytest.raises(LinkError) as caught:
            link.write("/key.secret", b"topsecret" * 300)
        text = repr(caught.value) + str(caught.value)
        assert "topsecret" not in text and "dG9wc2VjcmV0" not in text


def test_a_stream_over_a_network_is_called_by_its_name_and_nobody_is_to_plug_it_in():
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"something")
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(Lost, match="^bulb.local: the connection has broken") as told:
            open_link(f"socket://127.0.0.1:{server.getsockname()[1]}", name="bulb.local")
        thread.join()
    assert told.value.said == "'something'" and "plug" not in str(told.value)


class Flooding:
    """A line that never pauses, whose time is over after six bytes."""

    serial, said = True, 0

    def allow(self, timeout_s, limit):
        assert timeout_s == 5

    def over(self):
        return self.said >= 6

    def read(self, size):
        self.said += size
        return b"\nx"[self.said % 2:][:1]


def test_who_prints_without_a_pause_is_heard_for_no_longer_than_was_asked():
    assert list(linking.Link("there", Flooding()).lines(5)) == ["x"] * 3
