"""What an expression asks for: names of the flow and the members that follow them."""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING, Literal

import msgspec

from flowbuilder.compiler.expressions.tree import (
    At,
    Call,
    Const,
    DictComp,
    Expr,
    For,
    ListComp,
    Member,
    Name,
)
from flowbuilder.compiler.expressions.walk import children

if TYPE_CHECKING:
    from flowbuilder.core.span import Span

MOMENTARY = frozenset({"now", "today", "uuid"})
"""Functions whose value depends on when or where they are evaluated."""


class Reference(msgspec.Struct, frozen=True):
    """A name, and the members that stand behind it: `tasks.fetch.output` is (`tasks`; `fetch`, `output`)."""

    root: str
    path: tuple[str, ...]
    at: At

    @property
    def span(self) -> Span:
        """Where it stands."""
        return self.at.span


def references(expr: Expr) -> list[Reference]:
    """Return every name of the flow that an expression mentions, with its members, in order."""
    found: list[Reference] = []
    _gather(expr, frozenset(), found)
    return found


def _gather(expr: Expr, bound: Set[str], found: list[Reference]) -> None:
    kind = type(expr)
    if kind is Const:
        return
    if kind is Member or kind is Name:
        reference = _chain(expr)
        if reference is not None:
            if reference.root not in bound:
                found.append(reference)
            return
    if kind is ListComp or kind is DictComp:
        _gather_loops(expr, bound, found)  # type: ignore[arg-type]
        return
    for part in children(expr):
        _gather(part, bound, found)


def _gather_loops(expr: ListComp | DictComp, bound: Set[str], found: list[Reference]) -> None:
    """Walk the loops in the order in which they bind, then what they yield."""
    loop: For
    for loop in expr.loops:
        _gather(loop.over, bound, found)
        bound = bound | set(loop.names)
        for condition in loop.conditions:
            _gather(condition, bound, found)
    for part in (expr.value,) if isinstance(expr, ListComp) else (expr.key, expr.value):
        _gather(part, bound, found)


def _chain(expr: Expr) -> Reference | None:
    members: list[str] = []
    node = expr
    while type(node) is Member:
        members.append(node.name)
        node = node.of
    if type(node) is Name:
        return Reference(node.id, tuple(members[::-1]), expr.at)
    return None


def task_references(expr: Expr) -> dict[str, Literal["output", "status"]]:
    """Return the tasks that an expression mentions, in order.

    `output` where anything else than `status`, `error` or `errors` is read:
    then the task's outcome counts for the rule of who reads it.
    """
    found: dict[str, Literal["output", "status"]] = {}
    for reference in references(expr):
        if reference.root == "tasks" and reference.path:
            only_status = len(reference.path) > 1 and reference.path[1] in ("status", "error", "errors")
            if not only_status:
                found[reference.path[0]] = "output"
            else:
                found.setdefault(reference.path[0], "status")
    return found


def mentions_secrets(expr: Expr, variables: Set[str] = frozenset()) -> bool:
    """Tell whether an expression mentions secrets, itself or by one of the `variables`."""
    for reference in references(expr):
        if reference.root == "secrets":
            return True
        if reference.root == "vars" and reference.path and reference.path[0] in variables:
            return True
    return False


def uses_now(expr: Expr, variables: Set[str] = frozenset()) -> bool:
    """Tell whether an expression depends on when or where it is evaluated: `now`, `today`, `uuid`."""
    stack: list[Expr] = [expr]
    while stack:
        node = stack.pop()
        if type(node) is Call and node.function in MOMENTARY:
            return True
        stack.extend(children(node))
    return False
