"""A board's REPL at a person's terminal, and as a terminal for programs.

mpremote's own `repl` wants a file descriptor, which pyserial's socket:// ports do not show; it has
one at a pseudo-terminal that leads to the board.
"""

import os
import select
import socket
import sys
import termios
import time
import tty
from urllib.parse import urlsplit

LEAVE = b"\x1d"         # Ctrl-]
_CHUNK = 4096
_LOOK_S = 0.1           # how often is looked whether a program has opened the pseudo-terminal


def talk(url, keyboard=None, screen=None):
    """Connect the terminal with the board at a socket:// URL until Ctrl-] or the board ends it.

    Returns whether the person has left. Raises OSError when the connection fails.
    """
    keyboard = sys.stdin.fileno() if keyboard is None else keyboard
    screen = sys.stdout.fileno() if screen is None else screen
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port)) as board:
        before = termios.tcgetattr(keyboard)
        tty.setraw(keyboard)
        try:
            return _exchange(board, keyboard, screen)
        finally:
            termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _exchange(board, keyboard, screen):
    while True:
        ready, _, _ = select.select([board, keyboard], [], [])
        if board in ready:
            data = board.recv(_CHUNK)
            if not data:
                return False
            os.write(screen, data)
        if keyboard in ready:
            data = os.read(keyboard, _CHUNK)
            typed, leave, _ = data.partition(LEAVE)
            board.sendall(typed)
            if leave or not data:
                return True


def serve_terminal(dial, tell, rounds=None):
    """Give other programs a pseudo-terminal that leads to the board; tell(name) is told its name.

    dial(): a socket:// URL, good for one connection, for each program that opens it. rounds: after
    so many programs it ends. Raises what dial does.
    """
    master, slave = os.openpty()
    tty.setraw(slave)
    name = os.ttyname(slave)
    os.close(slave)             # so that reading fails while nobody has it open
    tell(name)
    try:
        while rounds is None or rounds > 0:
            data = _read(master)
            if not data:
                time.sleep(_LOOK_S)
                continue
            parts = urlsplit(dial())
            with socket.create_connection((parts.hostname, parts.port)) as board:
                board.sendall(data)
                _relay(board, master)
            rounds = rounds and rounds - 1
    finally:
        os.close(master)


def _relay(board, master):
    """Pass on what a program and the board say, until either is gone."""
    while True:
        ready, _, _ = select.select([board, master], [], [])
        if board in ready:
            data = board.recv(_CHUNK)
            if not data:
                return
            os.write(master, data)
        if master in ready:
            data = _read(master)
            if not data:
                return
            board.sendall(data)


def _read(master):
    """What a program has written to the pseudo-terminal; nothing when none has it open."""
    try:
        return os.read(master, _CHUNK)
    except OSError:
        return b""
