"""Processes that do not run the author's script again.

A process that `multiprocessing` starts imports the main module of its parent
first, so that functions of it can be found.  Ours are found by module and
name, and the main module is somebody's script: without a guard in it, each
worker would do all over again what the script does.
"""

from __future__ import annotations

import multiprocessing
import sys
import types
from multiprocessing import context, spawn
from typing import Any


def clean_context() -> Any:
    """Return a context for `pebble.ProcessPool` whose processes know no main module."""
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    return _Context()


def _preparation_data(name: str) -> dict[str, Any]:
    """Return what a new process is told of its parent, but for the main module."""
    data = spawn.get_preparation_data(name)
    return {key: value for key, value in data.items() if not key.startswith("init_main")}


def _popen(process: Any) -> Any:
    from multiprocessing.popen_forkserver import Popen  # not there on every platform

    launch: Any = vars(Popen)["_launch"]  # the same code, with another idea of how a process is prepared
    changed = types.SimpleNamespace(get_preparation_data=_preparation_data)
    names = {**launch.__globals__, "spawn": changed}
    own = types.FunctionType(launch.__code__, names, launch.__name__, launch.__defaults__, launch.__closure__)
    return type("Popen", (Popen,), {"_launch": own})(process)


class _Process(context.ForkServerProcess):
    _start_method = "forkserver"
    _Popen = staticmethod(_popen)  # type: ignore[assignment]


class _Context(context.ForkServerContext):
    Process = _Process
