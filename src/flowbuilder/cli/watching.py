"""Following a run that another process drives, by looking at the store."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from flowbuilder.cli.progress import Progress
from flowbuilder.cli.terminal import say
from flowbuilder.storage.api import LIVE

if TYPE_CHECKING:
    from flowbuilder.runtime.views import RunView
    from flowbuilder.sdk.reader import Reader

_EVERY: Final = 0.1
_LONGEST: Final = 1.0
"""Seconds between two looks: often while a run is young, seldom when it takes long."""


def watch(
    reader: Reader, run_id: str, *, timeout: float | None, shown: bool, cancels: bool
) -> tuple[RunView, bool]:
    """Return a run when it has ended, or when the time is up, and whether Ctrl-C came.

    Args:
        reader: of the store.
        run_id: the run, or a prefix of its id.
        timeout: seconds to wait at most; None for ever.
        shown: whether progress is drawn.
        cancels: whether the first Ctrl-C cancels the run (and the second leaves); else it only leaves.
    """
    view = reader.show(run_id)
    progress = Progress(view, shown=shown)
    until = None if timeout is None else time.monotonic() + timeout
    cancelled = False
    delay = _EVERY
    progress.begin()
    try:
        while view.status in LIVE and (until is None or time.monotonic() < until):
            progress.look(view)
            try:
                time.sleep(delay if until is None else max(min(delay, until - time.monotonic()), 0.0))
                delay = min(delay * 1.1, _LONGEST)
                view = reader.show(view.run_id)
            except KeyboardInterrupt:
                if cancelled or not cancels:
                    return view, True
                cancelled = True
                reader.cancel(view.run_id, "interrupted")
                say("cancelling: what runs is ended, then `finally` runs; Ctrl-C again leaves at once")
    finally:
        progress.end()
    return view, cancelled
