"""A person's terminal, or a text, at a board's REPL."""

import os
import select
import socket
import sys
import termios
import tty
from urllib.parse import urlsplit

LEAVE = b"\x1d"         # Ctrl-]
_CHUNK = 4096


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
