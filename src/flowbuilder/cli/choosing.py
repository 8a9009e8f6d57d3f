"""Which runs a command is about: those that are named, or all that a choice by flow, status, time, label fits."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from flowbuilder.cli.command import Option
from flowbuilder.cli.labels import label_option, read_labels
from flowbuilder.cli.parsing import UsageError
from flowbuilder.cli.results import ENDED_STATUSES, as_json
from flowbuilder.cli.terminal import data, is_rich, put, say
from flowbuilder.storage.api import LIVE_STATUSES, RunFilter

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from flowbuilder.sdk.reader import Reader
    from flowbuilder.storage.api import RunRow, RunStatus

CHOICE: Final[tuple[Option, ...]] = (
    Option(("--flow",), "Instead of RUN: all runs of this flow", "NAME"),
    Option(
        ("--status",),
        "Instead of RUN: all that stand so",
        "STATUS",
        choices=(*LIVE_STATUSES, *ENDED_STATUSES),
        repeated=True,
    ),
    Option(("--since",), "Instead of RUN: all that were started since then", "MOMENT", takes="moment"),
    Option(("--until",), "Instead of RUN: all that were started before then", "MOMENT", takes="moment"),
    label_option("Instead of RUN: all that have this label"),
    Option(("--dry-run",), "Only say which runs it would be"),
    Option(("--yes", "-y"), "Do not ask before something is done to a choice of runs"),
)
"""The options of commands that act on many runs; all that are given must fit."""

T = TypeVar("T")

_PAGE: Final = 1000
_SHOWN: Final = 5


def choose(
    arguments: argparse.Namespace,
    reader: Reader,
    command: str,
    verb: str,
    fit: Sequence[RunStatus],
) -> list[RunRow] | None:
    """Return the runs that a command is to act on; None where somebody said no, or only wanted to know.

    Args:
        arguments: with `RUN` and the options of `CHOICE`.
        reader: of the store.
        command: its name.
        verb: what it does to runs.
        fit: how runs must stand to be chosen; those that are named may stand in any way.

    Raises:
        UsageError: nothing is named nor chosen, both are, or there is nobody to ask.
        NotFound: there is no run of a name.
    """
    labels = read_labels(arguments.label, command)
    chosen = arguments.flow or arguments.status or arguments.since or arguments.until or labels
    if bool(arguments.run) == bool(chosen):
        raise UsageError(
            "name runs, or choose them", command, "choose by --flow, --status, --since, --until or --label"
        )
    if arguments.run:
        rows = list({row.id: row for row in map(reader.row, arguments.run)}.values())
    else:
        status = tuple(name for name in fit if not arguments.status or name in arguments.status)
        which = RunFilter(
            flow=arguments.flow,
            status=status,
            since=arguments.since,
            until=arguments.until,
            labels=labels,
            limit=_PAGE,
        )
        rows = list(_all(reader, which)) if status else []
    if arguments.dry_run:
        if vars(arguments).get("json"):
            data(as_json({"runs": [row.id for row in rows]}))
        else:
            _show(rows, verb)
        return None
    if not rows:
        say("no run fits the choice")
    if arguments.run or _agreed(rows, arguments, command, verb):
        return rows
    return None


def _all(reader: Reader, which: RunFilter) -> Iterator[RunRow]:
    while True:
        page = reader.runs(which)
        yield from page
        if len(page) < which.limit:
            return
        which = msgspec.structs.replace(which, before=page[-1].id)


def _show(rows: Sequence[RunRow], verb: str) -> None:
    say(f"would {verb} {count_of(rows)}")
    for row in rows[: _SHOWN * 4]:
        say(f"  {row.id}  {row.flow}  {row.status}")
    if len(rows) > _SHOWN * 4:
        say(f"  … {len(rows) - _SHOWN * 4:,} more")


def _agreed(rows: Sequence[RunRow], arguments: argparse.Namespace, command: str, verb: str) -> bool:
    """Ask whether to act on a choice of runs; no runs are no question.

    Raises:
        UsageError: if there is nobody to ask.
    """
    if arguments.yes or not rows:
        return True
    if not sys.stdin.isatty():
        raise UsageError(f"this would {verb} {count_of(rows)}", command, "add --yes, or look with --dry-run")
    flows: dict[str, int] = {}
    for row in rows:
        flows[row.flow] = flows.get(row.flow, 0) + 1
    some = ", ".join(f"{name} ({number:,})" for name, number in list(flows.items())[:_SHOWN])
    say(f"{count_of(rows)}: {some}{' …' if len(flows) > _SHOWN else ''}")
    put(f"{verb.capitalize()} {'it' if len(rows) == 1 else 'them'}? [y/N] ", sys.stderr)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def count_of(rows: Sequence[object], name: str = "run") -> str:
    """Return how many runs there are, in words.

    Example:
        >>> count_of([1]), count_of(range(1200))
        ('1 run', '1,200 runs')
    """
    return f"{len(rows):,} {name}{'' if len(rows) == 1 else 's'}"


def in_batches(rows: Sequence[T], doing: str) -> Iterator[Sequence[T]]:
    """Yield runs a thousand at a time, and say at a terminal how far it has come."""
    shown = len(rows) > _PAGE and is_rich(sys.stderr)
    for start in range(0, len(rows), _PAGE):
        yield rows[start : start + _PAGE]
        if shown:
            put(f"\r{doing} {min(start + _PAGE, len(rows)):,} of {len(rows):,} ", sys.stderr)
    if shown:
        say()
