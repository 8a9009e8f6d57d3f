"""Values that are made of others by an expression, without a task; and what may be asked of a task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowbuilder.compiler.expressions.tree import Const as Constant
from flowbuilder.compiler.expressions.tree import Expr, For, ListComp
from flowbuilder.sdk.pyflows.places import here
from flowbuilder.sdk.pyflows.problems import wrong
from flowbuilder.sdk.pyflows.recorded import Recorded, tree_of
from flowbuilder.sdk.pyflows.recorder import TaskRecord, current
from flowbuilder.sdk.pyflows.trees import AT, TaskRef, member, name


def each(values: Any, function: Callable[[Any], Any], *, if_: Callable[[Any], Any] | None = None) -> Recorded:
    """Return a list made of another one by an expression, without a task: `each(orders, lambda o: o.total)`."""
    bound = _free_name()
    one = Recorded(name(bound), here())
    conditions = () if if_ is None else (tree_of(if_(one)),)
    return Recorded(
        ListComp(AT, tree_of(function(one)), (For((bound,), tree_of(values), conditions),)), here()
    )


def where(values: Any, condition: Callable[[Any], Any]) -> Recorded:
    """Return the elements of a list that a condition holds for: `where(orders, lambda o: o.total > 0)`."""
    return each(values, lambda one: one, if_=condition)


def _free_name() -> str:
    """Return a name that no comprehension around binds."""
    graph = current()
    if graph is None:
        return "one"
    graph.recorder.bound += 1
    return "one" if graph.recorder.bound == 1 else f"one_{graph.recorder.bound}"


def text(template: str, /, **values: Any) -> Recorded:
    """Return a text with values in it: `text("https://shop.example/{day}", day=day)`.  Two braces stand for one."""
    import string

    from flowbuilder.compiler.expressions.tree import Text

    place = here()
    parts: list[Expr] = []
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as error:
        raise wrong("FB292", f"`text`: {error}", place, "two braces stand for one: `{{`") from None
    for literal, key, spec, conversion in pieces:
        if literal:
            parts.append(Constant(AT, literal))
        if key is None:
            continue
        if spec or conversion or key not in values:
            known = ", ".join(values) or "none"
            raise wrong("FB292", f"`text` has no value '{key}'", place, f"it is given {known}")
        parts.append(tree_of(values[key], place.of_argument(key)))
    return Recorded(Text(AT, tuple(parts)), place)


def status_of(result: Any) -> Recorded:
    """Return what stands for the status of the task that gave a result: `succeeded`, `failed`, `skipped`."""
    return _about(result, "status")


def error_of(result: Any) -> Recorded:
    """Return what stands for the error of the task that gave a result, or null."""
    return _about(result, "error")


def errors_of(result: Any) -> Recorded:
    """Return what stands for the list of errors of a map."""
    return _about(result, "errors")


def _about(result: Any, what: str) -> Recorded:
    task = result._task if isinstance(result, Recorded) else getattr(result, "task", None)
    if not isinstance(task, TaskRecord):
        raise wrong("FB292", f"'{what}_of' takes what a call of a task has returned", here())
    return Recorded(member(TaskRef(AT, task), what), here())


__all__ = ["each", "error_of", "errors_of", "status_of", "text", "where"]
