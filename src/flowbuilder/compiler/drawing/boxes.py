"""What is drawn of a flow: boxes with lines between them, the same for all formats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from flowbuilder.compiler.drawing.starts import starts_of
from flowbuilder.compiler.ir import (
    Approval,
    Compute,
    Flow,
    Graph,
    Group,
    Invoke,
    Sleep,
    SubFlow,
    Task,
    Wait,
)
from flowbuilder.compiler.order import in_order, waits_of
from flowbuilder.compiler.written import written

Look = Literal["trigger", "pure", "read", "write", "group", "never"]


class Box(msgspec.Struct, frozen=True):
    """A task, or the title of a part of the flow."""

    path: str
    title: str
    """The task's id, or the name of the part."""
    words: tuple[str, ...]
    """What is said of it, the type first."""
    look: Look
    waits: tuple[int, ...]
    """The places, in the same list, of boxes that it waits for; those stand in front of it."""
    body: tuple[Box, ...] = ()
    rescue: tuple[Box, ...] = ()
    """What runs instead if it fails."""


class Part(msgspec.Struct, frozen=True):
    """A graph of its own: the main one, or a handler; or what starts the flow by itself."""

    title: str
    boxes: tuple[Box, ...]


def parts_of(flow: Flow, extra: Mapping[str, str] | None = None) -> tuple[Part, ...]:
    """Return what is to be drawn of a flow.

    Args:
        flow: checked, optimised or not.
        extra: by task path, what is to be said besides.
    """
    said = extra or {}
    parts = [Part("", _boxes(flow.main, "", said))]
    if starts := tuple(Box("", name, words, "trigger", ()) for name, words in starts_of(flow)):
        parts.insert(0, Part("triggers", starts))
    for title, graph in (("on_failure", flow.on_failure), ("finally", flow.finally_)):
        if graph is not None:
            parts.append(Part(title, _boxes(graph, title + ":", said)))
    return tuple(parts)


def type_of(task: Task) -> str:
    """Return a task's type as the author would write it."""
    match task.work:
        case Compute():
            return "set"
        case Invoke(type=name):
            return name
        case Sleep():
            return "sleep"
        case Wait():
            return "wait"
        case Approval():
            return "approval"
        case SubFlow():
            return "flow"
        case _:
            return "group"


def _boxes(graph: Graph, prefix: str, extra: Mapping[str, str]) -> tuple[Box, ...]:
    waits = waits_of(graph.tasks)
    order = in_order(waits)
    places = {old: new for new, old in enumerate(order)}
    return tuple(
        _box(graph.tasks[old], prefix, tuple(sorted(places[other] for other in waits[old])), extra)
        for old in order
    )


def _box(task: Task, prefix: str, waits: tuple[int, ...], extra: Mapping[str, str]) -> Box:
    path = prefix + task.id
    words = [type_of(task)]
    if task.map is not None:
        words.append(f"for each of {written(task.map.over, 40)}")
    if task.repeat is not None:
        words.append(f"{'until' if task.repeat.until else 'while'} {written(task.repeat.test, 40)}")
    if task.cache is not None:
        words.append("cached")
    if task.condition is not None and task.pruned is None:
        words.append(f"if {written(task.condition, 40)}")
    if task.run_when != "default":
        words.append(f"when {task.run_when}")
    if task.pruned is not None:
        words.append("never runs")
    if task.sensitive:
        words.append("sensitive")
    if task.undo is not None:
        words.append(f"undone by {type_of(task.undo.tasks[0])}")
    if path in extra:
        words.append(extra[path])
    rescue = task.on_error.graph if task.on_error is not None else None
    return Box(
        path,
        task.id,
        tuple(words),
        _look(task),
        waits,
        _boxes(task.work.graph, path + ".", extra) if type(task.work) is Group else (),
        _boxes(rescue, path + "!", extra) if rescue is not None else (),
    )


def _look(task: Task) -> Look:
    if task.pruned is not None:
        return "never"
    match task.work:
        case Invoke(effect=effect):
            return effect
        case SubFlow():
            return "write"
        case Wait() | Approval():
            return "read"
        case Group():
            return "group"
        case _:
            return "pure"
