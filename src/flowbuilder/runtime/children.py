"""The runs that a run waits for, as its journal and the store tell after a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from flowbuilder.core.rounds import is_superseded
from flowbuilder.storage.api import LIVE_STATUSES, RunFilter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbuilder.runtime.recovered import Recovered
    from flowbuilder.storage.api import Store

PAGE: Final = 1000


def children_of(store: Store, run_id: str, found: Recovered) -> list[str]:
    """Return the runs that a run waits for, but those of its `finally`; blocks.

    A child is on disk before its parent's journal says so: one of a task that
    has not ended is its parent's too, though the journal does not know it.
    """
    known = {
        child: None
        for path, child in found.children.items()
        if path not in found.ended and not path.startswith("finally:")
    }
    begun = {path: rounds.round + 1 for path, rounds in found.rounds.items()}
    for child, path in _live(store, run_id):
        over = (
            path in found.ended or path in begun or is_superseded(path, begun)
        )  # a loop's path is its first round
        if not over and not path.startswith("finally:"):
            known[child] = None
    return list(known)


def _live(store: Store, run_id: str) -> Iterator[tuple[str, str]]:
    """Yield live runs that a run has started, each with the path of its task, which is in its key."""
    which = RunFilter(parent=run_id, status=LIVE_STATUSES, limit=PAGE)
    while page := store.runs(which):
        for row in page:
            if row.key is not None and row.key.startswith(f"{run_id}/"):
                yield row.id, row.key[len(run_id) + 1 :].rpartition("/")[0]
        which = msgspec.structs.replace(which, before=page[-1].id)
