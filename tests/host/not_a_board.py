"""Ports at which no MicroPython is: a program that writes back all it reads, one that says
nothing, and firmware whose prompt is MicroPython's, and which is something else."""

import os
import select
import threading
import tty


class NotABoard:
    """answers(bytes) -> bytes: what is said to what was heard since the last answer, b"" for
    nothing yet."""

    def __init__(self, answers):
        self._answers = answers
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._wake, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        heard = b""
        while True:
            ready, _, _ = select.select([self._master, self._wake], [], [])
            if self._wake in ready:
                return
            heard += os.read(self._master, 4096)
            said = self._answers(heard)
            if said:
                heard = b""
                os.write(self._master, said)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        os.close(self._stop)
        self._thread.join()
        for end in (self._master, self._slave, self._wake):
            os.close(end)


def silent():
    """Says nothing."""
    return NotABoard(lambda heard: b"")


def echo():
    """Says what it hears."""
    return NotABoard(lambda heard: heard)


def falling(dump):
    """Has MicroPython's raw prompt, and falls over whatever it is to run."""
    return _at_prompt(b"OK" + dump)


def prompting(printed, error=b""):
    """Has MicroPython's raw prompt, and prints the same whatever it is to run."""
    return _at_prompt(b"OK" + printed + b"\x04" + error + b"\x04>")


def _at_prompt(answer):
    def answers(heard):
        if heard.endswith(b"\r\x01"):
            return b"raw REPL; CTRL-B to exit\r\n>"
        if heard.endswith(b"\x05A\x01"):
            return b"R\x00"             # knows of raw paste, and has none
        if heard.endswith(b"\x04"):
            return answer
        return b""
    return NotABoard(answers)
