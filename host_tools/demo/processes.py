"""Child processes that cannot outlive their parent, and the JSON lines they print."""

import asyncio
import ctypes
import json
import signal

_PR_SET_PDEATHSIG = 1
_PATIENCE_S = 3         # between the request to end and the end

_libc = ctypes.CDLL(None)


class Process:
    """A child process. on_line(dict) takes every JSON line it prints; whatever else it has to say
    goes to its log."""

    def __init__(self, child, on_line, log):
        self._child = child
        self._on_line = on_line
        self._log = log
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, command, on_line, log, **options):
        """Start `command` in a session of its own, so that Ctrl-C reaches only the parent.

        log: path of its log, which grows. options: as for create_subprocess_exec.
        """
        with open(log, "ab") as file:
            child = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                stderr=file, start_new_session=True, preexec_fn=die_with_parent, **options)
        return cls(child, on_line, log)

    @property
    def pid(self):
        return self._child.pid

    @property
    def returncode(self):
        """The exit code, None while it runs."""
        return self._child.returncode

    async def ended(self):
        """Wait until it has ended by itself."""
        await self._child.wait()

    async def _read(self):
        while line := await self._child.stdout.readline():
            try:
                facts = json.loads(line)
            except ValueError:
                with open(self._log, "ab") as log:
                    log.write(line)
                continue
            self._on_line(facts)

    async def stop(self, how=signal.SIGTERM):
        """Ask it to end, then make it."""
        if self.returncode is None:
            self._child.send_signal(how)
            try:
                await asyncio.wait_for(self._child.wait(), _PATIENCE_S)
            except asyncio.TimeoutError:
                self._child.kill()
                await self._child.wait()
        await self._reader


def die_with_parent():
    """For preexec_fn: the kernel kills this process when the thread that started it is gone."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
