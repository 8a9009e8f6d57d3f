"""The expressions of a task, wherever in it they stand; its body is not gone into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from flowbuilder.compiler.ir import Approval, Compute, Group, Invoke, Sleep, SubFlow, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowbuilder.compiler.expressions.tree import Expr
    from flowbuilder.compiler.ir import Task

_FIELDS: dict[type, tuple[str, ...]] = {
    Compute: ("value",),
    Invoke: ("params",),
    Sleep: ("duration", "until"),
    Wait: ("params", "filter"),
    Approval: ("params",),
    SubFlow: ("name", "inputs", "key"),
    Group: ("outputs",),
}
_KEYED = ("rate", "breaker", "queue")
"""The limits of a task that have a key."""
_REPEAT = ("test", "state", "collect")
_PARTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("map", ("over",)),
    ("retry", ("condition",)),
    ("on_error", ("value",)),
    ("repeat", _REPEAT),
    ("cache", ("key",)),
)


def expressions_of(task: Task) -> Iterator[Expr]:
    """Yield the expressions of a task."""
    for field in _FIELDS[type(task.work)]:
        if (expr := getattr(task.work, field)) is not None:
            yield expr
    if task.condition is not None:
        yield task.condition
    if task.map is not None:
        yield task.map.over
    if task.env is not None:
        yield task.env
    if task.idempotency_key is not None:
        yield task.idempotency_key
    if task.retry is not None and task.retry.condition is not None:
        yield task.retry.condition
    if task.on_error is not None and task.on_error.value is not None:
        yield task.on_error.value
    if task.limits is not None:
        for name in _KEYED:
            part = getattr(task.limits, name)
            if part is not None and part.key is not None:
                yield part.key
    if task.repeat is not None:
        yield from (expr for field in _REPEAT if (expr := getattr(task.repeat, field)) is not None)
    if task.cache is not None:
        yield task.cache.key


def with_expressions(task: Task, change: Callable[[Expr], Expr]) -> Task:
    """Return a task with each expression replaced by what `change` makes of it; itself if none changes."""
    changes: dict[str, Any] = {}
    if (work := _changed(task.work, _FIELDS[type(task.work)], change)) is not task.work:
        changes["work"] = work
    for field in ("condition", "env", "idempotency_key"):
        expr = getattr(task, field)
        if expr is not None and (new := change(expr)) is not expr:
            changes[field] = new
    for field, inner in _PARTS:
        part = getattr(task, field)
        if part is not None and (new := _changed(part, inner, change)) is not part:
            changes[field] = new
    if task.limits is not None:
        keyed = {name: part for name in _KEYED if (part := getattr(task.limits, name)) is not None}
        new_keyed = {name: _changed(part, ("key",), change) for name, part in keyed.items()}
        if any(new_keyed[name] is not part for name, part in keyed.items()):
            changes["limits"] = replace(task.limits, **new_keyed)
    return replace(task, **changes) if changes else task


def _changed(part: Any, fields: tuple[str, ...], change: Callable[[Expr], Expr]) -> Any:
    changes = {}
    for field in fields:
        expr = getattr(part, field)
        if expr is not None and (new := change(expr)) is not expr:
            changes[field] = new
    return replace(part, **changes) if changes else part
