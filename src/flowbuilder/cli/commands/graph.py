"""`flowbuilder graph`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.cli.command import FLOW, Command, Option
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.terminal import data

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="graph",
    summary="Draw a flow's graph",
    arguments=(FLOW,),
    options=(
        Option(
            ("--format",),
            "How it is drawn",
            "FORMAT",
            choices=("text", "mermaid", "dot"),
            default="text",
        ),
    ),
    examples=(("As a picture", "flowbuilder graph flow.yaml --format dot | dot -Tsvg > flow.svg"),),
)


def run(arguments: argparse.Namespace) -> int:
    """Print the drawing."""
    from flowbuilder.cli.flows import prepare  # start-up time: help needs no compiler
    from flowbuilder.compiler.graph import draw_graph

    _, flow = prepare(Path(arguments.file), None)
    data(draw_graph(flow.flow, arguments.format))
    return DONE
