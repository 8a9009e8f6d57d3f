"""`flowbuilder cache clear`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.cli.answers import answer
from flowbuilder.cli.caches import CHOICE, chosen
from flowbuilder.cli.command import JSON, STORE, Command, Option
from flowbuilder.cli.parsing import UsageError
from flowbuilder.cli.workspace import reader_here
from flowbuilder.core.cache import KIND

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="cache clear",
    summary="Clear outputs that are kept, so that the next executions make them anew",
    description="Runs that have an output already keep it.",
    options=(*CHOICE, Option(("--all",), "Clear everything that is kept"), STORE, JSON),
    examples=(
        ("After a fix in what a task calls", "flowbuilder cache clear --flow rates --task fetch"),
        ("Everything", "flowbuilder cache clear --all"),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Clear what was asked for."""
    narrow = (arguments.flow, arguments.task, arguments.key) != (None, None, None)
    if narrow == bool(arguments.all):
        raise UsageError("say what to clear with --flow, --task or --key, or give --all", COMMAND.name)
    with reader_here(arguments.store) as reader:
        facts = reader.facts()
        if arguments.all:
            count = facts.forget(KIND)
        else:
            names = [fact.key for fact, _ in chosen(facts, arguments)]
            count = sum(facts.forget(KIND, prefix=name) for name in names)
    return answer(arguments, {"cleared": count}, f"cleared {count} output{'' if count == 1 else 's'}")
