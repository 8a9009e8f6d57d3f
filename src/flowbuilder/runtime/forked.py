"""What leads from a run to those that began where it had come to; `forks.py` begins them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flowbuilder.storage.api import Store

FORK_FACT: Final = "fork"
"""The kind of facts, by `old run/new run`, that lead from a run to its reruns and forks."""


def forks_of(store: Store, run_id: str) -> list[str]:
    """Return the runs that were begun from a run, oldest first."""
    return [fact.key.partition("/")[2] for fact in store.facts().list(FORK_FACT, prefix=run_id + "/")]
