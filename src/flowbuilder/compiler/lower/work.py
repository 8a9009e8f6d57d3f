"""What a task does, by its type: one file a kind of work in `works`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler import ir
from flowbuilder.compiler.expressions.tree import Const
from flowbuilder.compiler.lower.values import lower_value
from flowbuilder.compiler.lower.works import (
    lower_approval,
    lower_flow_task,
    lower_group,
    lower_invoke,
    lower_set,
    lower_sleep,
    lower_switch,
    lower_wait,
)

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.lower.draft import Mentions
    from flowbuilder.compiler.nodes import Node, Scalar

LATER_TYPES: Final[Mapping[str, str]] = {
    "wasm": "until then use `shell` with a runtime of your own",
    "llm": "until then use `http`",
    "agent": "until then use `http`",
    "retrieve": "until then use `http`",
}
"""Task types of the language that are not built yet."""

_FOREIGN: Final[Mapping[str, str]] = {
    "bash": "shell",
    "sh": "shell",
    "command": "shell",
    "run": "shell",
    "exec": "shell",
    "request": "http",
    "rest": "http",
    "api": "http",
    "webhook": "http",
    "delay": "sleep",
    "wait_for": "wait",
    "wait_for_event": "wait",
    "signal": "wait",
    "sensor": "wait",
    "await": "wait",
    "event": "emit",
    "publish": "emit",
    "human": "approval",
    "manual": "approval",
    "approve": "approval",
    "subflow": "flow",
    "workflow": "flow",
    "call": "python",
    "function": "python",
    "if": "switch",
    "branch": "switch",
    "choice": "switch",
    "task_group": "group",
    "parallel": "group",
    "print": "log",
    "echo": "log",
    "error": "fail",
    "raise": "fail",
    "variable": "set",
    "assign": "set",
}
"""What other tools call our types."""
_FOR_EACH: Final = "any task may be done for each element of a list: give it the key `for_each`"
_ROUNDS: Final = (
    "any task may be done again and again: give it the key `repeat`, or `for_each` for the elements of a list"
)
_MAPS: Final[Mapping[str, str]] = {
    "foreach": _FOR_EACH,
    "for_each": _FOR_EACH,
    "map": _FOR_EACH,
    "for": _FOR_EACH,
    "each": _FOR_EACH,
    "matrix": "any task may be done for each combination of values: give it the key `matrix`",
    "loop": _ROUNDS,
    "while": _ROUNDS,
    "until": _ROUNDS,
    "repeat": _ROUNDS,
    "retry": "any task may be tried again: give it the key `retry`",
}
"""What is a type elsewhere, and here a key of tasks."""

_WORKS: Final[Mapping[str, Callable[..., ir.Work]]] = {
    "set": lower_set.lower,
    "switch": lower_switch.lower,
    "sleep": lower_sleep.lower,
    "wait": lower_wait.lower,
    "approval": lower_approval.lower,
    "flow": lower_flow_task.lower,
    "group": lower_group.lower,
}

_ONLY_CALLS: Final = ("executor", "effect", "idempotency_key", "env")
_NEVER_COMPUTED: Final = ("retry", "timeout", "deadline")


def lower_work(
    ctx: Context,
    key: Scalar,
    type_name: str,
    values: dict[str, Any],
    node: Node,
    mentions: Mentions,
    own: Mapping[str, tuple[Scalar, Node]],
) -> ir.Work:
    """Return a task's work.

    Args:
        ctx: the file.
        key: the task's id.
        type_name: what `type` says; empty where that was missing and reported.
        values: the task's keys, defaults among them.
        node: where `type` stands, for messages.
        mentions: takes what the work's expressions refer to.
        own: the keys that the task itself has.
    """
    spec = ctx.catalogue.get(type_name)
    if spec is None:
        if type_name:
            _unknown_type(ctx, type_name, node)
        _read_anyway(ctx, values, mentions)
        return ir.Compute(Const(ctx.at(key), None))
    if spec.broken:
        ctx.error(
            "FB297",
            f"the task type '{type_name[:60]}' cannot be used: {spec.broken}",
            node,
            "put the plug-in right; `flowbuilder plugins list` shows all that there are",
        )
        _read_anyway(ctx, values, mentions)
        return ir.Compute(Const(ctx.at(key), None))
    if type_name != "group":
        for name in ("tasks", "outputs"):
            if name in values:
                ctx.error(
                    "FB211",
                    f"'{name}' belongs to a task of type 'group', and this is '{type_name}'",
                    values[name],
                )
        if "workspace" in own:
            ctx.error(
                "FB211",
                f"'workspace' belongs to a task of type 'group', and this is '{type_name}'",
                own["workspace"][0],
            )
    make = _WORKS.get(type_name)
    if make is None:
        return lower_invoke.lower(ctx, key, spec, values, mentions)
    work = make(ctx, key, spec, values, mentions)
    _useless(ctx, type_name, work, own)
    return work


def _useless(ctx: Context, type_name: str, work: ir.Work, own: Mapping[str, tuple[Scalar, Node]]) -> None:
    """Warn of keys that a task itself has and that do nothing for its type."""
    names = (*_ONLY_CALLS, *_NEVER_COMPUTED) if type(work) is ir.Compute else _ONLY_CALLS
    for name in names:
        if name in own and not (name == "deadline" and "repeat" in own):
            ctx.warn(
                "FB260",
                f"'{name}' does nothing for a task of type '{type_name}'",
                own[name][0],
                "leave it out",
            )


def _unknown_type(ctx: Context, name: str, node: Node) -> None:
    if name in LATER_TYPES:
        ctx.error("FB207", f"the task type '{name}' comes in a later release", node, LATER_TYPES[name])
        return
    hint = _MAPS.get(name) or (
        f"did you mean '{_FOREIGN[name]}'?" if name in _FOREIGN else ctx.near(name, ctx.catalogue)
    )
    ctx.error(
        "FB206",
        f"there is no task type '{name[:60]}'",
        node,
        hint,
        "" if hint else "there are " + ", ".join(sorted(ctx.catalogue)),
    )


def _read_anyway(ctx: Context, values: dict[str, Any], mentions: Mentions) -> None:
    """Look at what stands in a task of no known type, so that its mistakes are reported too."""
    for name in ("with", "run"):
        if name in values:
            mentions.of(lower_value(ctx, values[name]))
