"""Waiting, on the loop, until writes are on disk that are no run's in memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbuilder.core.errors import StoreError
    from flowbuilder.storage.api import Store, Write


async def put_on_disk(store: Store, writes: Sequence[Write]) -> None:
    """Return when writes are on disk; many that come at once share a commit.

    Raises:
        StoreError: they are lost; `KeyTaken` where a new run's key has a run.
    """
    loop = asyncio.get_running_loop()
    kept: asyncio.Future[None] = loop.create_future()

    def done(error: StoreError | None) -> None:
        loop.call_soon_threadsafe(settle, kept, error)

    store.hand_over(writes, done)
    await kept


def settle(future: asyncio.Future[None], error: Exception | None) -> None:
    """End a future, unless whoever waited for it has gone."""
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
