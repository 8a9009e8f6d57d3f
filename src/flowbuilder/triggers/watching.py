"""Watching folders: the system tells of changes; where it does not, we look now and then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

_log = logging.getLogger("flowbuilder.triggers")

LOOK_EVERY: Final = 2.0
"""Seconds between two looks where the system tells nothing."""
THERE_AGAIN: Final = 0.5
"""Seconds between two looks whether a folder has come."""
ANYHOW: Final = 30.0
"""Seconds after which we look even so: some file systems tell of a part only."""
GATHER_MS: Final = 100
"""Milliseconds in which changes are gathered: editors write, rename and delete in one go."""

Wanted = Callable[[Path], bool]


async def watch(folder: Path, wanted: Wanted, changed: Callable[[], None], *, recursive: bool = True) -> None:
    """Call `changed` whenever something below a folder may have changed, until cancelled.

    Args:
        folder: need not be there yet.
        wanted: tells of a path whether its changes matter.
        changed: called on the loop; soon after, and often in vain.
        recursive: whether folders inside count.
    """
    anyhow = asyncio.ensure_future(_now_and_then(ANYHOW, changed))
    try:
        while True:
            if await asyncio.to_thread(folder.is_dir):
                changed()
                try:
                    await _told(folder, wanted, changed, recursive)
                    changed()
                except (ImportError, OSError, RuntimeError) as error:
                    _log.warning("%s is looked at every %g s: %s", folder, LOOK_EVERY, error)
                    await _now_and_then(LOOK_EVERY, changed)
            await asyncio.sleep(THERE_AGAIN)  # the folder is not there, or no more, and may come
    finally:
        anyhow.cancel()


async def _told(folder: Path, wanted: Wanted, changed: Callable[[], None], recursive: bool) -> None:
    """Call `changed` as the system tells of changes; returns when the folder itself is gone, or another."""
    from watchfiles import Change, awatch  # start-up time: only what stays up watches files

    def accepted(change: Change, path: str) -> bool:
        return (change is Change.deleted and path == str(folder)) or wanted(Path(path))

    watching = awatch(
        folder, watch_filter=accepted, debounce=GATHER_MS * 5, step=GATHER_MS, recursive=recursive
    )
    async for changes in watching:
        if (Change.deleted, str(folder)) in changes:  # of one of the same name the system tells nothing
            return
        changed()


async def _now_and_then(every: float, changed: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(every)
        changed()
