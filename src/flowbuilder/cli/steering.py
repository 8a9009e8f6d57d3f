"""Acting on runs that any process drives, or none; one or a hundred thousand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.cli.choosing import count_of, in_batches
from flowbuilder.cli.next_steps import typed
from flowbuilder.cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbuilder.cli.workspace import Workspace
    from flowbuilder.runtime.views import RunView
    from flowbuilder.sdk.engine import Engine
    from flowbuilder.sdk.reader import Reader
    from flowbuilder.sdk.run import Run
    from flowbuilder.storage.api import Order, RunRow, Steered

FEW = 10
"""Runs that are told of one by one."""


def steer(reader: Reader, rows: Sequence[RunRow], order: Order, doing: str) -> Steered:
    """Carry out an order for many runs; returns what became of it."""
    from flowbuilder.storage.api import Steered  # start-up time: brings the store

    told: list[str] = []
    written: list[str] = []
    left: list[str] = []
    ended: list[str] = []
    for batch in in_batches(rows, doing):
        steered = reader.steer([row.id for row in batch], order)
        told += steered.told
        written += steered.written
        left += steered.left
        ended += steered.ended
    return Steered(told, written, left, ended)


def drive_on(workspace: Workspace, run_ids: Sequence[str]) -> list[RunView]:
    """Drive runs that nobody drives to their ends here; returns those that no engine has come to before us."""
    from flowbuilder.cli.driving import drive  # start-up time: most runs have an engine of their own

    async def begin(engine: Engine) -> list[Run]:
        return await engine.adopt(run_ids)

    views, _ = drive(workspace, begin, shown=False)
    return views


def tell(ids: Sequence[str], what: str, workspace: Workspace | None = None, *, follow: str = "") -> None:
    """Say what has become of runs: of a few one by one, of many how many there are.

    Args:
        ids: the runs.
        what: what is said behind `run ID` or `N runs`, with `is` where that is `are` for many.
        workspace: where they are, if it is said how to follow them.
        follow: what to say before that.
    """
    if not ids:
        return
    if len(ids) > FEW:
        say(f"{count_of(ids)} {'are' + what.removeprefix('is') if what.startswith('is ') else what}")
        return
    for run_id in ids:
        how = f"; {follow}: {typed(f'runs watch {run_id}', workspace.store)}" if workspace and follow else ""
        say(f"run {run_id} {what}{how}")
