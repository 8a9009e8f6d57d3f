"""Writes down how far triggers have come: soon, many at once, and again where that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowbuilder.storage.api import Forget, Keep

if TYPE_CHECKING:
    import asyncio

    from flowbuilder.core.errors import StoreError
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.storage.api import Fact

SOON: Final = 0.02
"""Seconds in which what changes is gathered."""
AGAIN: Final = 1.0
"""Seconds after which it is tried again."""


class Keeper:
    """Keeps facts that may be lost with a crash: whoever finds an older one does the same again, to no effect."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._changed: dict[tuple[str, str], Fact | None] = {}
        self._waiting = False

    def keep(self, fact: Fact) -> None:
        """Have a fact kept, in place of one of the same kind and key."""
        self._put((fact.kind, fact.key), fact)

    def forget(self, kind: str, key: str) -> None:
        """Have a fact forgotten."""
        self._put((kind, key), None)

    def _put(self, name: tuple[str, str], fact: Fact | None) -> None:
        self._changed[name] = fact
        if not self._waiting:
            self._waiting = True
            self._machine.loop.call_later(SOON, self.flush)

    def flush(self) -> None:
        """Hand over what has gathered."""
        self._waiting = False
        changed, self._changed = self._changed, {}
        if not changed or self._machine.stopping:
            self._changed = changed
            return

        def done(error: StoreError | None) -> None:
            if error is not None:
                self._machine.loop.call_soon_threadsafe(self._failed, changed)

        self._machine.store.hand_over(_writes(changed), done)

    async def written(self) -> None:
        """Return when what has changed so far is on disk, or the store has refused it: then it is tried again."""
        kept: asyncio.Future[None] = self._machine.loop.create_future()
        changed, self._changed = self._changed, {}

        def settled(error: StoreError | None) -> None:
            if error is not None:
                self._failed(changed)
            if not kept.done():
                kept.set_result(None)

        def done(error: StoreError | None) -> None:
            self._machine.loop.call_soon_threadsafe(settled, error)

        if changed and not self._machine.stopping:
            self._machine.store.hand_over(_writes(changed), done)
            await kept

    def _failed(self, lost: dict[tuple[str, str], Fact | None]) -> None:
        self._changed = {**lost, **self._changed}
        if not self._waiting:
            self._waiting = True
            self._machine.loop.call_later(AGAIN, self.flush)

    def close(self) -> None:
        """Write what is left; the store is closed behind it, which waits for the disk."""
        for write in _writes(self._changed):
            self._machine.store.submit(write)
        self._changed = {}


def _writes(changed: dict[tuple[str, str], Fact | None]) -> list[Keep | Forget]:
    return [Keep(fact) if fact is not None else Forget(*name) for name, fact in changed.items()]
