"""Acting on runs that any process drives, or none; one or a hundred thousand."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Final

from flowbuilder.cli.choosing import count_of, in_batches
from flowbuilder.cli.exits import DONE, FAILED
from flowbuilder.cli.next_steps import typed
from flowbuilder.cli.results import as_json
from flowbuilder.cli.terminal import data, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from flowbuilder.cli.workspace import Workspace
    from flowbuilder.sdk.reader import Reader
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


def bring_to_end(workspace: Workspace, run_ids: Sequence[str]) -> dict[str, str]:
    """Drive runs that nobody drives to their ends here, a thousand at a time.

    Returns:
        How they ended, by id; without those that an engine has come to before us.
    """
    from flowbuilder.sdk.engine import Engine  # start-up time: most runs have an engine of their own
    from flowbuilder.sdk.loop import run_loop

    ended: dict[str, str] = {}

    async def main() -> None:
        async with Engine(workspace.store, workspace.config, recover=False) as engine:
            for batch in in_batches(run_ids, "ending"):
                runs = await engine.adopt(batch)
                await asyncio.gather(*(run.result() for run in runs), return_exceptions=True)
                for run in runs:
                    ended[run.id] = run.status

    with contextlib.redirect_stdout(sys.stderr):  # what functions of the author print is no data
        run_loop(workspace.config, main())
    return ended


def report(arguments: argparse.Namespace, became: Mapping[str, Sequence[str]]) -> int:
    """Print what has become of runs, for programs, and return the exit code.

    Args:
        arguments: with `json`, `became` is printed; it stands in `docs/reference/json.md`.
        became: the ids of runs, by what became of them; a run that was named, and has `ended`, is a failure.
    """
    if arguments.json:
        data(as_json({name: list(ids) for name, ids in became.items()}))
    return FAILED if became.get("ended") and arguments.run else DONE


def tell_ended(reader: Reader, ids: Sequence[str]) -> None:
    """Say of runs that they have ended, and how."""
    status = {run_id: reader.row(run_id).status for run_id in ids}
    for one in dict.fromkeys(status.values()):
        tell([run_id for run_id in ids if status[run_id] == one], f"has ended already: {one}")


_MANY: Final = {"is": "are", "has": "have", "goes": "go"}


def tell(ids: Sequence[str], what: str, workspace: Workspace | None = None, *, follow: str = "") -> None:
    """Say what has become of runs: of a few one by one, of many how many there are.

    Args:
        ids: the runs.
        what: what is said behind `run ID`, such as `is paused`; it is put into the plural for many.
        workspace: where they are, if it is said how to follow them.
        follow: what to say before that.
    """
    if not ids:
        return
    if len(ids) > FEW:
        verb, _, rest = what.partition(" ")
        say(f"{count_of(ids)} {_MANY.get(verb, verb)} {rest}")
        return
    for run_id in ids:
        how = f"; {follow}: {typed(f'runs watch {run_id}', workspace.store)}" if workspace and follow else ""
        say(f"run {run_id} {what}{how}")
