"""Explanations: of a flow that may run, and of a run that did."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.compiler.costs import estimate
from flowbuilder.compiler.explain import RunFacts, TaskFacts, explain, render
from flowbuilder.compiler.passes import optimize
from flowbuilder.compiler.pipeline import compile_text
from flowbuilder.core import values
from flowbuilder.core.errors import NotFound
from flowbuilder.runtime.plans import Definition, beside
from flowbuilder.sdk.reader import Reader
from flowbuilder.tasks.registry import catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbuilder.cli.workspace import Workspace
    from flowbuilder.compiler.ir import Flow
    from flowbuilder.runtime.views import RunView, TaskView
    from flowbuilder.storage.api import TaskStatistics

_INDEXES: Final = re.compile(r"\[[^\]]*\]")


def explain_flow(
    workspace: Workspace,
    flow: Flow,
    inputs: Mapping[str, Any],
    format: str,
    run: RunView | None = None,
) -> str:
    """Return the explanation of a flow, with the figures of a run of it beside what was expected.

    Args:
        workspace: whose store has the statistics of earlier runs.
        flow: as it was written.
        inputs: tell how many elements maps over them have.
        format: `text`, `json`, `mermaid` or `dot`.
        run: a run of this version.
    """
    optimized = optimize(flow)
    costs = estimate(optimized.flow, known_of(workspace, flow.name), inputs=inputs)
    actuals = None if run is None else facts_of(run)
    return render(explain(flow, optimized, costs, actuals), optimized.flow, format)


def known_of(workspace: Workspace, flow: str) -> Mapping[str, TaskStatistics]:
    """Return what the store knows of a flow's tasks; nothing where there is no store."""
    if not workspace.store.exists():
        return {}
    with Reader(workspace.store) as reader:
        return reader.statistics(flow)


def flow_of(reader: Reader, run_id: str, workspace: Workspace) -> Flow:
    """Return the flow that a run began with: its texts as they were then.

    Raises:
        NotFound: if the store has not kept them.
    """
    row = reader.row(run_id)
    kept = reader.definition(row.flow_hash)
    if kept is None:
        raise NotFound("flow", row.flow, f"the store has not kept the version of run {row.id}")
    definition = msgspec.msgpack.decode(kept, type=Definition)

    def resolve(path: str, from_file: str) -> str:
        return definition.sources[beside(path, from_file)]

    checked = compile_text(
        definition.sources[definition.file],
        definition.file,
        catalogue=catalogue(Path(definition.file).absolute().parent),
        resolve=resolve,
        limits=workspace.config.for_compiler(),
    )
    return checked.flow


def facts_of(view: RunView) -> RunFacts:
    """Return what a run came to, as the explanation wants it: by path without indexes."""
    began = view.started_at if view.started_at is not None else view.created_at
    ended = view.ended_at if view.ended_at is not None else began
    gathered: dict[str, list[TaskView]] = {}
    for path, task in view.elements.items():
        inner = _INDEXES.sub("", path)
        if inner not in view.tasks:
            gathered.setdefault(inner, []).append(task)
    tasks = {path: _facts([task], began) for path, task in view.tasks.items()}
    tasks |= {path: _facts(several, began) for path, several in gathered.items()}
    return RunFacts(
        run_id=view.run_id,
        status=view.status,
        duration=ended - began,
        tasks=tasks,
        output_bytes=_size(view.outputs),
    )


def _facts(several: list[TaskView], began: float) -> TaskFacts:
    """Return what the executions of one task came to, all together."""
    starts = [task.started_at for task in several if task.started_at is not None]
    ends = [
        task.started_at + task.duration
        for task in several
        if task.started_at is not None and task.duration is not None
    ]
    worst = next((task for task in several if task.status == "failed"), several[0])
    error = worst.error
    return TaskFacts(
        status=worst.status,
        started=min(starts) - began if starts else None,
        duration=max(ends) - min(starts) if ends else 0.0,
        attempts=max(task.attempts for task in several),
        rows=sum(1 if task.items is None else task.items for task in several),
        output_bytes=sum(_size(task.output) for task in several),
        loops=len(several),
        reason=worst.reason,
        error=f"{error.get('kind')}: {error.get('message')}" if error else None,
    )


def _size(value: Any) -> int:
    return 0 if value is None else len(values.encode(value))
