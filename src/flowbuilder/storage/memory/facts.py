"""Facts in memory: a dictionary, sorted when it is listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from flowbuilder.storage.api import Fact
    from flowbuilder.storage.memory.place import Place


class MemoryFacts:
    """Passes `storage.api.Facts`.

    Args:
        reading: lends the contents of the store, locked, with all that was submitted in them.
    """

    def __init__(self, reading: Callable[[], AbstractContextManager[Place]]) -> None:
        self._reading = reading

    def get(self, kind: str, key: str) -> Fact | None:
        """Return a fact."""
        with self._reading() as place:
            return place.facts.get((kind, key))

    def list(self, kind: str, *, prefix: str = "", after: str = "", limit: int = 1000) -> list[Fact]:
        """Return facts whose key begins with `prefix` and lies behind `after`, in the order of their keys."""
        with self._reading() as place:
            found = [
                fact
                for (of_kind, key), fact in place.facts.items()
                if of_kind == kind and key.startswith(prefix) and key > after
            ]
            return sorted(found, key=lambda fact: fact.key.encode())[:limit]

    def change(self, kind: str, key: str, change: Callable[[Fact | None], Fact | None]) -> Fact | None:
        """Replace a fact by what `change` makes of it, and return that."""
        with self._reading() as place:
            fact = change(place.facts.get((kind, key)))
            if fact is None:
                place.facts.pop((kind, key), None)
            else:
                place.facts[kind, key] = fact
            return fact

    def change_together(
        self,
        names: Sequence[tuple[str, str]],
        change: Callable[[tuple[Fact | None, ...]], Sequence[Fact | None]],
    ) -> None:
        """Replace several facts by what `change` makes of them, all or none."""
        with self._reading() as place:
            made = change(tuple(place.facts.get(name) for name in names))
            for name, fact in zip(names, made, strict=True):
                if fact is None:
                    place.facts.pop(name, None)
                else:
                    place.facts[name] = fact

    def announce(self) -> None:
        """Wake all engines of the store."""
        with self._reading() as place:
            wakes = list(place.bells.values())
        for wake in wakes:
            wake()

    def forget(self, kind: str, *, prefix: str = "", expired_at: float | None = None) -> int:
        """Delete facts of a kind, all or those that had expired at a moment; returns how many."""
        with self._reading() as place:
            gone = [
                (of_kind, key)
                for (of_kind, key), fact in place.facts.items()
                if of_kind == kind
                and key.startswith(prefix)
                and (expired_at is None or (fact.expires_at is not None and fact.expires_at <= expired_at))
            ]
            for name in gone:
                del place.facts[name]
            return len(gone)
