"""`flowbuilder doctor --runs`: what each live run owns, and whether any is stuck."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

from flowbuilder.cli.choosing import count_of
from flowbuilder.cli.exits import DONE, FAILED
from flowbuilder.cli.results import as_json
from flowbuilder.cli.tables import show_table
from flowbuilder.cli.terminal import complain, data, say
from flowbuilder.cli.workspace import reader_here
from flowbuilder.storage.liveness import HOLDINGS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from flowbuilder.storage.liveness import Hold, Holding

_SHOWN: Final = 20
"""Stuck runs that are named."""


def look_over_runs(arguments: argparse.Namespace) -> int:
    """Print how many live runs own what; the exit code is 1 if any owns nothing, or anything has leaked."""
    with reader_here(arguments.store) as reader:
        liveness = reader.liveness()
        counts, stuck, leaks = liveness.counts(), liveness.stuck(_SHOWN), liveness.leaks()
        revived = liveness.revive([hold.run_id for hold in liveness.stuck()]) if arguments.repair else 0
    found = counts.get("nothing", 0)
    if arguments.json:
        data(as_json(_as_data(counts, stuck, leaks, revived)))
    else:
        _show(counts, stuck, leaks)
        if revived:
            say(
                f"{revived} are due now: an engine that is up reads them again, or `flowbuilder runs resume --all`"
            )
    return FAILED if found > revived or leaks else DONE


def _as_data(
    counts: Mapping[Holding, int], stuck: Sequence[Hold], leaks: Mapping[str, int], revived: int
) -> dict[str, object]:
    return {
        "live": sum(counts.values()),
        "stuck": counts.get("nothing", 0),
        "holds": {name: counts.get(name, 0) for name in HOLDINGS if name != "nothing"},
        "leaks": dict(leaks),
        "revived": revived,
        "runs": [{"run_id": hold.run_id, "flow": hold.flow, "status": hold.status} for hold in stuck],
    }


def _show(counts: Mapping[Holding, int], stuck: Sequence[Hold], leaks: Mapping[str, int]) -> None:
    rows = [
        (name, f"{counts.get(name, 0):,}", meaning)
        for name, meaning in HOLDINGS.items()
        if name == "nothing" or counts.get(name)
    ]
    show_table(sys.stdout, ("owns", "runs", "which means"), rows, numbers=frozenset({"runs"}))
    for hold in stuck:
        complain(
            f"run {hold.run_id} of {hold.flow} is {hold.status} and owns nothing",
            "`flowbuilder doctor --runs --repair` has it read again; please report it",
        )
    for name, count in leaks.items():
        complain(f"{count:,} rows of {name} belong to runs that have ended", "please report it")
    moment = time.strftime("%H:%M:%S")
    live = count_of(range(sum(counts.values())), "live run")
    say(f"{live}, {counts.get('nothing', 0):,} stuck at {moment}")
