"""`flowbuilder explain`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from flowbuilder.cli.command import FLOW, PROFILE, STORE, Command, Option
from flowbuilder.cli.exits import DONE, INTERRUPTED
from flowbuilder.cli.inputs import gather_inputs
from flowbuilder.cli.parsing import UsageError
from flowbuilder.cli.results import exit_code
from flowbuilder.cli.terminal import data, is_rich, put, say
from flowbuilder.cli.workspace import reader_here, workspace_at

if TYPE_CHECKING:
    import argparse

    from flowbuilder.compiler.ir import Flow

COMMAND = Command(
    name="explain",
    summary="Show the plan of a flow and its expected cost, or what a run took",
    description=(
        "Expected figures come from earlier runs in the store, and from defaults where there are none. "
        "--run puts what a past run took beside them; --analyze makes a real run for that, and asks first "
        "where tasks change the world."
    ),
    arguments=(msgspec.structs.replace(FLOW, count="optional"),),
    options=(
        Option(
            ("--input", "-i"),
            "An input: tells how long lists are, and is what --analyze runs with",
            "KEY=VALUE",
            repeated=True,
        ),
        Option(("--run",), "Explain this past run instead of a file", "RUN", takes="run"),
        Option(("--analyze",), "Run the flow, for the actual figures"),
        Option(("--yes", "-y"), "Do not ask before a run that changes the world"),
        Option(
            ("--format",),
            "How it is printed",
            "FORMAT",
            choices=("text", "json", "mermaid", "dot"),
            default="text",
        ),
        PROFILE,
        STORE,
    ),
    examples=(
        ("What a flow would cost", "flowbuilder explain report.yaml"),
        ("Where last night's run spent its time", "flowbuilder explain --run 01jd3q8v7"),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation."""
    if arguments.run:
        if arguments.file or arguments.analyze:
            raise UsageError("--run explains a run that was: it takes no FILE and no --analyze", "explain")
        return _past(arguments)
    if not arguments.file:
        raise UsageError("name a FILE, or a run with --run", "explain")
    return _file(arguments)


def _file(arguments: argparse.Namespace) -> int:
    from flowbuilder.cli.explaining import explain_flow  # start-up time: help needs no compiler
    from flowbuilder.cli.flows import prepare
    from flowbuilder.cli.running import run_here

    workspace, loaded = prepare(Path(arguments.file), arguments.store)
    if arguments.profile is not None:
        from flowbuilder.cli.profiles import check_profile

        check_profile(workspace, loaded.plan, arguments.profile)
    inputs = gather_inputs(loaded.flow.inputs, arguments.input, None, loaded.plan.check_inputs)
    if not arguments.analyze:
        defaults = {one.name: one.default for one in loaded.flow.inputs if not one.required}
        _show(
            explain_flow(workspace, loaded.flow, {**defaults, **inputs}, arguments.format), arguments.format
        )
        return DONE
    if not (arguments.yes or _agreed(loaded.flow)):
        return INTERRUPTED
    view, interrupted = run_here(workspace, loaded, inputs, profile=arguments.profile, shown=True)
    _show(explain_flow(workspace, loaded.flow, view.inputs, arguments.format, view), arguments.format)
    return exit_code(view, interrupted=interrupted)


def _past(arguments: argparse.Namespace) -> int:
    from flowbuilder.cli.explaining import explain_flow, flow_of  # start-up time: help needs no compiler

    with reader_here(arguments.store) as reader:
        workspace = workspace_at(Path.cwd(), arguments.store)
        view = reader.show(arguments.run)
        flow = flow_of(reader, view.run_id, workspace)
        _show(explain_flow(workspace, flow, view.inputs, arguments.format, view), arguments.format)
    return DONE


def _show(plan: str, format: str) -> None:
    """Print a plan, in colours where they are welcome."""
    if format == "text" and is_rich(sys.stdout):
        from flowbuilder.cli.plan_colours import coloured  # start-up time: for people only

        plan = coloured(plan)
    data(plan)


def _agreed(flow: Flow) -> bool:
    """Ask whether to run a flow that changes the world.

    Raises:
        UsageError: if there is nobody to ask.
    """
    from flowbuilder.compiler.explain.disk import is_effect  # start-up time: help needs no compiler
    from flowbuilder.compiler.passes.graphs import all_tasks

    writes = [path for path, task in all_tasks(flow) if is_effect(task)]
    if not writes:
        return True
    some = ", ".join(writes[:5]) + (" …" if len(writes) > 5 else "")
    if not sys.stdin.isatty():
        raise UsageError(f"--analyze would run what changes the world: {some}", "explain", "add --yes")
    say(f"These tasks change the world: {some}")
    put("Run them? [y/N] ", sys.stderr)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
