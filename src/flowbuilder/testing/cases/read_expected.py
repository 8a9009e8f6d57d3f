"""Reads what a test expects of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler.expressions.check import ScopeNames, check
from flowbuilder.compiler.lower.fields import TEXT, Field, choice, duration_of, integer, read_tags
from flowbuilder.compiler.lower.record import Key, Table, read_record
from flowbuilder.compiler.lower.values import constant, lower_condition
from flowbuilder.compiler.nodes import Mapping, Node, Scalar, Sequence
from flowbuilder.testing.cases.case import Expected
from flowbuilder.testing.cases.read_values import ANY, VALUES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flowbuilder.compiler.expressions.tree import Expr
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.core.span import Span

NAMES: Final = frozenset({"inputs", "outputs", "tasks", "error", "run", "calls"})
"""What conditions of `that` see."""
NAMES_OF_ALL: Final = frozenset({"runs", "calls"})
"""What conditions over several runs see."""
_TASK_STATUS: Final = choice(
    "succeeded", "failed", "skipped", "cancelled", "running", "waiting", "pending", "paused"
)
_RUN_STATUS: Final = choice("succeeded", "failed", "cancelled", "refused", "waiting", "paused")
_COUNT: Final = integer(0, 1_000_000)


_ERROR: Final = Table(
    "an expected error",
    {
        "kind": Key(TEXT, "Its kind, or a pattern such as `http.5xx`."),
        "message": Key(TEXT, "A part of its message."),
        "task": Key(TEXT, "The task that it comes from."),
    },
)


def _read_error(ctx: Context, node: Node, key: str) -> dict[str, Any] | None:
    if type(node) is Scalar:
        kind = TEXT.read(ctx, node, key)
        return None if kind is None else {"kind": kind}
    return read_record(ctx, node, _ERROR, f"'{key}'")


_ERROR_FIELD: Final = Field(_read_error, {})
_TASK: Final = Table(
    "an expected task",
    {
        "status": Key(_TASK_STATUS, "How it ends."),
        "output": Key(ANY, "What it yields."),
        "attempts": Key(_COUNT, "How many it takes."),
        "reason": Key(TEXT, "Why it is skipped or cancelled."),
        "error": Key(_ERROR_FIELD, "What it fails with, or is rescued from."),
        "items": Key(_COUNT, "Of a map: how many elements."),
    },
)


def _read_tasks(ctx: Context, node: Node, key: str) -> dict[str, dict[str, Any]]:
    if type(node) is not Mapping:
        ctx.expected("a mapping of tasks and how they end", node, key)
        return {}
    found = {}
    for name, value in node.pairs.values():
        if type(value) is Scalar:
            status = _TASK_STATUS.read(ctx, value, name.text)
            found[name.text] = {} if status is None else {"status": status}
        else:
            found[name.text] = read_record(ctx, value, _TASK, f"'{name.text[:60]}'")
    return found


_CALL: Final = Table(
    "expected calls",
    {"count": Key(_COUNT, "How many."), "with": Key(VALUES, "What one of them is given, or a part of it.")},
)


def _read_calls(ctx: Context, node: Node, key: str) -> dict[str, Any]:
    if type(node) is not Mapping:
        ctx.expected("a mapping of tasks and how often they are called", node, key)
        return {}
    found: dict[str, Any] = {}
    for name, value in node.pairs.values():
        if type(value) is Scalar:
            count = _COUNT.read(ctx, value, name.text)
            found[name.text] = {} if count is None else {"count": count}
        elif type(value) is Sequence:
            found[name.text] = {"each": [constant(ctx, item, name.text) for item in value.items]}
        else:
            found[name.text] = read_record(ctx, value, _CALL, f"'{name.text[:60]}'")
    return found


_EVENT: Final = Table(
    "an expected event",
    {"event": Key(TEXT, "Its name."), "payload": Key(ANY, "Its payload, or a part of it.")},
    required=("event",),
)


def _read_events(ctx: Context, node: Node, key: str) -> tuple[dict[str, Any], ...]:
    items = node.items if type(node) is Sequence else [node]
    found = []
    for item in items:
        if type(item) is Scalar:
            found.append({"event": item.text})
        else:
            found.append(read_record(ctx, item, _EVENT, "an expected event"))
    return tuple(found)


def _read_duration(ctx: Context, node: Node, key: str) -> tuple[float, float] | None:
    if type(node) is Scalar:
        seconds = duration_of(ctx, node, key)
        return None if seconds is None else (seconds, seconds)
    if type(node) is Sequence and len(node.items) == 2:
        ends = [duration_of(ctx, item, key) for item in node.items if type(item) is Scalar]
        if len(ends) == 2 and None not in ends:
            return ends[0], ends[1]  # type: ignore[return-value]
        return None
    ctx.expected("a duration, or a list of two: from, to", node, key)
    return None


def _conditions(names: frozenset[str]) -> Field:
    """Return the kind of conditions that see these names."""

    def read(ctx: Context, node: Node, key: str) -> tuple[tuple[str, Expr], ...]:
        found = []
        for item in node.items if type(node) is Sequence else [node]:
            tree = lower_condition(ctx, item, key)
            if tree is None or type(item) is not Scalar:
                continue
            wrong = list(check(tree, ScopeNames(names, {}, condition=True)))
            ctx.findings.extend(wrong)
            if not wrong:
                found.append((item.text.strip(), tree))
        return tuple(found)

    return Field(read, {})


_EXPECTED: Final = Table(
    "what is expected",
    {
        "status": Key(_RUN_STATUS, "How the run ends; `succeeded` unless an error is expected."),
        "outputs": Key(VALUES, "The run's outputs; those that are not named are not looked at."),
        "error": Key(_ERROR_FIELD, "The run's first error."),
        "tasks": Key(Field(_read_tasks, {}), "How tasks end, by path."),
        "order": Key(Field(read_tags, {}), "Tasks, each of which ends before the next."),
        "calls": Key(Field(_read_calls, {}), "How often tasks are called, or with what."),
        "events": Key(Field(_read_events, {}), "What is emitted, in order."),
        "logs": Key(Field(read_tags, {}), "Texts that stand in the log."),
        "duration": Key(Field(_read_duration, {}), "How much virtual time passes: `3h`, or `[2h, 4h]`."),
        "that": Key(_conditions(NAMES), "Conditions over `outputs`, `tasks`, `error`, `calls`, `run`."),
    },
    elsewhere={
        "output": "it is called `outputs`",
        "result": "it is called `outputs`",
        "state": "it is called `status`",
        "errors": "it is called `error`, and is the first one",
        "asserts": "they are called `that`",
        "steps": "they are called `tasks`",
    },
)


_OF_ONE: Final = Table(
    _EXPECTED.what,
    {
        **_EXPECTED.keys,
        "same_as": Key(TEXT, "The run before it that its start gives, where it begins none of its own."),
    },
    elsewhere=_EXPECTED.elsewhere,
)
_OF_ALL: Final = Table(
    "what is expected of several runs",
    {
        "order": Key(Field(read_tags, {}), "Runs, each of which ends before the next."),
        **{key: _EXPECTED.keys[key] for key in ("calls", "events", "logs", "duration")},
        "that": Key(_conditions(NAMES_OF_ALL), "Conditions over `runs` and `calls`."),
    },
    elsewhere={
        key: "it stands in the `expect` of one of the `runs`"
        for key in (*_EXPECTED.keys, "same_as")
        if key not in ("order", "calls", "events", "logs", "duration", "that")
    },
)


def _named(ctx: Context, node: Node) -> Iterator[tuple[str, str, Span]]:
    """Yield the names that the flow must have, with their places."""
    for key in ("tasks", "calls", "outputs", "order"):
        part = node.get(key) if type(node) is Mapping else None
        if type(part) is Mapping:
            names: Iterable[Node] = (name for name, _ in part.pairs.values())
        else:
            names = part.items if type(part) is Sequence and key == "order" else ()
        yield from ((key, name.text, ctx.span(name)) for name in names if type(name) is Scalar)


def _reader(table: Table) -> Field:
    """Return the kind of expectations with these keys; a word alone is the status, where there is one."""

    def read(ctx: Context, node: Node, key: str) -> Expected:
        if type(node) is Scalar and "status" in table.keys:
            return Expected(_RUN_STATUS.read(ctx, node, key))
        return Expected(**read_record(ctx, node, table, f"'{key}'"), named=tuple(_named(ctx, node)))

    return Field(read, {"type": ["object", "string"]})


EXPECTED: Final = _reader(_EXPECTED)
"""Of the one run of a test."""
OF_ONE: Final = _reader(_OF_ONE)
"""Of one of several runs."""
OF_ALL: Final = _reader(_OF_ALL)
"""Of several runs together."""
