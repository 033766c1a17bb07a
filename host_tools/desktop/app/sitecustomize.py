"""Runs before the application: its sockets get Filament's virtual networks.

Then the sitecustomize that this one hides is run, if there is one.
"""

import importlib.machinery
import importlib.util
import os
import sys

import filament_sockets

if filament_sockets.VARIABLE in os.environ:
    filament_sockets.install(os.environ[filament_sockets.VARIABLE])


def _run_hidden():
    here = os.path.dirname(os.path.abspath(__file__))
    elsewhere = [path for path in sys.path if os.path.abspath(path or ".") != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


_run_hidden()
