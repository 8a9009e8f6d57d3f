"""`flowbuilder run`: here, or in a background engine."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbuilder.cli import exits
from flowbuilder.cli.flows import prepare, warn
from flowbuilder.cli.inputs import gather_inputs
from flowbuilder.cli.labels import read_labels
from flowbuilder.cli.next_steps import typed
from flowbuilder.cli.parsing import UsageError
from flowbuilder.cli.results import as_json, exit_code, show_result
from flowbuilder.cli.terminal import data, say
from flowbuilder.storage.api import LIVE_STATUSES, RunFilter

if TYPE_CHECKING:
    import argparse

    from flowbuilder.cli.workspace import Workspace
    from flowbuilder.runtime.views import RunView
    from flowbuilder.sdk.engine import Engine
    from flowbuilder.sdk.load import LoadedFlow
    from flowbuilder.sdk.run import Run


def run_flow(arguments: argparse.Namespace) -> int:
    """Check the flow, start it, and show what comes of it.

    Raises:
        NotFound, FlowError, InputError, UsageError, KeyConflict, StoreError.
    """
    file = Path(arguments.file)
    workspace, flow = prepare(file, arguments.store)
    inputs = gather_inputs(flow.flow.inputs, arguments.input, arguments.input_file, flow.plan.check_inputs)
    if arguments.priority is not None and not 0 <= arguments.priority <= 100:
        raise UsageError("--priority goes from 0 to 100", "run")
    if arguments.key == "":
        raise UsageError("--key is empty", "run", "leave it out, or give what tells this start from others")
    labels = read_labels(arguments.label, "run")
    warn(flow, quiet=arguments.quiet)
    began = time.time()
    if arguments.detach or arguments.timeout is not None:
        return _in_background(arguments, workspace, flow.path, inputs, labels, began)
    view, interrupted = run_here(
        workspace,
        flow,
        inputs,
        key=arguments.key,
        priority=arguments.priority,
        labels=labels,
        profile=arguments.profile,
        shown=not arguments.quiet,
    )
    _tell_of_key(view, began, quiet=arguments.quiet)
    show_result(view, workspace.store, json=arguments.json, quiet=arguments.quiet, left=interrupted)
    return exit_code(view, interrupted=interrupted)


def run_here(
    workspace: Workspace,
    flow: LoadedFlow,
    inputs: dict[str, Any],
    *,
    key: str | None = None,
    priority: int | None = None,
    labels: dict[str, str] | None = None,
    profile: str | None = None,
    shown: bool,
) -> tuple[RunView, bool]:
    """Run a flow with an engine in this process.

    Args:
        workspace: whose store keeps the run.
        flow: what to run.
        inputs: values by name.
        key: makes the start idempotent.
        priority: 0 to 100.
        labels: added to those of the flow.
        profile: the name of the project's profile.
        shown: whether progress and waiting runs are told of.

    Returns:
        The run as it ended, and whether a signal of ours ended it.
    """
    from flowbuilder.cli.driving import drive  # start-up time: a flow that is wrong needs no engine

    started: list[Run] = []

    async def begin(engine: Engine) -> list[Run]:
        how: dict[str, Any] = {"key": key, "priority": priority, "labels": labels or None, "profile": profile}
        started.append(await engine.start(flow, inputs, **how))
        return started

    async def after(engine: Engine) -> None:
        await name_waiting(engine, workspace.store, started[0].id)

    views, interrupted = drive(workspace, begin, shown=shown, after=after if shown else None)
    return views[0], interrupted


async def name_waiting(engine: Engine, store: Path, but: str) -> None:
    """Name the runs that a crash or an interrupt left, which this command does not carry on."""
    if all(row.id == but for row in await engine.runs(RunFilter(status=LIVE_STATUSES, limit=2))):
        return
    from flowbuilder.sdk.reader import Reader  # start-up time: mostly there are no others

    with Reader(store) as reader:
        left = [row for row in reader.waiting(but=engine.core.machine.id) if row.id != but]
    if left:
        some = ", ".join(row.id for row in left[:3]) + (" …" if len(left) > 3 else "")
        one = len(left) == 1
        say(f"{len(left)} other {'run waits' if one else 'runs wait'} in this store to be carried on: {some}")
        say(f"  {typed('runs resume --all', store)}\n")


def _tell_of_key(view: RunView, began: float, *, quiet: bool) -> None:
    """Say so where the key has given a run that is older than the command."""
    if view.key is not None and view.created_at < began and not quiet:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(view.created_at))
        say(f"key '{view.key}' has a run already, started {at}: this is that run\n")


def _in_background(
    arguments: argparse.Namespace,
    workspace: Workspace,
    file: Path,
    inputs: dict[str, Any],
    labels: dict[str, str],
    began: float,
) -> int:
    from flowbuilder.cli.background import Request, start_in_background  # start-up time: only where asked for
    from flowbuilder.cli.watching import watch
    from flowbuilder.sdk.reader import Reader

    request = Request(
        os.path.abspath(file),
        str(workspace.store),
        inputs,
        arguments.key,
        arguments.priority,
        labels,
        arguments.profile,
    )
    run_id = start_in_background(workspace, request)
    if arguments.timeout is not None:
        view, interrupted = watch(
            Reader(workspace.store),
            run_id,
            timeout=arguments.timeout,
            shown=not arguments.quiet,
            cancels=True,
        )
        _tell_of_key(view, began, quiet=arguments.quiet)
        show_result(view, workspace.store, json=arguments.json, quiet=arguments.quiet)
        return exit_code(view, interrupted=interrupted)
    with Reader(workspace.store) as reader:
        view = reader.show(run_id)
    data(as_json(view.to_json()) if arguments.json else run_id)
    _tell_of_key(view, began, quiet=arguments.quiet)
    if not arguments.quiet:
        say(f"  runs in the background; follow it with: {typed(f'runs watch {run_id}', workspace.store)}")
    return exits.DONE
