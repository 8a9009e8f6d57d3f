"""Recorded expressions as text, seen from where they stand: every task by the path that is open to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler.depth import is_deep
from flowbuilder.compiler.expressions.tree import Binary, Call, Const, Expr, Text
from flowbuilder.compiler.written import written
from flowbuilder.sdk.pyflows.problems import wrong
from flowbuilder.sdk.pyflows.trees import AT, TaskRef, member, name, rebuild

if TYPE_CHECKING:
    from flowbuilder.sdk.pyflows.places import Place
    from flowbuilder.sdk.pyflows.recorder import Graph, TaskRecord

NO_LIMIT: Final = 10**9
OUTPUT: Final = "output"


def expression(tree: Expr, graph: Graph | None, place: Place) -> str:
    """Return a value for the text of a flow: `${{ … }}`, or a longer text with such in it.

    Raises:
        FlowError: it refers to what cannot be seen from `graph`, or is too deep to be written.
    """
    tree = resolved(tree, graph, place)
    if is_deep(tree):
        raise wrong(
            "FB290", "this expression is too deep to be written", place, "give a part of it to a task first"
        )
    if isinstance(tree, Text):
        parts = tuple(rebuild(part, _joined) for part in tree.parts)
        return written(Text(AT, parts), NO_LIMIT)
    tree = rebuild(tree, _joined)
    return f"${{{{ {written(tree, NO_LIMIT)} }}}}"


def _joined(node: Any) -> Any:
    """Return a text with values in it as it is said inside of an expression: `'a' + str(x)`."""
    if not isinstance(node, Text):
        return None
    joined: Expr = Const(AT, "")
    for part in node.parts:
        text = isinstance(part, Const) and isinstance(part.value, str)
        said = part if text else Call(AT, "str", (rebuild(part, _joined),))
        joined = said if joined == Const(AT, "") and text else Binary(AT, "+", joined, said)
    return joined


def escaped(text: str) -> str:
    """Return a text that is meant as it stands."""
    return text.replace("${{", "$${{")


def shown(tree: Expr) -> str:
    """Return an expression for people."""

    def change(node: Any) -> Any:
        return member(name("tasks"), node.task.id) if isinstance(node, TaskRef) else None

    return written(rebuild(tree, change))


def resolved(tree: Expr, graph: Graph | None, place: Place) -> Expr:
    """Return a tree in which tasks have their ids, as they are seen from a graph."""

    def change(node: Any) -> Any:
        if not isinstance(node, TaskRef):
            # `x.output` of a task in a group is a member of what the group gives
            inner = getattr(node, "of", None)
            if isinstance(inner, TaskRef) and getattr(node, "name", "") == OUTPUT:
                return _output(inner.task, graph, place)
            return None
        return _reference(node.task, graph, place)

    return rebuild(tree, change)  # type: ignore[no-any-return]


def _output(task: TaskRecord, graph: Graph | None, place: Place) -> Expr:
    steps = [task.id]
    while graph is not None and not graph.is_inside(task.graph):
        owner = owner_of(task, place)
        steps.append(owner.id)
        task = owner
    tree = member(member(name("tasks"), steps.pop()), OUTPUT)
    while steps:
        tree = member(tree, steps.pop())
    return tree


def _reference(task: TaskRecord, graph: Graph | None, place: Place) -> Expr:
    """Return `tasks.<id>`: what is asked of it is no output, so there is no way into a group."""
    if graph is not None and not graph.is_inside(task.graph):
        raise wrong(
            "FB293",
            f"'{task.id}' is inside of a group, and seen from outside of it",
            place,
            "ask it inside of the group",
        )
    return member(name("tasks"), task.id)


def owner_of(task: TaskRecord, place: Place) -> TaskRecord:
    """Return the group that a task is in.

    Raises:
        FlowError: what it is in is no group, or one of which there are many.
    """
    graph = task.graph
    if graph.sealed or graph.owner is None or graph.owner.over is not None:
        why = graph.sealed or "a map, which has one of it for each element"
        raise wrong(
            "FB293",
            f"'{task.id}' is inside of {why}, and used outside of it",
            place,
            "return it from the function that is mapped, and use what `map` gives" if "map" in why else "",
        )
    return graph.owner
