"""`flowbuilder schema`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.cli.command import Command
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.results import as_json
from flowbuilder.cli.terminal import data

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="schema",
    summary="Print the JSON Schema of the language, for editors",
    examples=(("For an editor that knows YAML schemas", "flowbuilder schema > flow.schema.json"),),
)


def run(arguments: argparse.Namespace) -> int:
    """Print the schema."""
    from flowbuilder.compiler.schema import language_schema  # start-up time: help needs no compiler
    from flowbuilder.tasks.registry import catalogue

    data(as_json(language_schema(catalogue(Path.cwd())), indent=True))
    return DONE
