"""Starting runs from others: here, or in a background engine; one or many."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.cli import exits
from flowbuilder.cli.choosing import count_of
from flowbuilder.cli.parsing import UsageError
from flowbuilder.cli.results import as_json, exit_code, show_result
from flowbuilder.cli.steering import FEW
from flowbuilder.cli.terminal import complain, data, say
from flowbuilder.cli.workspace import workspace_at
from flowbuilder.core.errors import FlowBuilderError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from flowbuilder.runtime.views import RunView
    from flowbuilder.sdk.engine import Engine
    from flowbuilder.sdk.run import Run

_OUTPUT: Final = re.compile(r"\.output(?:[.\[]|$)")
AT_ONCE: Final = 1000
"""Runs that are started before those are waited for."""


class Fork(msgspec.Struct):
    """What is asked for, as a background engine can be told it."""

    run: str
    from_tasks: list[str] = []
    failed: bool = False
    latest: bool = False
    inputs: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    flow: str | None = None
    key: str | None = None
    profile: str | None = None
    is_fork: bool = False

    async def start(self, engine: Engine) -> Run:
        """Start the new run."""
        if not self.is_fork:
            return await engine.rerun(
                self.run,
                failed=self.failed,
                from_tasks=self.from_tasks,
                latest=self.latest,
                profile=self.profile,
            )
        return await engine.fork(
            self.run,
            from_tasks=self.from_tasks,
            inputs=self.inputs,
            outputs=self.outputs,
            flow=self.flow,
            key=self.key,
            profile=self.profile,
        )


def settings_of(pairs: Iterable[str], command: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the inputs and the outputs that are set; values are JSON, or else texts.

    Raises:
        UsageError: for a pair that sets neither.
    """
    inputs: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    for pair in pairs:
        path, equals, text = pair.partition("=")
        place, dot, rest = path.partition(".")
        if not equals or not dot or not rest or place not in ("inputs", "tasks"):
            raise UsageError(
                f"'{pair}' sets nothing", command, "write inputs.NAME=VALUE or tasks.TASK.output=VALUE"
            )
        if place == "tasks" and not _OUTPUT.search(rest):
            raise UsageError(
                f"'{path}' is no output", command, "write tasks.TASK.output, and what of it behind"
            )
        (inputs if place == "inputs" else outputs)[rest] = _value(text)
    return inputs, outputs


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return text


def run_forks(arguments: argparse.Namespace, forks: Sequence[Fork]) -> int:
    """Start runs and drive them to their ends; the exit code is the worst of theirs."""
    from flowbuilder.cli.driving import drive  # start-up time: help needs no engine

    workspace = workspace_at(Path.cwd(), arguments.store)
    if arguments.detach:
        from flowbuilder.cli.background import fork_in_background

        for fork in forks:
            fork.flow = None if fork.flow is None else os.path.abspath(fork.flow)
            run_id = fork_in_background(workspace, fork)
            data(as_json({"run_id": run_id}) if arguments.json else run_id)
        return exits.DONE
    code = exits.DONE
    refused = 0
    for start in range(0, len(forks), AT_ONCE):
        some = forks[start : start + AT_ONCE]

        async def begin(engine: Engine, some: Sequence[Fork] = some) -> list[Run]:
            nonlocal refused
            runs = []
            for fork in some:
                try:
                    runs.append(await fork.start(engine))
                except FlowBuilderError as error:
                    if len(forks) == 1:
                        raise
                    refused += 1
                    if refused <= FEW:
                        complain(f"run {fork.run} is not done again: {error}")
            return runs

        shown = not arguments.quiet
        views, interrupted = drive(workspace, begin, shown=shown and len(forks) == 1)
        for view in views:
            if len(views) == 1:
                if shown:
                    _tell(view)
                show_result(
                    view, workspace.store, json=arguments.json, quiet=arguments.quiet, left=interrupted
                )
            elif arguments.json:
                data(as_json(view.to_json()))
            code = max(code, exit_code(view, interrupted=interrupted))
        if len(forks) > 1 and shown:
            for status in dict.fromkeys(view.status for view in views):
                same = [view.run_id for view in views if view.status == status]
                some_ids = ": " + ", ".join(same) if len(same) <= FEW else ""
                say(f"{count_of(same)} {status}{some_ids}")
        if interrupted:
            return code
    if refused:
        say(f"{count_of(range(refused))} could not be done again")
    return max(code, exits.FAILED) if refused else code


def _tell(view: RunView) -> None:
    """Say what the run has taken over, and from which."""
    source = view.about.get("rerun_of") or view.about.get("forked_from")
    kept = [name for name, task in view.tasks.items() if task.taken_over and "." not in name]
    if kept:
        some = ", ".join(kept[:FEW]) + (f" and {len(kept) - FEW} more" if len(kept) > FEW else "")
        say(f"took over from run {source}: {some}")
    if stale := view.about.get("stale"):
        say(f"kept although they rest on what was set: {', '.join(stale[:FEW])}; --from does them again")
