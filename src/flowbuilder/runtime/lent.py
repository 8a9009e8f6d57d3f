"""What task types keep for as long as an engine runs: pools of connections, by a key of theirs."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

_log = logging.getLogger("flowbuilder.engine")


class Lent:
    """Things that are made once and closed at the end; used on the loop only."""

    def __init__(self) -> None:
        self._things: dict[Hashable, asyncio.Future[Any]] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[Any]]) -> Any:
        """Return what was made for a key.  Who comes while it is made waits; a failure is nobody's but theirs."""
        while True:
            thing = self._things.get(key)
            if thing is None:
                return await self._make(key, make)
            try:
                return await asyncio.shield(thing)
            except asyncio.CancelledError:
                if not thing.cancelled():
                    raise  # who waits was cancelled, not who makes it

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[Any]]) -> Any:
        thing = self._things[key] = asyncio.get_running_loop().create_future()
        try:
            made = await make()
        except asyncio.CancelledError:
            del self._things[key]
            thing.cancel()
            raise
        except BaseException as error:
            del self._things[key]
            thing.set_exception(error)
            thing.exception()  # looked at, so that nobody reports it as forgotten
            raise
        thing.set_result(made)
        return made

    async def close(self) -> None:
        """Close all that was made."""
        things, self._things = self._things, {}
        for thing in things.values():
            if not thing.done() or thing.cancelled() or thing.exception() is not None:
                continue
            try:
                await thing.result().close()
            except Exception as error:  # whatever a driver raises, the others are closed too
                _log.warning("closing a pool: %s", type(error).__name__)
