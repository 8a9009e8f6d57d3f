"""What runs in a worker process: one attempt at a time.

Nothing but plain values crosses the border, so that what an author's function
takes, returns or raises need not be known on the other side.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import inspect
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.errors import OutputError, TaskFailed
from flowbuilder.core.values import plain, plain_or_text
from flowbuilder.plugins.from_source import from_source
from flowbuilder.runtime.executors.raised import CAUGHT, kind_of, message_of, traceback_of
from flowbuilder.tasks.hushed import Hushed
from flowbuilder.tasks.modules import find_function, forget

if TYPE_CHECKING:
    from pathlib import Path

_PR_SET_PDEATHSIG: Final = 1
_imported: Final = [0]
"""How often the engine had imported something again, when this process did last."""
_SECRET: Final = ("FLOWBUILDER_SECRET_", "FLOWBUILDER_ENCRYPTION_KEY")


def initialize() -> None:
    """Make a fresh process a worker: it dies with the engine, and leaves Ctrl-C to it."""
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    for name in [name for name in os.environ if name.startswith(_SECRET)]:
        del os.environ[name]
    sys.stdout.flush()
    os.dup2(2, 1)  # standard output is the engine's, for data


def execute(
    folder: Path, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], imported: int, hushed: bool
) -> tuple[Any, ...]:
    """Call a function; return `("value", value)` or `("failed", kind, message, data, more, traceback)`.

    `imported` counts how often the engine has imported modules again, that have changed;
    `hushed`: nobody sees what the function prints.
    """
    function = None
    try:
        if imported != _imported[0]:
            forget()
            _imported[0] = imported
        with from_source() if imported else contextlib.nullcontext():  # files have changed, perhaps just now
            function = find_function(name, folder)
        value = (Hushed(function) if hushed else function)(*args, **kwargs)
        if inspect.isawaitable(value):
            value = asyncio.run(_awaited(value))
        return ("value", plain(value))
    except TaskFailed as error:
        return ("failed", error.kind, error.message, plain_or_text(error.data), _more(error), None)
    except OutputError as error:
        return ("failed", error.kind, str(error), None, {}, None)
    except CAUGHT as error:
        return ("failed", kind_of(error), message_of(error), None, {}, traceback_of(error, function))


def _more(error: TaskFailed) -> dict[str, Any]:
    return {"retry_after": error.retry_after, "in_doubt": error.in_doubt}


async def _awaited(value: Any) -> Any:
    return await value
