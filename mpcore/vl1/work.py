"""Long arithmetic between datagrams: key agreements and signatures, a slice at each poll."""

from mpcore import limits


class Work:
    """Jobs, one after the other. Each is a generator of slices (crypto/slices.py).

    sliced: poll() runs them; else start() runs each to its end. count(cause): of VL1, for
    "malformed", which ValueError from a job's `done` means. jobs: what the next polls have to do,
    which had better be soon.
    """

    def __init__(self, sliced, count):
        self.sliced = sliced
        self._count = count
        self.jobs = []          # [key, slices, [done, ...], soon]; those that are soon come first

    def full(self):
        """Whether no more jobs should be started but those that do not depend on others' doing."""
        return len(self.jobs) >= limits.JOBS

    def start(self, now, key, slices, done, soon=False):
        """Call done(now, result) when the slices are through, which may be before this returns.

        key: all that the result depends on. Where a job with this key waits already, its result
        serves both. soon: before what waits or is under way.
        """
        if not self.sliced:
            return self._run([key, slices, [done], soon], now, True)
        for job in self.jobs:
            if job[0] == key:
                if len(job[2]) >= limits.WORK_WAITING:
                    return self._count("work_dropped")
                return job[2].append(done)
        self.jobs.insert(self._soon() if soon else len(self.jobs), [key, slices, [done], soon])

    def in_turns(self, now, slices):
        """Send to many, which would take a board long: soon, with others' datagrams between. At
        once where as much as limits.WORK_WAITING is on its way already."""
        if self._soon() < limits.WORK_WAITING:
            self.start(now, slices, slices, _nothing, True)
        else:
            self._run([slices, slices, [_nothing], True], now, True)

    def has(self, key):
        """Whether a job with this key is under way or waits."""
        return any([job[0] == key for job in self.jobs])

    def drop(self, key):
        """Nobody needs the result any more."""
        self.jobs = [job for job in self.jobs if job[0] != key]

    def poll(self, now, slices=1):
        """Run so many slices of the first job, as far as it has them."""
        if self.jobs:
            job = self.jobs.pop(0)     # one that raises is gone
            while not self._run(job, now, False):
                slices -= 1
                if not slices:
                    self.jobs.insert(0 if job[3] else self._soon(), job)
                    break

    def _soon(self):
        return sum([job[3] for job in self.jobs])

    def _run(self, job, now, through):
        """One slice of a job, or all; whether it is done."""
        try:
            next(job[1])
            while through:
                next(job[1])
            return False
        except StopIteration as end:
            result = end.value
        for done in job[2]:
            try:
                done(now, result)
            except ValueError:
                self._count("malformed")
        return True


def _nothing(now, result):
    """Nobody waits for it."""
