"""`flowbuilder runs show`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.cli.command import JSON, RUN, STORE, Argument, Command
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.gantt import show_timeline
from flowbuilder.cli.labels import as_text
from flowbuilder.cli.next_steps import typed
from flowbuilder.cli.results import (
    REASONS,
    as_json,
    duration_of,
    error_line,
    format_time,
    not_undone,
    task_of,
    task_row,
)
from flowbuilder.cli.tables import show_table
from flowbuilder.cli.terminal import data
from flowbuilder.cli.workspace import reader_here, store_here
from flowbuilder.runtime.views import in_order, told

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from flowbuilder.runtime.timeline import Bar
    from flowbuilder.runtime.views import RunView, TaskView

_MOST_SHOWN = 80
"""Characters of the output of a round."""
_CHILDREN: Final = 5
"""Runs started by this one that are named."""

COMMAND = Command(
    name="runs show",
    summary="Show a run: its inputs, its outputs and how each task went",
    arguments=(
        RUN,
        Argument("TASK", "Only this task, with its output in full", takes="task", count="optional"),
    ),
    options=(STORE, JSON),
    examples=(
        ("One task's output, for another program", "flowbuilder runs show RUN fetch --json | jq .output"),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Print a run, or one of its tasks."""
    reader = reader_here(arguments.store)
    view = reader.show(arguments.run)
    if arguments.task:
        _show_task(task_of(view, arguments.task), arguments.task, json=arguments.json)
    elif arguments.json:
        bars = [bar.to_json() for bar in reader.timeline(view)]
        data(as_json({**view.to_json(full=True), "timeline": bars}))
    else:
        _show_run(view, reader.timeline(view), store_here(arguments.store))
    return DONE


def _show_run(view: RunView, bars: list[Bar], store: Path) -> None:
    duration = duration_of(view)
    lines = [
        f"run      {view.run_id}",
        f"flow     {view.flow}",
        f"status   {view.status}",
        f"created  {_moment(view.created_at)}",
    ]
    if duration is not None:
        lines.append(f"took     {format_time(duration)}")
    if view.error:
        lines.append(f"error    {error_line(view.error)}")
    if view.paused:
        why = f": {view.paused['reason']}" if view.paused["reason"] else ""
        lines.append(f"paused   {_moment(view.paused['at'])}{why}")
    lines += not_undone(view)
    if trigger := view.about.get("trigger"):
        lines.append(f"trigger  {_started_by(trigger)}")
    if view.labels:
        lines.append(f"labels   {as_text(view.labels)}")
    lines += _links(view, store)
    if view.inputs:
        lines.append(f"inputs   {as_json(view.inputs)}")
    data("\n".join(lines) + "\n")
    rows = [task_row(name, task) for name, task in told(view)]
    show_table(sys.stdout, ("task", "status", "time", "note"), rows, numbers=frozenset({"time"}))
    if bars:
        data("\n")
        show_timeline(sys.stdout, bars)
    if view.outputs:
        data("\noutputs\n" + as_json(view.outputs, indent=True))


def _links(view: RunView, store: Path) -> list[str]:
    """Tell where a run comes from and what came of it, and what is otherwise with it than with most."""
    about = view.about
    lines = []
    if view.parent:
        lines.append(f"parent   {view.parent}")
    for name, what in (("rerun_of", "rerun of"), ("forked_from", "fork of")):
        if name in about:
            lines.append(f"{what:<9}{about[name]}")
    if again := about.get("again"):
        lines.append(f"again    {', '.join(again)}")
    if edited := about.get("edited"):
        lines.append(f"edited   {', '.join(edited)}")
    if view.forks:
        lines.append(f"forks    {', '.join(view.forks)}")
    if children := _children(view):
        more = len(children) - _CHILDREN
        rest = f" and {more:,} more: {typed(f'runs list --parent {view.run_id}', store)}" if more > 0 else ""
        lines.append(f"children {', '.join(children[:_CHILDREN])}{rest}")
    return lines


def _children(view: RunView) -> list[str]:
    """Return the runs that this one has started, each with the task or the element that did."""
    elements = [one for one in view.elements.items() if one[1].child]
    some = (*view.tasks.items(), *sorted(elements, key=lambda one: in_order(one[0])))
    return [f"{task.child} ({name})" for name, task in some if task.child]


def _started_by(trigger: Mapping[str, Any]) -> str:
    """Return what started a run, in words."""
    match trigger:
        case {"scheduled_at": moment}:
            about = f" for {moment.isoformat()}"
        case {"file": {"path": path}}:
            about = f" for {path}"
        case {"event": {"id": event}}:
            about = f" for event {event}"
        case {"run": {"id": run, "flow": flow, "status": status}}:
            about = f" as run {run} of {flow} {status}"
        case _:
            about = ""
    return f"{trigger.get('name')} ({str(trigger.get('by')).replace('_', ' ')}){about}"


def _show_task(task: TaskView, name: str, *, json: bool) -> None:
    if json:
        data(as_json(task.to_json(full=True)))
        return
    lines = [f"task      {name}", f"status    {task.status}", f"attempts  {task.attempts}"]
    if task.reason:
        lines.append(f"reason    {REASONS.get(task.reason, task.reason)}")
    if task.duration is not None:
        lines.append(f"took      {format_time(task.duration)}")
    if task.error:
        lines.append(f"error     {as_json(task.error, indent=True)}")
    if task.child:
        lines.append(f"child     {task.child}")
    if task.rounds is not None:
        lines.append(f"rounds    {task.rounds:,}")
    lines.append(f"output    {as_json(task.output, indent=True)}")
    data("\n".join(lines))
    if task.history:
        data("\nlast rounds")
        rows = [
            (
                f"{one['round']:,}",
                _moment(one["started_at"]),
                format_time(one["duration"]),
                _short(one["output"]),
            )
            for one in task.history
        ]
        show_table(
            sys.stdout, ("round", "started", "time", "output"), rows, numbers=frozenset({"round", "time"})
        )


def _short(value: object) -> str:
    text = as_json(value)
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 1] + "…"


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(at))
