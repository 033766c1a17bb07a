"""Runs portable test files on MicroPython (or CPython), without pytest.

    micropython -X heapsize=32M tests/micropython_runner.py tests/core/test_x.py ...

Every function of a file whose name begins with `test_` is one test. Failures are printed with
their traceback; the last line counts; the exit code is 0 only when everything passed.
"""

import gc
import sys

_ROOT = (__file__ if __file__.count("/") > 1 else "./" + __file__).rsplit("/", 2)[0]


def _report(name, error):
    print("FAILED " + name)
    if hasattr(sys, "print_exception"):
        sys.print_exception(error)
    else:
        import traceback
        traceback.print_exception(error)


def _load(path):
    directory, _, name = path.rpartition("/")
    sys.path.insert(0, directory or ".")
    try:
        return __import__(name[:-3])
    finally:
        sys.path.pop(0)


def _run(path):
    """(passed, failed) of one file; a file that cannot be imported is one failure."""
    try:
        module = _load(path)
    except Exception as error:
        _report(path, error)
        return 0, 1
    passed = failed = 0
    for name in sorted(dir(module)):
        if name.startswith("test_"):
            gc.collect()
            try:
                getattr(module, name)()
                passed += 1
            except Exception as error:
                _report(path + "::" + name, error)
                failed += 1
    if not passed + failed:
        print("FAILED " + path + ": no test in it")
        failed = 1
    return passed, failed


def main(paths):
    """Run the files; returns the exit code."""
    sys.path[:0] = [_ROOT, _ROOT + "/tests/core"]
    passed = failed = 0
    for path in paths:
        ok, bad = _run(path)
        passed += ok
        failed += bad
    print("%d passed, %d failed on %s" % (passed, failed, sys.implementation.name))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
