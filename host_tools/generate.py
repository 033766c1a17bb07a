"""Generates identities on all cores at once: each takes about 15 memory-hard hashes."""

import multiprocessing
import os
import queue

from mpcore.port import entropy
from mpcore.vl1.identity import Identity

_LOOK_S = 1     # how often a silent worker is looked after


def generate(count, progress):
    """`count` new identities, in the order in which they were found.

    progress(found, hashes) is called after every hash. Raises RuntimeError when the workers die.
    """
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=_work, args=(results,), daemon=True)
               for _ in range(os.cpu_count() or 1)]
    for worker in workers:
        worker.start()
    found, hashes = [], 0
    try:
        while len(found) < count:
            try:
                text = results.get(timeout=_LOOK_S)
            except queue.Empty:
                if not any(worker.is_alive() for worker in workers):
                    raise RuntimeError("the generating processes have died") from None
                continue
            if text is None:
                hashes += 1
            else:
                found.append(Identity.from_text(text))
            progress(len(found), hashes)
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join()
    return found


def _work(results):
    try:
        while True:
            identity = Identity.generate(entropy, lambda tries: results.put(None))
            results.put(identity.to_text(secret=True))
    except KeyboardInterrupt:
        pass    # Ctrl-C reaches the whole terminal; the first process says what there is to say
