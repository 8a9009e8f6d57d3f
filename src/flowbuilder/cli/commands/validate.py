"""`flowbuilder validate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder import __version__
from flowbuilder.cli.command import Argument, Command, Option
from flowbuilder.cli.exits import DONE, WRONG_FILE
from flowbuilder.cli.results import as_json
from flowbuilder.cli.terminal import data, say
from flowbuilder.core.errors import FlowError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from flowbuilder.core.diagnostics import Diagnostic

COMMAND = Command(
    name="validate",
    summary="Check flows completely, without running anything",
    description=(
        "Every mistake of every file is reported at once. The exit code is 3 if there is one; warnings alone "
        "are no mistakes."
    ),
    arguments=(
        Argument(
            "FILE",
            "Flows, in YAML or JSON; in Python: `flows.py:report` or `package.module:report`",
            takes="file",
            count="some",
        ),
    ),
    options=(
        Option(
            ("--format",),
            "How findings are printed",
            "FORMAT",
            choices=("text", "json", "sarif"),
            default="text",
        ),
    ),
    examples=(
        ("All flows of a project", "flowbuilder validate flows/*.yaml"),
        ("For a code review", "flowbuilder validate flows/*.yaml --format sarif > findings.sarif"),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Check the files and print what was found."""
    from flowbuilder.compiler.render import summary  # start-up time: help needs no compiler

    found: list[Diagnostic] = []
    for file in arguments.file:
        found += _check(Path(file))
    _print(found, arguments.format)
    what = f"{len(arguments.file)} file{'s' * (len(arguments.file) > 1)}"
    say(f"{what}: {summary(found) or 'nothing wrong'}")
    return WRONG_FILE if any(one.severity == "error" for one in found) else DONE


def _check(file: Path) -> Sequence[Diagnostic]:
    from flowbuilder.cli.flows import prepare  # start-up time: help needs no compiler

    try:
        _, flow = prepare(file, None)
    except FlowError as error:
        return error.diagnostics
    return flow.diagnostics


def _print(found: Sequence[Diagnostic], format: str) -> None:
    from flowbuilder.cli.diagnostics import texts_of, write  # start-up time: help needs no compiler
    from flowbuilder.compiler.render import render_json, render_sarif

    match format:
        case "json":
            errors = sum(one.severity == "error" for one in found)
            counts = {"errors": errors, "warnings": len(found) - errors}
            data(as_json({"diagnostics": render_json(found), **counts}, indent=True))
        case "sarif":
            data(as_json(render_sarif(found, __version__), indent=True))
        case _:
            write(found, texts_of(found), sys.stdout)
